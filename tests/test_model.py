"""Names, instants and states."""

import doctest
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagsched import declaration, model
from dagsched.model import (
    ACTIVE,
    BAD,
    LEFT_OUT,
    LIVE,
    OK,
    Job,
    Position,
    Run,
    RunState,
    cut_to_ms,
    format_instant,
    is_schedule_tick,
    parse_instant,
    parse_run_name,
    run_name,
    utc,
)

instants = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(cut_to_ms)


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(declaration).failed == doctest.testmod(model).failed == 0


def test_a_job_moved_inside_its_file_is_the_same_job():
    job = Job("a", run="true", position=Position("jobs.yaml", 3))
    moved, other = job._replace(position=Position("jobs.yaml", 9)), job._replace(run="false")
    assert (job == moved, job != moved) == (True, False)
    assert (job == other, job != other) == (False, True)


@given(instants)
def test_an_instant_reads_back_as_it_was_written(instant):
    assert parse_instant(format_instant(instant)) == instant


@given(instants, instants)
def test_instants_of_one_precision_sort_as_their_text_does(one, two):
    one, two = one.replace(microsecond=0), two.replace(microsecond=0)
    assert (one < two) == (format_instant(one) < format_instant(two))


@pytest.mark.parametrize(
    ("instant", "text"),
    [
        (utc(2026, 11, 23, 14), "2026-11-23T14:00:00Z"),
        (utc(2026, 11, 23, 14, ms=7), "2026-11-23T14:00:00.007Z"),
        (datetime(2026, 11, 23, 9, tzinfo=timezone(timedelta(hours=-5))), "2026-11-23T14:00:00Z"),
        (utc(33, 1, 2), "0033-01-02T00:00:00Z"),
    ],
)
def test_an_instant_is_written_in_utc_with_a_z(instant, text):
    assert format_instant(instant) == text


def test_an_instant_without_an_offset_is_refused():
    with pytest.raises(ValueError, match="no UTC offset"):
        parse_instant("2026-11-23T14:00:00")


def test_an_instant_is_cut_to_milliseconds():
    assert parse_instant("2026-11-23T14:00:00.123987Z").microsecond == 123_000


@given(st.from_regex(r"[a-z][a-z0-9_-]{0,20}", fullmatch=True), instants)
def test_a_runs_name_leads_back_to_its_job_and_tick(job, tick):
    assert parse_run_name(run_name(job, tick)) == (job, tick)


def test_a_runs_name_is_job_id_and_tick():
    assert Run("weekly-report", utc(2026, 11, 23, 14), RunState.QUEUED).name == "job:weekly-report:2026-11-23T14:00:00Z"


@pytest.mark.parametrize("text", ["", "a", "job:", "job:a", "job:a:", "job::2026-11-23T14:00:00Z", "job:a:monday",
                                  "run:a:2026-11-23T14:00:00Z", "job:a:2026-11-23T14:00:00",
                                  "job:a:0001-01-01T00:00:00+10:00", "job:a:9999-12-31T23:00:00-10:00"])  # fmt: skip
def test_what_is_no_runs_name_is_refused(text):
    with pytest.raises(ValueError):
        parse_run_name(text)


def test_a_schedules_ticks_are_whole_seconds_and_all_others_are_not():
    assert is_schedule_tick(utc(2026, 1, 1))
    assert not is_schedule_tick(utc(2026, 1, 1, ms=1))


def test_every_state_is_live_or_ok_or_bad_or_left_out_and_only_one_of_them():
    groups = (LIVE, OK, BAD, LEFT_OUT)
    assert sorted(state for group in groups for state in group) == sorted(RunState)
    assert LIVE - {RunState.WAITING} == ACTIVE
    assert all(state.is_terminal == (state not in LIVE) for state in RunState)
