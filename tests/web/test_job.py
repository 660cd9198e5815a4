"""Job: definition with its places, neighbours, coming ticks, runs by the page, the forms of its verbs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagsched.model import Run, RunState, utc
from tests.api.caller import Caller, called
from tests.web.browser import Browser, said, tags_of, text_of
from tests.web.stored import pages, ran

JOBS = """\
version: 1
defaults: {retry: {max_attempts: 2, delay: 10ms}}
jobs:
  extract:
    description: "Fetches <b>all</b> of it"
    owner: data team
    tags: [core]
    schedule: {cron: "30 2 * * *", timezone: Europe/Berlin}
    run: |
      echo one
      echo two
  load:
    depends_on: [extract]
    retry: {max_attempts: 3}
    run: [echo, "<script>alert(1)</script>"]
  asked:
    params:
      day: {type: string, enum: [mon, tue], default: mon}
      count: {type: integer}
      dry: {type: boolean, default: false}
    run: 'echo "$DAGSCHED_PARAM_DAY $DAGSCHED_PARAM_COUNT $DAGSCHED_PARAM_DRY"'
  listener: {schedule: {event: arrived}, run: 'true'}
  quick: {run: 'true'}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        yield found


def test_the_definition_says_where_each_part_stands(admin: Browser) -> None:
    page = admin.page("jobs/load")
    words = text_of(page)
    assert "jobs.yaml:12" in words
    assert "retry.max_attempts 3 jobs.yaml:14" in words
    assert "retry.delay 10ms jobs.yaml:2" in words
    assert "<script>alert" not in page
    assert '"<script>alert(1)</script>"' in words


def test_a_text_of_several_lines_keeps_them(admin: Browser) -> None:
    assert "<pre>echo one\necho two</pre>" in admin.page("jobs/extract")


def test_it_says_what_it_is(admin: Browser) -> None:
    page = admin.page("jobs/extract")
    words = text_of(page)
    assert "Fetches <b>all</b> of it" in words
    assert "<b>all" not in page
    assert "Schedule 30 2 * * * Europe/Berlin Owner data team Tags core In jobs.yaml:4" in words
    assert 'href="../jobs?tag=core"' in page


def test_neighbours_are_those_before_and_after_it(admin: Browser) -> None:
    assert "Neighbours Wait for it load" in text_of(admin.page("jobs/extract"))
    assert "Neighbours Waits for extract" in text_of(admin.page("jobs/load"))
    assert "It waits for no job, and none waits for it." in text_of(admin.page("jobs/quick"))


def test_coming_ticks_have_local_time_zone_and_origin(admin: Browser) -> None:
    words = text_of(admin.page("jobs/load"))
    assert re.search(r"Next Local time In \w+ \d\d \w+ 02:30 CES?T.* from extract", words)
    assert "When the event arrived happens." in text_of(admin.page("jobs/listener"))
    assert "Nothing makes it due but a person." in text_of(admin.page("jobs/quick"))


def test_a_change_of_the_clocks_is_marked(admin: Browser, caller: Caller) -> None:
    path = caller.daemon.folder / "jobs.yaml"
    yearly = "  clocks: {schedule: {cron: '30 2 28 3 *', timezone: Europe/Berlin}, run: 'true'}\n"
    path.write_text(JOBS + yearly)
    caller.post("/reload")
    assert re.search(r'is-dst">[^<]*DST', admin.page("jobs/clocks"))


def test_runs_come_by_the_page_and_by_state(admin: Browser, caller: Caller) -> None:
    assert "It has not run yet." in text_of(admin.page("jobs/quick"))
    made = [caller.run_once("quick") for _ in range(27)]
    page = admin.page("jobs/quick")
    shown = re.findall(r'<td class="name"><a href="\.\./runs/([^"]+)"', page)
    assert shown == made[:-26:-1]
    (older,) = [link["href"] for link in tags_of(page, "a") if link.get("rel") == "next"]
    page = admin.page(f"jobs/{older}")
    assert re.findall(r'<td class="name"><a href="\.\./runs/([^"]+)"', page) == made[1::-1]
    assert "27 of 27 succeeded" in text_of(page)
    assert "No run is in that state." in text_of(admin.page("jobs/quick?state=failed"))
    assert admin.get("jobs/quick?cursor=nonsense").status_code == 400
    chart = next(each for each in tags_of(page, "svg") if each["class"] == "chart")
    assert chart["aria-label"].startswith("27 of the last 27 succeeded")


