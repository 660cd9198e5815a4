"""Changing commands: what a running daemon is asked, and what is left for the next one."""

from __future__ import annotations

import pytest

from tests.cli.conftest import answer_with, requests_in

LOAD_ONE = "job:load:2026-11-23T01:00:00Z"

CASES = [
    pytest.param(["pause", "load"], "pause", {"job": "load"}, "paused load", id="pause"),
    pytest.param(["resume", "tidy"], "resume", {"job": "tidy"}, "resumed tidy", id="resume"),
    pytest.param(
        ["cancel", "job:extract:2026-11-23T14:00:00Z"],
        "cancel",
        {"run": "job:extract:2026-11-23T14:00:00Z"},
        "cancelled job:extract:2026-11-23T14:00:00Z",
        id="cancel",
    ),
    pytest.param(
        ["cancel", "load"],
        "cancel",
        {"run": "job:load:2026-11-23T14:00:00Z"},
        "cancelled job:load:2026-11-23T14:00:00Z",
        id="cancel a job's live run",
    ),
    pytest.param(
        ["rerun", "load"],
        "rerun",
        {"run": LOAD_ONE, "downstream": False},
        f"running again: {LOAD_ONE}",
        id="rerun",
    ),
    pytest.param(
        ["rerun", LOAD_ONE, "--downstream"],
        "rerun",
        {"run": LOAD_ONE, "downstream": True},
        f"running again: {LOAD_ONE}",
        id="rerun with downstream",
    ),
    pytest.param(["ack", "load"], "ack", {"run": LOAD_ONE}, f"acknowledged {LOAD_ONE}", id="ack"),
]


@pytest.mark.parametrize(("words", "verb", "body", "said"), CASES)
def test_a_running_daemon_does_it_at_once(call, home, monkeypatch, words, verb, body, said):
    asked = answer_with(monkeypatch, {})
    result = call(*words)
    assert (result.code, result.out) == (0, said + "\n")
    assert asked == [(verb, body)]
    assert requests_in(home) == []


@pytest.mark.parametrize(("words", "verb", "body", "said"), CASES)
def test_without_a_daemon_it_is_remembered_for_the_next_start(call, home, words, verb, body, said):
    result = call(*words)
    assert result.code == 0
    assert "remembered for the next start" in result.out
    assert requests_in(home) == [(verb, body)]


@pytest.mark.parametrize("words", [["pause", "laod"], ["trigger", "laod"], ["cancel", "laod"], ["ack", "laod"]])
def test_an_unknown_name_changes_nothing(call, home, words):
    result = call(*words)
    assert result.code == 2
    assert "did you mean 'load'?" in result.err
    assert requests_in(home) == []


@pytest.mark.parametrize("words", [["stop"], ["stop", "--handover"], ["reload"]])
def test_what_only_a_daemon_can_do_exits_4_without_one(call, home, words):
    result = call(*words)
    assert result.code == 4
    assert f"no daemon runs on {home}" in result.err
    assert requests_in(home) == []


def test_waiting_for_the_end_of_a_daemon_elsewhere_is_refused(call, home):
    result = call("stop", "--wait", "--url", "http://127.0.0.1:1")
    assert result.code == 2
    assert "--url" in result.err


def test_stop_says_whether_attempts_go_on(call, home, monkeypatch):
    asked = answer_with(monkeypatch, {})
    assert call("stop").out == "stopping the daemon\n"
    assert call("stop", "--handover").code == 0
    assert asked == [("stop", {"handover": False}), ("stop", {"handover": True})]


def problem(severity: str) -> dict[str, object]:
    return {
        "file": "jobs.yaml", "line": 3, "column": 1, "end_column": 2, "code": "E201", "severity": severity,
        "message": "unknown upstream job 'x'", "why": "", "fix": "",
    }  # fmt: skip


def test_reload_that_finds_errors_prints_them_and_exits_3(call, home, monkeypatch):
    answer_with(monkeypatch, {"applied": False, "number": 4, "problems": [problem("error")]})
    result = call("reload")
    assert result.code == 3
    assert result.lines[0] == "jobs.yaml:3:1: error E201: unknown upstream job 'x'"
    assert result.lines[-1] == "configuration 4 is in force, as before"


def test_reload_that_went_well_says_what_is_in_force(call, home, monkeypatch):
    answer_with(monkeypatch, {"applied": True, "number": 5, "problems": [problem("warning")]})
    result = call("reload")
    assert (result.code, result.lines[-1]) == (0, "configuration 5 is in force")
    assert call("reload", "--json").json["number"] == 5


def test_json_says_whether_it_is_only_remembered(call, home, monkeypatch):
    assert call("pause", "load", "--json").json == {"remembered": True, "left_for": None, "job": "load"}
    answer_with(monkeypatch, {"paused": "2026-11-23T14:30:00Z"})
    assert call("pause", "load", "--json").json == {"remembered": False, "paused": "2026-11-23T14:30:00Z"}


def test_trigger_prints_its_runs_and_what_blocks_them(call, home, monkeypatch):
    name = "job:load:2026-11-23T14:30:00.001Z"
    asked = answer_with(monkeypatch, {"runs": [name], "blocked": [f"{name}: waits for extract"]})
    result = call("trigger", "load", "--with-upstream")
    assert (result.code, result.out) == (0, name + "\n")
    assert result.err == f"{name}: waits for extract\n"
    assert asked == [("trigger", {"job": "load", "params": {}, "with_upstream": True, "only": False})]


def test_trigger_alone_and_with_upstream_exclude_each_other(call, home):
    assert call("trigger", "load", "--only", "--with-upstream").code == 2


def test_a_state_is_made_for_what_is_remembered(call, here, jobs_file, no_daemon):
    result = call("trigger", "extract")
    state_dir = here / ".dagsched"
    assert result.code == 0
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert requests_in(state_dir) == [
        ("trigger", {"job": "extract", "params": {}, "with_upstream": False, "only": False})
    ]


def test_a_value_the_job_would_refuse_is_refused_at_once_and_never_remembered(call, jobs_file, no_daemon):
    result = call("trigger", "load", "--param", "rows=many", "--state-dir", "elsewhere")
    assert (result.code, "is not of type 'integer'" in result.err) == (2, True)


@pytest.mark.parametrize(
    ("pairs", "params"),
    [
        pytest.param(["day=mon"], {"day": "mon"}, id="text"),
        pytest.param(["day=5"], {"day": "5"}, id="text that looks like a number"),
        pytest.param(["rows=5"], {"rows": 5}, id="number"),
        pytest.param(["day=a=b"], {"day": "a=b"}, id="equals sign in the value"),
        pytest.param(["day=", "rows=1"], {"day": "", "rows": 1}, id="several"),
    ],
)
def test_params_get_the_type_that_the_job_declares(call, jobs_file, monkeypatch, pairs, params):
    asked = answer_with(monkeypatch, {"runs": [], "blocked": []})
    words = [word for pair in pairs for word in ("--param", pair)]
    assert call("trigger", "load", *words, "--state-dir", "elsewhere").code == 0
    assert asked[0][1]["params"] == params


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        ("day", "write it as name=value"),
        ("=mon", "write it as name=value"),
        ("dya=mon", "did you mean 'day'?"),
    ],
)
def test_params_that_cannot_be_are_refused(call, jobs_file, no_daemon, pair, said):
    result = call("trigger", "load", "--param", pair)
    assert result.code == 2
    assert said in result.err
