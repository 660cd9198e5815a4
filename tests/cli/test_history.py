"""`history`: rows as programs rely on them, and a table for people."""

from __future__ import annotations

import pytest

from tests.cli.ledger import DAY

pytestmark = pytest.mark.usefixtures("home")

KEYS = [
    "run",
    "job",
    "tick",
    "until",
    "state",
    "reason",
    "trigger",
    "attempts",
    "started",
    "ended",
    "duration_s",
    "exit_code",
    "config",
    "late",
]


def test_json_rows_have_exactly_the_promised_keys(call):
    rows = call("history", "--json").rows
    assert [list(row) for row in rows] == [KEYS] * len(DAY.runs)


def test_a_row_tells_all_of_a_run(call):
    [row] = [row for row in call("history", "--json").rows if row["run"] == "job:extract:2026-11-23T01:00:00Z"]
    assert row == {
        "run": "job:extract:2026-11-23T01:00:00Z",
        "job": "extract",
        "tick": "2026-11-23T01:00:00Z",
        "until": None,
        "state": "success",
        "reason": "",
        "trigger": "schedule",
        "attempts": 2,
        "started": "2026-11-23T01:00:00.040Z",
        "ended": "2026-11-23T01:03:12.040Z",
        "duration_s": 192.0,
        "exit_code": 0,
        "config": 1,
        "late": False,
    }


def test_a_range_of_left_out_ticks_is_one_row(call):
    [row] = call("history", "tidy", "--json").rows
    assert (row["tick"], row["until"]) == ("2026-11-23T03:00:00Z", "2026-11-23T13:00:00Z")
    assert (row["state"], row["reason"], row["started"]) == ("skipped", "paused", None)


def runs(result) -> list[str]:
    return [row["run"].removeprefix("job:").removesuffix(":00:00Z") for row in result.rows]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        pytest.param(["load"], ["load:2026-11-23T14", "load:2026-11-23T02:00:00.007Z", "load:2026-11-23T01"], id="job"),
        pytest.param(["load", "--limit", "1"], ["load:2026-11-23T14"], id="limit"),
        pytest.param(["--state", "failed"], ["load:2026-11-23T01"], id="state"),
        pytest.param(
            ["--state", "failed", "--state", "running"],
            ["extract:2026-11-23T14", "load:2026-11-23T01"],
            id="states",
        ),
        pytest.param(["extract", "--since", "45m"], ["extract:2026-11-23T14"], id="since a length"),
        pytest.param(["extract", "--since", "2026-11-23T13:00"], ["extract:2026-11-23T14"], id="since an instant"),
        pytest.param(["extract", "--since", "2027-01-01"], [], id="since the future"),
    ],
)
def test_rows_are_chosen_newest_first(call, words, expected):
    result = call("history", *words, "--json")
    assert (result.code, runs(result)) == (0, expected)


def test_limit_0_is_all(call, monkeypatch):
    monkeypatch.setattr("dagsched.cli.history.LIMIT", 2)
    assert (len(call("history", "--json").rows), len(call("history", "--json", "--limit", "0").rows)) == (
        2,
        6,
    )


def test_a_job_nobody_knows_is_named_with_the_nearest(call):
    result = call("history", "extrct")
    assert (result.code, result.err) == (
        2,
        "dagsched: error: unknown job 'extrct'; did you mean 'extract'?\n",
    )


def test_piped_text_is_an_aligned_table_without_colour(call):
    result = call("history", "load")
    assert result.lines[0].split() == ["RUN", "STATE", "LOCAL", "TRIGGER", "TRIES", "TOOK", "REASON"]
    assert result.lines[3].split("  ")[0] == "job:load:2026-11-23T01:00:00Z"
    assert {line.index("Mon") for line in result.lines[1:]} == {result.lines[0].index("LOCAL")}
    assert "\x1b" not in result.out
    assert result.err == ""


def test_no_state_is_an_empty_history_and_not_created(call, here):
    other = here / "other"
    result = call("history", "--state-dir", str(other))
    assert (result.code, result.out, other.exists()) == (0, "", False)
