"""Calendars: ticks on days off are left out by name, and nothing of them is missed or caught up."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from dagsched.engine import events
from dagsched.model import Calendar, Catchup, TriggerRule
from tests.engine.bench_of_one import START, copy_of, job, plan_of

DAY = timedelta(days=1)
WEEKEND = {"bank": Calendar(weekdays=("sat", "sun"))}
# START is Monday, 2 March 2026.
TUESDAY = {"bank": Calendar(frozenset({date(2026, 3, 3)}))}


def days(bench, id):
    """Return a job's rows as `02 success`, `07-08 skipped`, by day of the month."""
    rows = sorted((run for run in bench.kept.values() if run.job == id), key=lambda run: run.tick)
    return [f"{run.tick:%d}" + (f"-{run.until:%d}" if run.until else "") + f" {run.state}" for run in rows]


def live(bench, until):
    while bench.now < until:
        bench.to(min(until, bench.now + DAY))
        bench.run_to_end()


def test_a_tick_on_a_day_off_is_skipped_with_the_name_of_the_day():
    bench = plan_of(job("a at 0 9 * * *", calendar=("bank",)), calendars=TUESDAY)
    live(bench, START + 3 * DAY)
    assert days(bench, "a") == ["02 success", "03 skipped", "04 success"]
    assert bench.reasons("a")[1] == "calendar bank: 2026-03-03"


def test_ticks_of_one_day_off_are_one_row():
    bench = plan_of(job("a at 0 * * * *", calendar=("bank",)), calendars=TUESDAY)
    live(bench, START + 2 * DAY)
    assert days(bench, "a")[-2:] == ["03-03 skipped", "04 success"]


def test_the_day_is_that_of_the_zone():
    bench = plan_of(job("a at 0 23 * * *", calendar=("bank",), timezone="Europe/Berlin"), calendars=TUESDAY)
    live(bench, START + 2 * DAY)
    assert days(bench, "a") == ["02 skipped", "03 success"]


def test_of_several_calendars_any_day_counts():
    calendars = {**TUESDAY, "mine": Calendar(weekdays=("wed",))}
    bench = plan_of(job("a at 0 9 * * *", calendar=("mine", "bank")), calendars=calendars)
    live(bench, START + 4 * DAY)
    assert bench.reasons("a") == ["", "calendar bank: 2026-03-03", "calendar mine: wed", ""]


def test_after_a_weekend_without_a_daemon_the_tick_of_friday_is_caught_up():
    bench = plan_of(job("a at 0 9 * * *", calendar=("bank",)), calendars=WEEKEND)
    live(bench, START + 4 * DAY)
    bench.restart(after=timedelta(days=2, hours=12))
    assert days(bench, "a")[-3:] == ["06 running", "07 skipped", "08 skipped"]
    assert bench.row("a", START + 4 * DAY + timedelta(hours=9)).origin == "catchup"


def test_missed_ticks_around_a_day_off_are_rows_of_their_own():
    bench = plan_of(job("a at 0 9 * * *", calendar=("bank",), catchup=Catchup.NONE), calendars=TUESDAY)
    bench.restart(after=5 * DAY)
    assert days(bench, "a") == ["02 missed", "03 skipped", "04-06 missed"]


def test_a_calendar_with_catchup_all_runs_the_other_days():
    plain = job(
        "a at 0 9 * * *", calendar=("bank",), catchup=Catchup.ALL, catchup_window=timedelta(days=9), overlap="queue"
    )
    bench = plan_of(plain, calendars=TUESDAY)
    bench.restart(after=4 * DAY)
    bench.run_to_end()
    assert days(bench, "a") == ["02 success", "03 skipped", "04 success", "05 success"]


def test_what_hangs_on_a_job_without_a_schedule_of_its_own_has_the_day_off_too():
    bench = plan_of(
        job("a at 0 9 * * *", calendar=("bank",)), job("b after a", trigger_rule=TriggerRule.ALL_DONE),
        calendars=TUESDAY,
    )  # fmt: skip
    live(bench, START + 2 * DAY)
    assert days(bench, "b") == ["02 success", "03 skipped"]
    assert bench.reasons("b")[1] == "calendar bank: 2026-03-03"


def test_a_job_without_a_schedule_may_have_a_calendar_of_its_own():
    bench = plan_of("a at 0 9 * * *", job("b after a", calendar=("bank",)), calendars=TUESDAY)
    live(bench, START + 2 * DAY)
    assert (days(bench, "a")[-1], days(bench, "b")[-1]) == ("03 success", "03 skipped")


def test_a_paused_day_off_is_paused():
    bench = plan_of(job("a at 0 9 * * *", calendar=("bank",)), calendars=TUESDAY)
    live(bench, START + DAY)
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to(START + 2 * DAY)
    assert bench.reasons("a")[-1] == "paused"


def test_a_person_s_trigger_has_no_day_off():
    bench = plan_of(job("a at 0 9 * * *", calendar=("bank",)), calendars=TUESDAY)
    live(bench, START + DAY + timedelta(hours=12))
    bench.trigger("a")
    assert bench.state("a") == "running"


def test_an_edit_of_the_calendar_alone_counts_from_then_on():
    plain = job("a at 0 9 * * *", calendar=("bank",))
    bench = plan_of(plain, calendars=TUESDAY)
    live(bench, START + DAY + timedelta(hours=1))
    bench.configure(plain, calendars=WEEKEND)
    live(bench, START + 2 * DAY)
    assert days(bench, "a") == ["02 success", "03 success"]


def test_a_calendar_that_leaves_no_day_skips_them_all():
    every = {"never": Calendar(weekdays=("mon", "tue", "wed", "thu", "fri", "sat", "sun"))}
    bench = plan_of(job("a at 0 9 * * *", calendar=("never",)), calendars=every)
    live(bench, START + 3 * DAY)
    assert days(bench, "a") == ["02 skipped", "03 skipped", "04 skipped"]


def test_max_runs_counts_no_day_off():
    plain = job("a at 0 9 * * *", calendar=("bank",))
    bench = plan_of(copy_of(plain, schedule=plain.schedule._replace(max_runs=2)), calendars=TUESDAY)
    live(bench, START + 5 * DAY)
    assert days(bench, "a") == ["02 success", "03 skipped", "04 success"]


def test_public_holidays_have_their_names():
    pytest.importorskip("holidays")
    calendars = {"bank": Calendar(country="DE", subdivision="BY")}
    bench = plan_of(job("a at 0 9 * * *", calendar=("bank",)), now=START.replace(month=12, day=24), calendars=calendars)
    live(bench, START.replace(month=12, day=27))
    assert bench.reasons("a")[:2] == ["", "calendar bank: 2026-12-25 Christmas Day"]
