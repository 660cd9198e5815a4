"""How pages look and what they say to whoever cannot see them, with jobs that are awkward to show."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dagsched.web.pages import PAGES
from tests.api.caller import Caller, called
from tests.web.chromium import complaints, logged_in

expect = pytest.importorskip("playwright.sync_api").expect

LONG = "a-name-that-some-program-made-of-a-database-a-schema-a-table-and-a-region-far-away"
JOBS = f"""\
version: 1
timezone: Europe/Berlin
pools: {{narrow: 1}}
jobs:
  {LONG}:
    description: {"A description that goes on and on. " * 8}
    schedule: {{cron: ["*/10 3-5,9-17 * * mon-fri", "0 1 1,15 * *"], timezone: America/Argentina/Buenos_Aires}}
    run: 'true'
    tags: [first-of-the-tags, another-tag-with-a-long-name]
    owner: {"somebody" * 12}
  {LONG}-2: {{depends_on: [{LONG}], run: 'echo {"x" * 300} >&2; exit 3'}}
  holder: {{run: sleep 600, pool: narrow}}
  held: {{run: 'true', pool: narrow}}
  again: {{run: exit 1, retry: {{max_attempts: 3, delay: 1h}}}}
  asked:
    params: {{day: {{type: string, description: Of the week}}, fast: {{type: boolean, default: false}}}}
    run: 'true'
  off: {{schedule: '@daily', enabled: false, run: 'true'}}
