"""A thousand events per second from a running daemon, for as long as pages are looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.caller import Caller, called
from tests.web.chromium import logged_in
from tests.web.test_in_browser import FRAMES

expect = pytest.importorskip("playwright.sync_api").expect

# One job fails each second and stops all others: two events of each, every second.
STOPPED = 500
JOBS = "version: 1\njobs:\n  source: {schedule: {every: 1s}, run: exit 1}\n" + "".join(
    f"  after-{number:03}: {{depends_on: [source], run: 'true'}}\n" for number in range(STOPPED)
)
EVENTS = 4000
NEWEST = "document.addEventListener('events', ({ detail }) => { window.newest = detail.at(-1).seq; });"
UNTIL = """(seq) => new Promise((done, give_up) => {
  const look = () => { if (window.newest > seq) done(); else setTimeout(look, 50); };
  setTimeout(() => give_up(new Error(`${window.newest} of ${seq}`)), 90000);
  look();
})"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        yield found


@pytest.mark.parametrize("path", ["", "events", "graph?job=source&by=none"])
def test_a_page_goes_on_answering_while_thousands_of_events_go_by(browser: Any, caller: Caller, path: str) -> None:
    page = logged_in(browser, caller)
    page.context.add_init_script(FRAMES)
    page.context.add_init_script(NEWEST)
    page.goto(f"{caller.url}/{path}")
    begun = int(page.locator("html").get_attribute("data-seq"))
    page.evaluate(UNTIL, begun + EVENTS)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to content")).to_be_focused()
    longest = page.evaluate("Math.max(...window.frames_ms)")
    page.context.close()
    assert longest < 3000


def test_the_list_of_events_has_no_gap_and_older_ones_begin_where_it_ends(browser: Any, caller: Caller) -> None:
    page = logged_in(browser, caller)
    page.context.add_init_script(NEWEST)
    page.goto(f"{caller.url}/events")
    begun = int(page.locator("html").get_attribute("data-seq"))
    page.evaluate(UNTIL, begun + EVENTS)
    seqs, older = page.evaluate(
        "[[...document.querySelectorAll('[data-event]')].map((row) => Number(row.dataset.event)),"
        " document.querySelector('[data-older]').href]"
    )
    page.context.close()
    assert seqs == list(range(seqs[0], seqs[-1] - 1, -1))
    assert older.endswith(f"before={seqs[-1]}")
