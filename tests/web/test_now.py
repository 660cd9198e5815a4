"""Now: what runs, waits, failed and comes next, and what is wrong with the job files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from dagsched.model import utc
from dagsched.views.coming import Coming
from dagsched.web.pages.now import soonest_of
from tests.api.caller import Caller, called
from tests.web.browser import Browser, said, tags_of, text_of

HOUR = timedelta(hours=1)
JOBS = """\
version: 1
jobs:
  bad: {run: 'echo first; echo "<i>no such table</i>"; exit 3'}
  good: {run: 'true'}
  endless: {run: 'sleep 600'}
  blocked: {depends_on: [endless], run: 'true'}
  nightly: {schedule: {cron: '0 3 * * *', timezone: Asia/Kolkata}, run: 'true'}
  after: {depends_on: [nightly], run: 'true'}
  off: {schedule: '* * * * *', enabled: false, run: 'true'}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        yield found


def test_what_runs_has_its_elapsed_time_and_what_waits_its_reason(admin: Browser, caller: Caller) -> None:
    name: str = caller.post("/jobs/endless/trigger")["runs"][0]
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.started", "its start")
    page = admin.page("")
    assert f'data-run="{name}"' in page
    assert "Running 1" in text_of(page)
    assert "no run to compare with" in text_of(page)
    assert "Waiting 1" in text_of(page)
    assert admin.after(admin.send("do/cancel", {"run": name})).count("asked to stop") == 1
    caller.daemon.until(lambda event: event["run"] == name and event["type"] == "run.cancelled", "its end")
    assert "Nothing runs." in text_of(admin.page(""))


def test_failures_are_a_line_for_each_job_until_somebody_acknowledges_them(admin: Browser, caller: Caller) -> None:
    names = [caller.run_once("bad", "run.failed") for _ in range(3)]
    page = admin.page("")
    assert "failed exit code 3 <i>no such table</i> and 2 before it" in text_of(page)
    assert "<i>no" not in page
    assert page.count(f'data-run="{names[-1]}"') == 1
    assert names[0] not in page
    for name in names:
        page = admin.after(admin.send("do/ack", {"run": name}))
    assert "Nothing that failed waits for anybody." in text_of(page)


def test_a_failure_is_retried_from_here(admin: Browser, caller: Caller) -> None:
    name = caller.run_once("bad", "run.failed")
    assert "Retry" in text_of(admin.page(""))
    assert said(admin.after(admin.send("do/rerun", {"run": name}))) == f"{name}: runs again"
    caller.daemon.until(
        lambda event: event["run"] == name and event["type"] == "run.failed" and event["attempt"] == 2, "its second end"
    )
    admin.after(admin.send("do/ack", {"run": name}))


def test_what_comes_next_has_the_job_s_local_time(admin: Browser) -> None:
    words = text_of(admin.page(""))
    assert "nightly and 1 after it in " in words
    assert "03:00 IST" in words
    assert " off " not in words  # it is disabled


def test_what_gets_its_ticks_from_a_paused_job_alone_is_not_due(admin: Browser, caller: Caller) -> None:
    caller.post("/jobs/nightly/pause")
    words = text_of(admin.page(""))
    assert "after it" not in words
    assert "03:00 IST" not in words
    notes = [each["note"] for each in caller.get("/jobs/after/next?limit=2")["items"]]
    assert notes == ["from nightly; paused"] * 2
    caller.post("/jobs/nightly/resume")
    assert "nightly and 1 after it" in text_of(admin.page(""))


def test_what_comes_next_is_a_line_for_each_job_that_makes_itself_due() -> None:
    at = utc(2026, 11, 26, 9)
    sources = {"a": ("a",), "b": ("a",), "c": ("a", "d"), "d": ("d",), "e": ("f",), "f": ("f",)}

    def coming(job: str, tick: datetime = at, note: str = "") -> Coming:
        return Coming(job, tick, tick, note)

    upcoming = [coming("a"), coming("b"), coming("c"), None, coming("d", at + HOUR), coming("e")]
    upcoming.append(coming("f", note="paused"))
    assert soonest_of(upcoming, 20, sources.__getitem__) == [
        (coming("a"), 2), (coming("e"), 0), (coming("d", at + HOUR), 0),
    ]  # fmt: skip


def test_problems_of_the_job_files_are_a_banner(admin: Browser, caller: Caller) -> None:
    path = caller.daemon.folder / "jobs.yaml"
    assert 'class="banner' not in admin.page("")
    path.write_text(JOBS.replace("good: {", "good: {depends_on: [nobody], description: ['<b>odd</b>'], "))
    caller.root.post("/api/v1/reload")
    page = within(admin, 'class="banner')
    words = text_of(page)
    assert "The job files have 2 errors; the last good version of" in words
    assert "jobs.yaml:4" in words
    assert "E201" in words
    assert "<b>odd" not in page
    path.write_text(JOBS)
    answer = admin.send("do/reload", {})
    assert 'class="banner' not in admin.after(answer)  # what a form changed is seen at once


def within(browser: Browser, text: str) -> str:
    """Return the page as soon as the text is on it: what the daemon says of itself may be a moment old."""
    deadline = time.monotonic() + 20
    while text not in (page := browser.page("")):
        assert time.monotonic() < deadline, page
    return page


def test_the_page_says_from_which_event_on_it_has_to_be_told(admin: Browser, caller: Caller) -> None:
    (html,) = tags_of(admin.page(""), "html")
    newest = caller.get("/events?since=0&limit=1000")["items"][-1]["seq"]
    assert int(html["data-seq"] or 0) <= newest
    assert int(html["data-seq"] or 0) > 0