"""
MORE = (
    "graph?view=list",
    f"graph?job={LONG}",
    "timeline?view=table&span=1h",
    "jobs?q=nobody",
    "grid?n=60",
    "letters?job=x",
)


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        found.post(f"/jobs/{LONG}/trigger")
        found.daemon.until_type("run.failed", f"{LONG}-2")
        for job in ("holder", "held", "again"):
            found.post(f"/jobs/{job}/trigger")
        found.daemon.until_type("run.retrying", "again")
        found.post(f"/jobs/{LONG}/pause")
        yield found


@pytest.fixture(scope="module")
def paths(caller: Caller) -> list[str]:
    """Return every page, of a job and of runs in several states, and some of their other shapes."""
    runs = {run["job"]: run["run"] for run in caller.get("/runs")["items"]}
    shown = [page.path.removeprefix("/") for page in PAGES if "{" not in page.path]
    jobs = [f"jobs/{id}" for id in (LONG, f"{LONG}-2", "asked", "off")]
    return [*shown, *jobs, *(f"runs/{runs[job]}?why=true" for job in sorted(runs)), *MORE, "login", "nowhere"]


@pytest.mark.parametrize("width", [400, 1400])
def test_nothing_is_wider_than_the_window_whatever_jobs_are_called(
    browser: Any, caller: Caller, paths: list[str], width: int
) -> None:
    page = logged_in(browser, caller, viewport={"width": width, "height": 800})
    wide = {}
    for path in paths:
        page.goto(f"{caller.url}/{path}")
        if (found := page.evaluate("document.documentElement.scrollWidth")) > width:
            wide[path] = found
    page.context.close()
    assert wide == {}


LACKING = (Path(__file__).parent / "lacking.js").read_text()


def test_everything_has_a_name_and_headings_leave_no_level_out(browser: Any, caller: Caller, paths: list[str]) -> None:
    page = logged_in(browser, caller)
    wrong = complaints(page)
    lacking = {}
    for path in paths:
        page.goto(f"{caller.url}/{path}")
        if found := page.evaluate(LACKING):
            lacking[path] = found
    page.context.close()
    assert lacking == {}
    assert [words for words in wrong if "404" not in words] == []


def test_tab_shows_where_it_is_on_every_page(browser: Any, caller: Caller, paths: list[str]) -> None:
    page = logged_in(browser, caller)
    unseen = {}
    outline = "() => { const s = getComputedStyle(document.activeElement); return [s.outlineStyle, s.outlineWidth]; }"
    for path in paths:
        page.goto(f"{caller.url}/{path}")
        for _ in range(20):
            page.keyboard.press("Tab")
            style, wide = page.evaluate(outline)
            if page.evaluate("document.activeElement !== document.body") and (style == "none" or wide == "0px"):
                unseen[path] = page.evaluate("document.activeElement.outerHTML.slice(0, 120)")
    page.context.close()
    assert unseen == {}


def test_without_script_every_page_says_the_same(browser: Any, caller: Caller, paths: list[str]) -> None:
    page = logged_in(browser, caller, java_script_enabled=False)
    for path in paths:
        page.goto(f"{caller.url}/{path}")
        expect(page.locator("h1")).to_have_count(1)
        # What only script makes work is not offered.
        for useless in ("[data-load]", "[data-all]", "[data-zone]", "[data-pick]"):
            for each in page.locator(useless).all():
                expect(each).to_be_hidden()
    page.goto(f"{caller.url}/jobs?q=held")
    page.get_by_label("Choose held").check()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("status")).to_have_text("held: paused")
    page.get_by_label("Choose held").check()
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("status")).to_have_text("held: resumed")
    page.context.close()


def test_what_waits_says_for_what(browser: Any, caller: Caller) -> None:
    page = logged_in(browser, caller)
    expect(row_of(page, "held")).to_contain_text("pool narrow has 0 of 1 slots free")
    again = row_of(page, "again")
    expect(again).to_contain_text("exit code 1; attempt 2 of 3 follows, its retry delay ends at")
    page.context.close()


def row_of(page: Any, job: str) -> Any:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=job, exact=True))


def test_times_are_shown_in_the_readers_zone_when_they_ask_for_it(browser: Any, caller: Caller) -> None:
    run = next(run for run in caller.get("/runs")["items"] if run["job"] == LONG)
    utc = run["run"].rsplit("T", 1)[1]
    page = logged_in(browser, caller, timezone_id="Asia/Tokyo")
    page.goto(f"{caller.url}/jobs/{LONG}")
    tick = page.locator('[data-part="runs"] time').first
    expect(tick).to_have_text(re.compile(f"{utc[:5]}"))
    # The job's own clock stands beside it, with script and without.
    expect(page.locator('[data-part="runs"] .zone').first).to_have_text(re.compile("-03"))
    page.get_by_role("button", name="Show Asia/Tokyo").click()
    expect(tick).to_have_text(re.compile(f"{(int(utc[:2]) + 9) % 24:02}{utc[2:5]}"))
    expect(page.get_by_text("Times are those of Asia/Tokyo")).to_be_visible()
    page.goto(f"{caller.url}/events")  # it is kept, and what the server says in full gets a zone
    expect(page.locator("footer time")).to_have_text(re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\+9"))
    page.locator("[data-live]:not([hidden])").wait_for(state="attached")
    hours = [f"{datetime.now(ZoneInfo('Asia/Tokyo')) + timedelta(hours=later):%H}" for later in (0, 1)]
    caller.post("/jobs/asked/trigger", {"params": {"day": "mon"}})
    row = page.locator("tr[data-event]", has_text="asked").first
    expect(row.locator("time")).to_have_text(re.compile(rf"\d\d \w{{3}} ({'|'.join(hours)}):\d\d:\d\d"))
    page.get_by_role("button", name="Show UTC").click()
    expect(page.locator("footer time")).to_have_text(re.compile(" UTC$"))
    page.context.close()


# ---------------------------------------------------------------- colours


CSS = (Path(__file__).parents[2] / "dagsched" / "web" / "static" / "app.css").read_text()
ON_CARD = ("ink", "soft", "link", "good", "bad", "busy", "wait", "left")


def colours(part: str) -> Mapping[str, tuple[int, ...]]:
    """Return the colours that a block of variables names."""
    found = re.findall(r"--([\w-]+):\s*#([0-9a-f]{6})", part)
    return {name: tuple(int(digits[place : place + 2], 16) for place in (0, 2, 4)) for name, digits in found}


def contrast(one: tuple[int, ...], other: tuple[int, ...]) -> float:
    """Return the contrast ratio of WCAG 2: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour: tuple[int, ...]) -> float:
        parts = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_what_they_stand_on(scheme: str) -> None:
    light, _, dark = CSS.partition("prefers-color-scheme: dark")
    known = {**colours(light), **(colours(dark[: dark.index("}")]) if scheme == "dark" else {})}
    pairs = [(name, paper) for name in ON_CARD for paper in ("card", "paper", "faint")]
    pairs += [(name, paper) for name in ("ink", "soft", "link") for paper in ("warn-paper", "bad-paper")]
    pairs += [("ink", "good-paper"), ("bad", "bad-paper"), ("card", "link"), ("card", "busy")]
    weak = {pair: round(contrast(known[pair[0]], known[pair[1]]), 2) for pair in pairs}
    assert {pair: ratio for pair, ratio in weak.items() if ratio < 4.5} == {}
