"""`backfill`: what it shows first, what it asks the daemon for, and how it follows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dagsched.cli.backfill import moment
from dagsched.errors import UsageError
from dagsched.model import Run, RunState, parse_instant, utc
from dagsched.stores.contract import Batch
from tests.cli.conftest import answer_with, requests_in, store
from tests.daemon.served import PATIENCE_S, Served, rows

NOW = utc(2026, 11, 23, 14, 30)
FILE = """\
version: 1
timezone: America/New_York
jobs:
  extract: {schedule: "0 9 * * *", run: ./extract, params: {n: {type: integer, default: 1}}}
  load: {depends_on: [extract], run: ./load}
  daily: {schedule: "0 10 * * *", depends_on: [load], run: ./daily}
  alone: {run: ./alone}
"""
WEEK = ("--from", "2026-11-16", "--to", "2026-11-20")


@pytest.fixture
def file(here, at_now, no_daemon):
    (here / "jobs.yaml").write_text(FILE)


def row(day: int, state: RunState, **fields) -> Run:
    tick = utc(2026, 11, day, 14)
    return Run("extract", tick, state, ended=tick, **fields)


LEDGER = Batch(
    runs=[
        row(16, RunState.SUCCESS, attempts=1),
        row(17, RunState.MISSED, until=utc(2026, 11, 18, 14), reason="down", attempt_limit=0),
        row(19, RunState.FAILED, attempts=2),
    ]
)


def test_a_dry_run_shows_what_would_become_of_each_tick(call, file, here):
    store(here / ".dagsched", LEDGER)
    found = call("backfill", "extract", *WEEK, "--dry-run", "--json")
    assert found.code == 0
    assert found.json["jobs"] == [
        {
            "job": "extract", "runs": 3, "new": 1, "again": {"missed": 2},
            "left_alone": {"success": 1, "failed": 1},
            "first_ticks": ["2026-11-17T14:00:00Z", "2026-11-18T14:00:00Z", "2026-11-20T14:00:00Z"],
        }
    ]  # fmt: skip
    assert (found.json["ticks"], found.json["dry_run"]) == (5, True)
    assert requests_in(here / ".dagsched") == []


@pytest.mark.parametrize(("option", "runs"), [("--rerun-failed", 4), ("--rerun-all", 5)])
def test_what_ran_is_run_again_only_by_option(call, file, here, option, runs):
    store(here / ".dagsched", LEDGER)
    assert call("backfill", "extract", *WEEK, option, "--dry-run", "--json").json["runs"] == runs


def test_unscheduled_descendants_are_counted_too(call, file):
    found = call("backfill", "extract", *WEEK, "--downstream", "--dry-run")
    assert [line.split()[:3] for line in found.lines[1:3]] == [["extract", "5", "5"], ["load", "5", "5"]]
    assert "Mon 2026-11-16 09:00 EST" in found.out


def test_an_unscheduled_job_gets_the_ticks_of_its_upstreams(call, file):
    assert call("backfill", "load", *WEEK, "--dry-run", "--json").json["ticks"] == 5


def test_where_nobody_can_be_asked_it_wants_a_yes(call, file):
    found = call("backfill", "extract", *WEEK)
    assert (found.code, found.err) == (
        2, "dagsched: error: this would run 5 runs; say --yes, or --dry-run to see which\n",
    )  # fmt: skip


def test_the_daemon_is_asked_and_its_answer_shown(call, file, monkeypatch):
    asked = answer_with(monkeypatch, {"id": 3, "job": "extract", "total": 5})
    found = call("backfill", "extract", *WEEK, "--yes", "--order", "newest", "--max-active", "2", "--param", "n=7")
    assert found.out == "backfill 3 of extract: 5 ticks\n"
    [(verb, body)] = asked
    assert (verb, body) == (
        "backfill",
        {
            "job": "extract", "first": "2026-11-16T05:00:00Z", "last": "2026-11-21T04:59:59.999Z",
            "newest_first": True, "max_active": 2, "downstream": False, "again": "gaps", "params": {"n": 7},
        },
    )  # fmt: skip


def test_without_a_daemon_it_is_remembered(call, file, here):
    store(here / ".dagsched")
    assert "remembered for the next start" in call("backfill", "extract", *WEEK, "--yes").out
    assert [verb for verb, _ in requests_in(here / ".dagsched")] == ["backfill"]
    assert "remembered" in call("backfill", "--cancel", "1").out


def test_nothing_to_run_asks_for_nothing(call, file, here):
    store(here / ".dagsched", LEDGER)
    found = call("backfill", "extract", "--from", "2026-11-16", "--to", "2026-11-16", "--yes", "--json")
    assert (found.code, found.json["id"], found.json["runs"]) == (0, None, 0)
    assert requests_in(here / ".dagsched") == []


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["extract", "--from", "2026-11-20", "--to", "2026-11-30"], 1, "the next at 2026-11-24T14:00:00Z"),
        (["extract", "--from", "2026-11-20", "--to", "2026-11-16"], 2, "lies before"),
        (["extract", "--from", "2026-11-20T12:00", "--to", "2026-11-20T13:00"], 1, "has no tick from"),
        (["alone", "--from", "7d"], 1, "dagsched trigger alone"),
        (["extrac", "--from", "7d"], 2, "did you mean 'extract'"),
        (["extract"], 2, "name a JOB and its first instant"),
        (["extract", "--from", "soon"], 2, "is no instant"),
        (["extract", "--from", "7d", "--max-active", "0"], 2, "at least 1"),
        (["extract", "--from", "7d", "--param", "n=many"], 2, "is not of type 'integer'"),
        (["extract", "--from", "7d", "--dry-run", "--yes"], 2, "not allowed with"),
    ],
    ids=["coming ticks", "backwards", "no tick", "no schedule", "unknown job", "no from", "no instant", "no room",
         "wrong parameter", "both"],
)  # fmt: skip
def test_what_cannot_be_backfilled_is_told(call, file, words, code, said):
    found = call("backfill", *words)
    assert (found.code, said in found.err) == (code, True), found.err


def test_today_as_a_whole_day_is_fine_when_no_tick_of_it_is_to_come(call, file):
    found = call("backfill", "extract", "--from", "2026-11-23", "--to", "2026-11-23", "--dry-run", "--json")
    assert (found.json["ticks"], found.json["last"]) == (1, "2026-11-23T14:30:00Z")


@pytest.mark.parametrize(
    ("text", "is_end", "expected"),
    [
        ("2026-11-01", False, "2026-11-01T04:00:00Z"),
        ("2026-11-01", True, "2026-11-02T04:59:59.999Z"),
        ("2026-11-01T01:30", False, "2026-11-01T05:30:00Z"),
        ("2026-11-01T01:30", True, "2026-11-01T06:30:00Z"),
        ("2026-11-01T01:30Z", True, "2026-11-01T01:30:00Z"),
        ("now", True, "2026-11-23T14:30:00Z"),
        ("2d", False, "2026-11-21T14:30:00Z"),
    ],
)
def test_times_are_local_and_both_passes_of_a_repeated_hour_lie_between_its_ends(text, is_end, expected):
    assert moment(text, "America/New_York", NOW, is_end=is_end) == parse_instant(expected)


def test_a_date_beyond_the_calendar_is_told():
    with pytest.raises(UsageError):
        moment("9999-12-31", "UTC", NOW, is_end=True)


# ---------------------------------------------------------------- a real daemon

LIVE = """\
version: 1
jobs:
  often: {schedule: "*/10 * * * *", run: "echo $DAGSCHED_TICK >> out"}
  below: {depends_on: [often], run: "true"}
