"""`dagsched emit`: how data are written, what is refused at once, what is left for the next start."""

from __future__ import annotations

import json

import pytest

from tests.cli.conftest import answer_with, requests_in

ANSWER = {"event": "arrived", "repeated": False, "jobs": ["load"], "runs": ["job:load:x"], "blocked": ["it waits"]}


def test_a_running_daemon_is_told_and_its_runs_are_named(call, home, monkeypatch, tmp_path):
    asked = answer_with(monkeypatch, ANSWER)
    (tmp_path / "more.json").write_text('{"rows": 2}')
    result = call("emit", "arrived", "--data", "who=me=you", "--data", f"@{tmp_path}/more.json", "--id", "7")
    assert (result.code, result.out, result.err) == (0, "job:load:x\n", "it waits\n")
    assert asked == [("emit", {"event": "arrived", "data": {"who": "me=you", "rows": 2}, "id": "7"})]


def test_an_event_that_nobody_hears_is_no_failure(call, home, monkeypatch):
    answer_with(monkeypatch, {**ANSWER, "jobs": [], "runs": [], "blocked": []})
    result = call("emit", "arrived")
    assert (result.code, result.out) == (0, "")
    assert "arrived is recorded; no job listens to it" in result.err


def test_a_repeated_event_says_so(call, home, monkeypatch):
    answer_with(monkeypatch, {**ANSWER, "repeated": True, "jobs": [], "runs": [], "blocked": []})
    result = call("emit", "arrived", "--id", "7")
    assert (result.code, result.err) == (0, "arrived with the id '7' was emitted before: nothing was made\n")


def test_without_a_daemon_it_is_remembered(call, home):
    result = call("emit", "arrived", "--data", '{"n": 1}', "--json")
    assert json.loads(result.out) == {
        "remembered": True, "left_for": None, "event": "arrived", "repeated": None,
        "jobs": [], "runs": [], "blocked": [],
    }  # fmt: skip
    assert requests_in(home) == [("emit", {"event": "arrived", "data": {"n": 1}, "id": ""})]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["emit", "arrived", "--data", "{"], "is no JSON"),
        (["emit", "arrived", "--data", "x"], "write it as name=value"),
        (["emit", "arrived", "--data", "@/nowhere"], "cannot be read"),
        (["emit", "a b"], "is no name of an event"),
    ],
)
def test_what_cannot_be_an_event_is_refused_and_not_remembered(call, home, words, said):
    result = call(*words)
    assert result.code == 2
    assert said in result.err
    assert requests_in(home) == []
