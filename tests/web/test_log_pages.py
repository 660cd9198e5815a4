"""*Events*, *Dead letters* and *Config*: what was written down."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagsched.model import ConfigVersion, EventRow, Run, RunState
from tests.api.caller import Caller
from tests.web.browser import Browser, said, tags_of, text_of
from tests.web.stored import HOSTILE, ago, page, pages, ran

JOBS = """\
version: 1
jobs:
  extract: {schedule: "0 * * * *", run: "true"}
  load: {depends_on: [extract], run: "true"}
"""
LOGGED = ("events", "events?kind=run&job=load", "letters", "config")


def failed(job: str, hours: float, **more) -> Run:
    return ran(job, ago(hours=hours), "failed", **more)


def log(count: int, **more: str) -> list[EventRow]:
    return [
        EventRow(
            seq, ago(minutes=count - seq), "run.succeeded", "load" if seq % 2 else "extract", ago(hours=1), 1, **more
        )
        for seq in range(1, count + 1)
    ]


def numbers(text: str) -> list[int]:
    return [int(row["data-event"]) for row in tags_of(text, "tr") if "data-event" in row]


@pytest.mark.parametrize("path", LOGGED)
def test_a_page_is_there_when_nothing_has_happened_and_hostile_words_stay_words(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    page(tmp_path / "empty", path)
    text = page(
        tmp_path,
        path,
        JOBS,
        runs=[failed("load", 2, reason=HOSTILE)],
        events=[
            EventRow(1, ago(hours=2), "run.failed", "load", ago(hours=2), 1, "running", "failed", HOSTILE),
            EventRow(2, ago(hours=1), "config.rejected", reason=HOSTILE, detail={"problems": [
                {"file": HOSTILE, "line": 1, "code": "E1", "message": HOSTILE}, "odd"]}),
        ],
        configs=[ConfigVersion(1, ago(days=1), "d" * 64, {f"/x/{HOSTILE}.yaml": JOBS}, HOSTILE)],
    )  # fmt: skip
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_events_come_newest_first_and_by_the_page_without_a_gap(tmp_path: Path) -> None:
    first, second, third = pages(tmp_path, ["events", "events?before=151", "events?before=51"], JOBS, events=log(250))
    assert numbers(first.text) == list(range(250, 150, -1))
    assert 'href="./events?before=151"' in first.text
    assert numbers(second.text) == list(range(150, 50, -1))
    assert numbers(third.text) == list(range(50, 0, -1))
    assert 'rel="next"' not in third.text


def test_events_of_a_kind_and_a_job_alone(tmp_path: Path) -> None:
    events = [*log(9), EventRow(10, ago(), "config.applied", reason="configuration 2")]
    kind, job, both = pages(
        tmp_path, ["events?kind=config", "events?job=load", "events?kind=config&job=load"], JOBS, events=events
    )
    assert numbers(kind.text) == [10]
    assert numbers(job.text) == [9, 7, 5, 3, 1]
    assert numbers(both.text) == []
    assert "No such event." in both.text


def test_looking_for_a_rare_kind_goes_on_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagsched.web.pages.events.LOOK", 5)
    events = [EventRow(1, ago(), "config.applied"), *log(12)[1:]]
    one, two, three = pages(
        tmp_path,
        ["events?kind=config", "events?kind=config&before=8", "events?kind=config&before=3"],
        JOBS,
        events=events,
    )
    assert "from number 8 on" in one.text
    assert "before=8" in one.text
    assert "before=3" in two.text
    assert numbers(three.text) == [1]


def test_dead_letters_are_failed_runs_that_nobody_acknowledged(tmp_path: Path) -> None:
    runs = [failed("load", 1), failed("load", 2, acked=True), failed("extract", 3), ran("load", ago(hours=4))]
    both, one, unknown = pages(tmp_path, ["letters", "letters?job=extract", "letters?job=lod"], JOBS, runs=runs)
    assert [box["value"] for box in tags_of(both.text, "input") if box.get("name") == "run"] == [
        runs[0].name,
        runs[2].name,
    ]
    assert [box["value"] for box in tags_of(one.text, "input") if box.get("name") == "run"] == [runs[2].name]
    assert unknown.status_code == 404


def test_dead_letters_come_by_the_page_whatever_was_acknowledged_among_them(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("dagsched.web.pages.letters.ROWS", 3)
    monkeypatch.setattr("dagsched.web.pages.letters.LOOK", 5)
    runs = [failed("load", hours, acked=hours % 4 == 0) for hours in range(1, 21)]
    seen: list[str] = []
    path = "letters"
    for step in range(20):
        folder = tmp_path / str(step)
        folder.mkdir()
        text = page(folder, path, JOBS, runs=runs)
        seen += [str(box["value"]) for box in tags_of(text, "input") if box.get("name") == "run"]
        older = re.search(r'rel="next" href="\./([^"]+)"', text)
        if older is None:
            break
        path = older[1].replace("&amp;", "&")
    assert seen == [run.name for run in runs if not run.acked]


def test_dead_letters_are_run_again_and_acknowledged_together(admin: Browser, viewer: Browser, caller: Caller) -> None:
    names = [caller.run_once("broken", "run.failed") for _ in range(2)]
    assert all(name in viewer.page("letters") for name in names)
    assert 'name="run"' not in viewer.page("letters")
    assert "failed exit code 3 oops" in text_of(viewer.page("letters"))  # the last line that it wrote
    shown = admin.after(admin.send("do/ack", {"run": names, "back": "letters"}))
    assert said(shown) == "2 runs: acknowledged"
    assert not any(f'value="{name}"' in shown for name in names)


def test_the_configuration_tells_its_versions_what_they_changed_and_what_was_rejected(tmp_path: Path) -> None:
    configs = [
        ConfigVersion(n, ago(days=30 - n), str(n) * 64, {"/x/jobs.yaml": JOBS}, f"change {n}") for n in (1, 2, 3)
    ]
    rejected = EventRow(1, ago(days=28, hours=-1), "config.rejected", reason="1 error", detail={
        "problems": [{"file": "/x/jobs.yaml", "line": 3, "code": "E201", "message": "unknown upstream job 'extrct'"}]
    })  # fmt: skip
    newest, first, missing = pages(
        tmp_path, ["config", "config?version=1", "config?version=9"], configs=configs, events=[rejected]
    )
    history = text_of(newest.text).partition("History")[2]
    assert re.findall(r"applied \d|rejected", history) == ["applied 3", "rejected", "applied 2", "applied 1"]
    assert "E201 unknown upstream job 'extrct'" in history
    assert "Configuration 1 was applied" in text_of(first.text)
    assert missing.status_code == 404


def test_the_text_of_a_file_is_shown_by_line_to_an_operator(tmp_path: Path) -> None:
    place = f"config?file={tmp_path}/jobs.yaml"
    shown, other = pages(tmp_path, [place, "config?file=/etc/passwd"], JOBS)
    assert 'id="L4"' in shown.text
    assert "load: {depends_on: [extract]" in shown.text
    assert other.status_code == 404


def test_the_text_of_a_file_is_not_shown_to_a_viewer(viewer: Browser, admin: Browser) -> None:
    link = re.search(r'href="\./(config\?file=[^"]+)"', admin.page("config"))
    assert link is not None
    assert "echo oops" in admin.page(link[1])
    assert viewer.get(link[1]).status_code == 403
    assert "config?file=" not in viewer.page("config")


def test_what_is_wrong_now_is_shown_with_its_line_and_a_caret(admin: Browser, caller: Caller) -> None:
    jobs = caller.daemon.folder / "jobs.yaml"
    good = jobs.read_text()
    try:
        jobs.write_text(good + "  typo: {depends_on: [extrct], run: 'true'}\n")
        caller.daemon.until(lambda event: event["type"] == "config.rejected", "the rejection")
        shown = admin.page("config")
        while "findings" not in shown:  # the page's word of the daemon is at most a moment old
            shown = admin.page("config")
        assert "unknown upstream job &#39;extrct&#39;" in shown
        assert "^^^^^^" in shown
    finally:
        jobs.write_text(good)


def test_a_run_that_has_no_letter_is_not_among_them(tmp_path: Path) -> None:
    run = Run("load", ago(hours=1), RunState.UPSTREAM_FAILED, ended=ago(hours=1))
    assert "There are none." in page(tmp_path, "letters", JOBS, runs=[run])
