"""`status`: the daemon, the configuration and every job, with or without a daemon."""

from __future__ import annotations

import pytest

from dagsched.stores.contract import Batch
from dagsched.stores.lock import LOCK, DaemonLock
from tests.cli import ledger
from tests.cli.conftest import answer_with, store


@pytest.fixture
def in_force(here, at_now, no_daemon):
    """The state of a day under a configuration that the daemon stored; there is no job file."""
    state_dir = here / ".dagsched"
    store(state_dir, ledger.DAY, Batch(config=ledger.config_of()))
    return state_dir


def jobs(result) -> dict[str, dict]:
    return {row["job"]: row for row in result.json["jobs"]}


def test_each_job_has_its_state_last_and_next_run_and_counts(call, in_force):
    extract = jobs(call("status", "--json"))["extract"]
    assert extract["state"] == "running"
    assert extract["last"]["run"] == "job:extract:2026-11-23T14:00:00Z"
    assert extract["next"] == {"tick": "2026-11-24T14:00:00Z", "local": "2026-11-24T09:00:00-05:00", "note": ""}
    assert extract["counts"] == {"running": 1, "success": 1}


def test_what_is_under_way_comes_before_what_is_newer(call, in_force):
    rows = jobs(call("status", "--json"))
    assert rows["load"]["last"]["state"] == "waiting"
    assert (rows["tidy"]["state"], rows["tidy"]["paused"]) == ("paused", "2026-11-23T02:00:00Z")


def test_the_configuration_in_force_is_named(call, in_force):
    assert call("status", "--json").json["config"] == {
        "number": 1,
        "applied": "2026-11-23T01:00:00Z",
        "digest": "ab" * 32,
        "files": ["/srv/jobs.yaml"],
        "summary": "3 jobs added",
    }


def test_a_running_daemon_adds_what_only_it_knows(call, in_force, monkeypatch):
    error = {"file": "jobs.yaml", "line": 3, "column": 1, "severity": "error", "message": "unknown upstream job 'x'"}
    answer = {"pid": 4711, "health": "ok", "stopping": False, "running": ["job:a:2026-11-23T14:00:00Z"]}
    answer["problems"] = [error, {**error, "severity": "warning"}]
    asked = answer_with(monkeypatch, answer)
    assert call("status", "--json").json["daemon"] == {**answer, "running": True, "runs": answer["running"]}
    lines = call("status").lines
    assert lines[0] == f"daemon    running, process 4711 ({in_force})"
    assert lines[2] == "problem   jobs.yaml:3:1: unknown upstream job 'x'"
    assert lines[3].startswith("JOB")
    assert asked == [("status", {})] * 2


def test_what_keeps_the_daemon_from_its_work_is_told(call, in_force, monkeypatch):
    answer = {"pid": 4711, "health": "the disk is full", "stopping": True, "problems": [], "running": []}
    answer_with(monkeypatch, answer)
    lines = call("status").lines
    assert lines[0] == f"daemon    stopping, process 4711 ({in_force})"
    assert lines[2:4] == ["trouble   the disk is full", "stopping  nothing new is started"]
    answer |= {"running": ["job:a:2026-11-23T14:00:00Z"], "grace_until": "2026-11-23T14:31:00Z"}
    assert call("status").lines[3] == "stopping  nothing new is started; 1 run under way, ended at 2026-11-23T14:31:00Z"


def test_without_a_daemon_it_says_so(call, in_force):
    assert call("status", "--json").json["daemon"] == {"running": False, "held_by": None}
    assert call("status").lines[0] == f"daemon    not running ({in_force})"


def test_who_has_the_state_without_answering_is_named(call, in_force):
    """A daemon that starts or has ended its attempts, or a `run --once`."""
    lock = DaemonLock(in_force / LOCK)
    lock.take("process 4711 on here")
    try:
        assert call("status", "--json").json["daemon"] == {"running": False, "held_by": "process 4711 on here"}
        line = f"daemon    starting, stopping or `run --once`: process 4711 on here ({in_force})"
        assert call("status").lines[0] == line
    finally:
        lock.release()
    assert call("status", "--json").json["daemon"] == {"running": False, "held_by": None}


def test_people_see_one_line_per_job(call, in_force):
    head, *lines = call("status").lines[2:]
    assert head.split() == ["JOB", "STATE", "LAST", "NEXT", "OK", "FAILED", "REASON"]
    assert [line.split()[:2] for line in lines] == [["extract", "running"], ["load", "waiting"], ["tidy", "paused"]]
    assert "30m ago" in lines[0]
    assert "in 23h 30m" in lines[0]


def test_what_is_left_for_the_next_start_is_listed(call, in_force):
    call("pause", "load")
    call("ack", "job:load:2026-11-23T01:00:00Z")
    assert [(row["verb"], row["body"]) for row in call("status", "--json").json["requests"]] == [
        ("pause", {"job": "load"}),
        ("ack", {"run": "job:load:2026-11-23T01:00:00Z"}),
    ]
    assert call("status").lines[2:4] == [
        "to do     pause load at the next start",
        "to do     ack job:load:2026-11-23T01:00:00Z at the next start",
    ]


def test_before_the_first_start_the_job_file_is_shown(call, here, jobs_file, at_now, no_daemon):
    result = call("status", "--json")
    assert result.json["config"] is None
    assert [(row["job"], row["state"], row["last"]) for row in result.json["jobs"]] == [
        ("extract", "", None),
        ("load", "", None),
        ("tidy", "", None),
    ]


def test_without_a_daemon_the_files_decide_what_comes_next(call, in_force, here):
    (here / "jobs.yaml").write_text('version: 1\njobs:\n  extract: {schedule: "0 20 * * *", run: x}\n')
    rows = jobs(call("status", "--json"))
    assert rows["extract"]["next"]["tick"] == "2026-11-23T20:00:00Z"
    assert (rows["tidy"]["removed"], rows["tidy"]["state"]) == (True, "removed")


def test_what_a_run_waits_for_is_told_if_a_daemon_knows(call, in_force, monkeypatch):
    blocked = {jobs(call("status", "--json"))["load"]["last"]["run"]: "it waits for upstream extract"}
    answer = {"pid": 1, "health": "ok", "stopping": False, "running": [], "problems": [], "blocked": blocked}
    answer_with(monkeypatch, answer)
    rows = jobs(call("status", "--json"))
    assert (rows["load"]["blocked"], rows["extract"]["blocked"]) == ("it waits for upstream extract", None)
    (line,) = [line for line in call("status").lines if line.startswith("load")]
    assert line.endswith("it waits for upstream extract")