def test_a_form_triggers_with_parameters_of_their_types_and_leads_to_the_run(admin: Browser, caller: Caller) -> None:
    page = admin.page("jobs/asked")
    names = {each.get("name") for each in [*tags_of(page, "input"), *tags_of(page, "select")]}
    assert {"param.day", "param.count", "param.dry"} <= names
    fields = {"job": "asked", "param.day": "tue", "param.count": "7", "param.dry": "true", "then": "run"}
    answer = admin.send("do/trigger", {**fields, "back": "jobs/asked"})
    assert answer.headers["location"].startswith("../runs/job:asked:")
    page = admin.after(answer)
    assert said(page) == "asked: triggered"
    assert "count 7 day tue dry true" in re.sub(
        r"Parameters (.*?) dry true.*", "count 7 day tue dry true", text_of(page)
    )
    name = answer.headers["location"].removeprefix("../runs/")
    assert caller.get(f"/runs/{name}")["params"] == {"day": "tue", "count": 7, "dry": True}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"param.day": "fri", "param.count": "1"}, "day"),
        ({"param.count": "many"}, "count"),
        ({}, "needs a value for parameter 'count'"),
        ({"param.count": "1", "param.nope": "1"}, "nope"),
    ],
)
def test_parameters_that_do_not_fit_are_refused_in_words(admin: Browser, fields, words: str) -> None:
    page = admin.after(admin.send("do/trigger", {"job": "asked", "back": "jobs/asked", **fields}))
    assert words in said(page)
    assert "<h1>asked</h1>" in page


def test_a_backfill_is_asked_for_with_a_form(admin: Browser, caller: Caller) -> None:
    fields = {"first": "2026-01-01T00:00", "last": "2026-01-03T12:00", "max_active": "2", "again": "gaps"}
    page = admin.after(admin.send("do/backfill", {"job": "extract", "back": "jobs/extract", **fields}))
    assert said(page) == "extract: backfill begun"
    wrong = admin.send("do/backfill", {"job": "extract", **fields, "max_active": "two"})
    assert wrong.status_code == 400
    page = admin.after(admin.send("do/backfill", {"job": "extract", **fields, "max_active": "0"}))
    assert "max_active" in said(page)
    assert admin.send("do/backfill", {"job": "extract", **fields, "first": "soon"}).status_code == 400


def test_a_job_that_is_not_there_is_answered_with_near_ones(admin: Browser) -> None:
    answer = admin.get("jobs/extrct")
    assert answer.status_code == 404
    assert 'href="../jobs/extract"' in answer.text
    assert "<b>" not in admin.get("jobs/%3Cb%3E").text


def test_pausing_changes_the_button(admin: Browser) -> None:
    page = admin.after(admin.send("do/pause", {"job": "quick", "back": "jobs/quick"}))
    assert "do/resume" in page
    assert 's-paused"' in page
    page = admin.after(admin.send("do/resume", {"job": "quick", "back": "jobs/quick"}))
    assert "do/resume" not in page


def test_a_viewer_sees_the_definition_and_no_forms(viewer: Browser) -> None:
    page = viewer.page("jobs/asked")
    assert "DAGSCHED_PARAM_DAY" in page
    assert [form for form in tags_of(page, "form") if "do/" in (form.get("action") or "")] == []


def test_a_first_run_is_no_plural_and_counts_once_it_has_ended(tmp_path: Path) -> None:
    jobs = "version: 1\njobs: {a: {schedule: '0 * * * *', run: x}}\n"
    tick = utc(2026, 11, 26, 8)
    going = Run("a", tick, RunState.RUNNING, created=tick, started=tick, attempts=1)
    (tmp_path / "later").mkdir()
    (page,) = pages(tmp_path, ["jobs/a"], jobs, runs=[going])
    assert "Duration of the last run; not over yet" in text_of(page.text)
    (page,) = pages(tmp_path / "later", ["jobs/a"], jobs, runs=[going, ran("a", utc(2026, 11, 26, 7))])
    assert "Duration of the last 2 runs; 1 of 1 succeeded" in text_of(page.text)
