"""The wide pages in a real browser: a plan is read, a graph of 1,000 jobs stays usable, states follow what happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.caller import Caller, called
from tests.web.chromium import logged_in
from tests.web.test_wide_pages import many

expect = pytest.importorskip("playwright.sync_api").expect

JOBS = (
    many(1000)
    + """\
  extract: {run: 'true'}
  load: {depends_on: [extract], run: 'exit 3'}
  nightly: {schedule: '0 3 * * *', run: 'true'}
"""
)


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS.replace("pools: {}\n", "")) as found:
        yield found


def test_an_edited_file_is_picked_and_its_plan_is_read(page: Any, caller: Caller, tmp_path: Path) -> None:
    edited = tmp_path / "jobs.yaml"
    edited.write_text(JOBS.replace("0 3 * * *", "0 4 * * *").replace("exit 3", "exit 0"))
    page.goto(f"{caller.url}/plan")
    page.locator("input[type=file]").set_input_files(edited)
    expect(page.locator("textarea")).to_have_value(re.compile("0 4 "))
    page.get_by_role("button", name="Plan").click()
    expect(page.locator(".verdict")).to_contain_text("2 jobs changed")
    expect(page.get_by_role("row", name=re.compile("nightly.*0 3"))).to_contain_text("→ 0 4 * * *")


def test_a_graph_of_a_thousand_jobs_opens_a_group_and_goes_along_edges_by_key(page: Any, caller: Caller) -> None:
    page.goto(f"{caller.url}/graph")
    expect(page.locator("svg.graph [data-node]")).to_have_count(23)
    page.locator('[data-node="team03-step"]').click()
    expect(page.locator("svg.graph [data-node]")).to_have_count(72)
    page.locator('[data-node="team03-step-04"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator('[data-node="team03-step-05"]')).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator('[data-node="team03-step-04"]')).to_be_focused()
    expect(page.locator(".edge.is-on")).to_have_count(2)
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/jobs/team03-step-04"))


def test_all_thousand_nodes_can_be_drawn_and_the_page_goes_on_answering(page: Any, caller: Caller) -> None:
    page.goto(f"{caller.url}/graph?by=none")
    expect(page.locator("svg.graph [data-node]")).to_have_count(1003)
    # From a key to the frame that shows it: a page that hangs would take seconds.
    page.locator('[data-node="team00-step-00"]').focus()
    took = page.evaluate(
        """() => new Promise((done) => {
            const begun = performance.now();
            document.querySelector('[data-node="team19-step-49"]').focus();
            requestAnimationFrame(() => requestAnimationFrame(() => done(performance.now() - begun)));
        })"""
    )
    assert took < 2000


def test_nodes_and_events_follow_what_happens(page: Any, caller: Caller, browser: Any) -> None:
    events = logged_in(browser, caller)
    events.goto(f"{caller.url}/events?job=load")
    expect(events.locator("[data-live]")).to_be_visible()
    page.goto(f"{caller.url}/graph?job=load")
    expect(page.locator("[data-live]")).to_be_visible()
    caller.post("/jobs/extract/trigger")
    expect(page.locator('[data-node="extract"]')).to_have_class(re.compile("s-success"))
    expect(page.locator('[data-node="load"]')).to_have_class(re.compile("s-failed"))
    expect(page.locator('[data-node="load"] [data-words]')).to_have_text("failed")
    expect(page.locator(".edge")).to_have_class(re.compile("e-success"))
    expect(events.locator("tr[data-event]").first).to_contain_text("run.failed")
    events.context.close()


def test_the_grid_shows_a_new_run(page: Any, caller: Caller) -> None:
    page.goto(f"{caller.url}/grid?q=nightly")
    expect(page.locator("[data-live]")).to_be_visible()
    name = caller.run_once("nightly")
    expect(page.locator(f'a.cell[href$="{name}"]')).to_have_class(re.compile("s-success"))
