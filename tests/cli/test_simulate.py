"""`simulate`: the coming days on a virtual clock."""

from __future__ import annotations

import pytest

from dagsched.cli.forecast import RAMP, level_of
from dagsched.stores.contract import Batch
from tests.cli import ledger
from tests.cli.conftest import store

JOBS = """\
version: 1
timezone: Europe/Berlin
pools: {warehouse: 1}
jobs:
  extract: {schedule: "0 2 * * *", run: ./extract, pool: warehouse}
  other: {schedule: "0 2 * * *", run: ./other, pool: warehouse}
  load: {depends_on: [extract], run: ./load}
  hourly: {schedule: "@hourly", run: ./hourly}
"""


@pytest.fixture
def file(here, at_now, no_daemon):
    path = here / "jobs.yaml"
    path.write_text(JOBS)
    return path


def test_it_needs_neither_daemon_nor_state_and_leaves_none(call, file, here):
    result = call("simulate", "--days", "2", "--json")
    assert (result.code, result.err) == (0, "")
    document = result.json
    # 15:30 of the 23rd in Berlin, and two whole days after the rest of it.
    assert (document["from"], document["until"]) == ("2026-11-23T14:30:00Z", "2026-11-25T23:00:00Z")
    assert [day["whole"] for day in document["days"]] == [False, True, True]
    assert document["states"] == {"success": 6 + 56}
    assert not (here / ".dagsched").exists()


def test_the_same_seed_gives_the_same_report_and_another_one_another(call, file):
    words = ("simulate", "--json", "--fail-rate", "0.3")
    first, again, other = (call(*words, "--seed", seed).out for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


def test_durations_and_fail_rates_may_be_said_by_job(call, file):
    words = ("simulate", "--from", "2026-11-24T00:00+01:00", "--days", "1", "--json")
    document = call(*words, "--duration", "extract=30m", "--duration", "2m", "--fail-rate", "load=1").json
    extract, other, load, hourly = document["jobs"]
    assert load["states"] == {"failed": 1}
    assert (extract["lengths_from"], other["lengths_from"], load["fail_rate"]) == ("given", "given", 1.0)
    assert other["waited"]["max_s"] == 1800.0
    assert hourly["states"] == {"success": 24}
    assert document["finish"]["max_s"] == 2 * 3600 + 32 * 60


def test_lengths_come_from_history_and_the_state_is_gone_on_from(call, home, jobs_file):
    store(home, Batch(config=ledger.config_of()))
    document = call("simulate", "--json", "--days", "1").json
    jobs = {row["job"]: row for row in document["jobs"]}
    assert jobs["extract"]["lengths_from"] == "history"
    assert jobs["load"]["fail_rate"] == 0.5
    # It was paused when the day began, and nobody resumes it.
    assert set(jobs["tidy"]["states"]) == {"skipped"}
    assert any("the state as it is" in line for line in document["assumptions"])


def test_another_start_has_nothing_to_do_with_the_state_as_it_is(call, home, jobs_file):
    document = call("simulate", "--json", "--days", "1", "--from", "2026-12-01").json
    jobs = {row["job"]: row for row in document["jobs"]}
    assert set(jobs["tidy"]["states"]) == {"success"}
    assert any("nothing under way" in line for line in document["assumptions"])


def test_people_see_tables_the_critical_path_a_map_and_what_was_assumed(call, file):
    result = call("simulate", "--days", "2", "--duration", "extract=30m")
    lines = result.lines
    assert lines[0] == "simulated from Mon 2026-11-23 15:30 CET to Thu 2026-11-26 00:00 CET, seed 0"
    assert "ticks      62: 62 success" in lines
    assert any(line.startswith("finish     p50 02:31") for line in lines)
    assert [line.split() for line in lines if line.startswith("warehouse")] == [
        ["warehouse", "1", "4", "2", "0", "30m", "30m"]
    ]
    assert "  02:00:00 extract  30m (due)" in lines
    assert "  02:30:00 other  1m (waited for pool, after 30m of waiting)" in lines
    assert any(line.startswith("Tue 11-24  ") and "@@" in line for line in lines)
    assert lines[-1].startswith("  - days are those of Europe/Berlin")
    assert "\x1b" not in result.out


def test_colours_are_for_terminals_and_obey_no_color(call, file, monkeypatch):
    monkeypatch.setattr("dagsched.cli.forecast.may_color", lambda: True)
    coloured = call("simulate", "--days", "1").out
    assert "\x1b[38;5;0;48;5;227m@@\x1b[0m" in coloured
    monkeypatch.setattr("dagsched.cli.forecast.may_color", lambda: False)
    plain = call("simulate", "--days", "1").out
    assert "\x1b" not in plain
    assert "@@" in plain


def test_letters_get_denser_with_the_value():
    assert [level_of(value, 7.0) for value in (0.0, 0.01, 1.0, 1.01, 6.0, 7.0)] == [0, 1, 1, 2, 6, len(RAMP) - 1]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--days", "0"], "days 0 is out of range; give 1 to 3660"),
        (["--slots", "0"], "slots 0 would start nothing; give at least 1"),
        (["--duration", "extrct=5m"], "unknown job 'extrct'; did you mean 'extract'?"),
        (["--duration", "extract=5"], "write it with its unit: 90s, 15m, 2h, 1d"),
        (["--duration", "=5m"], "duration '=5m' names no job before the `=`"),
        (["--fail-rate", "extract=2"], "'2' is no fail rate; write a number from 0 (none) to 1 (all), such as 0.1"),
        (["--fail-rate", "nan"], "'nan' is no fail rate; write a number from 0 (none) to 1 (all), such as 0.1"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(call, file, words, what):
    result = call("simulate", *words)
    assert result.code == 2
    assert what in result.err
    assert result.err.count("\n") == 1


def test_an_invalid_job_file_is_told_with_its_problems(call, here, at_now):
    (here / "jobs.yaml").write_text("version: 1\njobs: {a: {run: x, schedul: '@daily'}}\n")
    result = call("simulate")
    assert result.code == 3
    assert "schedul" in result.err


def test_a_file_without_schedules_has_days_without_runs(call, here, at_now):
    (here / "jobs.yaml").write_text("version: 1\njobs: {a: {run: x}}\n")
    result = call("simulate", "--days", "1")
    assert result.code == 0
    assert "ticks      0: none" in result.lines
