"""`show`: one run with everything around it, found by any of its names."""

from __future__ import annotations

import pytest

from dagsched.model import JobMark
from dagsched.stores.contract import Batch
from tests.cli import ledger
from tests.cli.conftest import store

pytestmark = pytest.mark.usefixtures("home")


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        pytest.param("job:load:2026-11-23T01:00:00Z", "job:load:2026-11-23T01:00:00Z", id="full name"),
        pytest.param("load:2026-11-23T01:00:00Z", "job:load:2026-11-23T01:00:00Z", id="without job:"),
        pytest.param("load:2026-11-22T20:00:00-05:00", "job:load:2026-11-23T01:00:00Z", id="other offset"),
        pytest.param("load", "job:load:2026-11-23T14:00:00Z", id="job means its newest run"),
        pytest.param("tidy:2026-11-23T07:00:00Z", "job:tidy:2026-11-23T03:00:00Z", id="inside a range row"),
    ],
)
def test_a_run_is_found_by_any_of_its_names(call, typed, found):
    assert call("show", typed, "--json").json["run"] == found


@pytest.mark.parametrize(
    ("typed", "nearest"),
    [
        pytest.param("load:2026-11-24T01:00:00Z", "job:load:2026-11-23T14:00:00Z", id="tick"),
        pytest.param("laod", "load", id="job"),
    ],
)
def test_an_unknown_run_names_the_nearest(call, typed, nearest):
    result = call("show", typed)
    assert (result.code, result.err) == (
        2, f"dagsched: error: unknown run {typed!r}; did you mean {nearest!r}?\n"
    )  # fmt: skip


def test_a_job_that_has_had_no_run_is_told_apart_from_an_unknown_one(call, home):
    store(home, Batch(marks=[JobMark("fresh", ledger.TWO)]))
    result = call("show", "fresh")
    assert (result.code, result.err) == (1, "dagsched: error: fresh has had no run yet\n")


def test_json_has_attempts_upstream_runs_and_outputs(call):
    extract = call("show", "extract:2026-11-23T01:00:00Z", "--json").json
    assert [(row["attempt"], row["outcome"], row["exit_code"]) for row in extract["attempt_list"]] == [
        (1, "failed", 7),
        (2, "success", 0),
    ]
    assert extract["outputs"] == {"rows": "17"}
    load = call("show", "load", "--json").json
    assert load["upstream"] == [
        {
            "job": "extract",
            "match": "latest",
            "run": "job:extract:2026-11-23T14:00:00Z",
            "state": "running",
            "reason": "",
        }
    ]


def test_json_reads_no_configuration(call, monkeypatch):
    monkeypatch.setattr("dagsched.cli.show.zones_of", None)
    assert call("show", "load", "--json").code == 0


def test_text_tells_the_same_to_a_person(call):
    text = call("show", "extract:2026-11-23T01:00:00Z").out
    assert "state      success\n" in text
    assert "took       3m 12s\n" in text
    assert "outputs    rows=17\n" in text
    assert "exit 7" in text


def test_text_of_a_waiting_run_names_the_upstream_run_and_its_state(call):
    last = call("show", "load").lines[-1]
    assert last.split() == ["job:extract:2026-11-23T14:00:00Z", "latest", "running"]
