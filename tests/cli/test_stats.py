"""`stats`: figures per job."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("home")


def test_json_rows_have_counts_rate_and_durations(call):
    rows = {row["job"]: row for row in call("stats", "--json").rows}
    assert set(rows) == {"extract", "load", "tidy"}
    load = rows["load"]
    assert (load["total"], load["success"], load["failed"], load["skipped"]) == (3, 1, 1, 0)
    assert load["success_rate"] == 0.5
    # Of the attempt that succeeded: what the work takes, without the tries that failed.
    assert rows["extract"]["duration_p50_s"] == 189.04


def test_one_job_and_a_time_may_be_chosen(call):
    [row] = call("stats", "load", "--since", "6h", "--json").rows
    assert (row["job"], row["total"]) == ("load", 1)


def test_people_see_rates_in_percent_and_lengths_with_units(call):
    head, line = call("stats", "extract").lines
    assert head.split()[:3] == ["JOB", "TOTAL", "SUCCESS"]
    assert line.split()[:6] == ["extract", "2", "1", "0", "0", "0"]
    assert "100.0%" in line
    assert "3m 9s" in line


def test_an_unknown_job_is_named_with_the_nearest(call):
    result = call("stats", "tiddy")
    assert (result.code, result.err) == (2, "dagsched: error: unknown job 'tiddy'; did you mean 'tidy'?\n")


def test_trends_go_over_days_weeks_or_months_and_outlive_the_runs(call):
    before = call("stats", "--by", "day", "--json").rows
    assert [(row["job"], row["day"], row["total"]) for row in before] == [
        ("extract", "2026-11-23T00:00:00Z", 1),
        ("load", "2026-11-23T00:00:00Z", 2),
        ("tidy", "2026-11-23T00:00:00Z", 1),
    ]
    assert call("prune", "--older-than", "2026-11-23T14:00", "--json").json["deleted"] == 3
    assert call("stats", "--by", "day", "--json").rows == before
    [row] = call("stats", "load", "--by", "month", "--json").rows
    assert (row["month"], row["success_rate"], row["duration_max_s"]) == ("2026-11-01T00:00:00Z", 0.5, 2.0)


def test_people_see_a_bar_for_each_period(call):
    head, line = call("stats", "load", "--by", "week").lines
    assert head.split()[:4] == ["JOB", "FROM", "RUNS", "TOTAL"]
    assert line.split()[:6] == ["load", "2026-11-23", "████████████", "2", "1", "50.0%"]