"""
DAY = ("often", "--from", "2026-03-02", "--to", "2026-03-02")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs.yaml").write_text(LIVE)
    return tmp_path


def test_a_backfill_survives_the_daemon_that_is_killed_in_the_middle(folder):
    with Served(folder) as served:
        served.until_type("daemon.started")
        served.ask("backfill", *DAY, "--yes", "--downstream")
        for _ in range(5):
            served.until_type("run.succeeded", "below")
        served.signal(signal.SIGKILL)
        served.ended()
    with Served(folder) as served:
        served.until_type("backfill.done")
        [row] = rows(served.ask("backfill", "--list", "--json"))
        assert (row["state"], row["handled"], row["made"], row["success"]) == ("done", 144, 288, 288)
        told = [tick for tick in (folder / "out").read_text().splitlines() if tick.startswith("2026-03-02")]
        assert (len(told), told) == (144, sorted(set(told)))
        again = served.ask("backfill", *DAY, "--yes", "--downstream", "--json")
        assert '"runs": 0' in again


def test_following_ends_with_the_backfill_and_says_what_failed(folder):
    (folder / "jobs.yaml").write_text(LIVE.replace('"true"', '"false"'))
    with Served(folder) as served:
        served.until_type("daemon.started")
        words = ("--from", "2026-03-02T00:00", "--to", "2026-03-02T00:20", "--yes", "--downstream", "--follow")
        found = served.ask("backfill", "often", *words, code=1)
        assert found == "backfill 1 of often is done: 3 of 3 ticks, 3 success, 3 failed, 0 skipped\n"


def heed_interrupts():
    """Undo what a shell does to what it starts in the background, and tests in it hand on: SIGINT is ignored there."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_an_interrupt_of_the_follower_leaves_the_backfill_alone(folder):
    (folder / "jobs.yaml").write_text(LIVE.replace("echo", "sleep 0.2; echo"))
    with Served(folder) as served:
        served.until_type("daemon.started")
        follower = subprocess.Popen(
            [sys.executable, "-m", "dagsched", "backfill", *DAY, "--yes", "--follow"], cwd=folder,
            env={**os.environ, "NO_COLOR": "1"}, preexec_fn=heed_interrupts,
        )  # fmt: skip
        served.until_type("run.succeeded", "often")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(4 * PATIENCE_S) == 130
        served.until_type("run.succeeded", "often")
        served.ask("backfill", "--cancel", "1")
        served.until_type("backfill.cancelled")
        [row] = rows(served.ask("backfill", "--list", "--json"))
        assert (row["state"], row["reason"]) == ("cancelled", "cancelled by request")
