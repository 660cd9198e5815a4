"""Windows: when the first attempt of a run may start, and what becomes of runs that are ready while they are closed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.engine.verdicts import blocking
from dagsched.model import Window
from tests.engine.bench_of_one import job, plan_of

NIGHT = (Window("22:00", "06:00"),)
NOT_BY_DAY = (Window("22:00", "06:00", outside="skip"),)


def test_a_run_that_is_ready_outside_waits_and_starts_as_the_window_opens():
    bench = plan_of(job("a at 0 12 * * *", window=NIGHT))
    bench.to("12:00")
    assert blocking(bench.plan, bench.row("a")) == "window 22:00-06:00 opens at 2026-03-02T22:00:00Z"
    assert bench.plan.wake_at() == bench.now.replace(hour=22)
    bench.to("22:00")
    assert bench.state("a") == "running"


def test_a_window_is_read_in_the_zone_of_the_job():
    bench = plan_of(job("a at 0 12 * * *", window=NIGHT, timezone="Asia/Tokyo"))
    bench.to("12:59")
    assert bench.started() == []
    bench.to("13:00")
    assert bench.started() == ["a"]


def test_outside_skip_leaves_successive_ticks_out_as_one_row():
    bench = plan_of(job("a at 0 * * * *", window=NOT_BY_DAY))
    for hour in range(1, 6):
        bench.to(f"{hour:02}:00")
        bench.finish("a")
    bench.to("10:00")
    assert bench.rows("a")[-1] == "06:00-10:00 skipped"
    assert bench.reasons("a")[-1] == "window: closed outside 22:00-06:00"


def test_what_is_left_out_by_its_window_ends_the_runs_below_it():
    bench = plan_of(job("a at 0 12 * * *", window=NOT_BY_DAY), "b after a")
    bench.to("12:00")
    assert (bench.state("b"), bench.row("b").reason) == ("skipped", "upstream a skipped")


def test_a_run_that_is_left_out_by_its_window_replaces_nobody():
    bench = plan_of(job("a at 0 5,12 * * *", window=NOT_BY_DAY, overlap="replace"))
    bench.to("12:00")
    assert bench.state("a", "05:00") == "running"
    assert bench.stops == []


def test_a_run_that_loses_its_window_while_it_waits_for_a_slot_is_left_out_at_its_turn():
    bench = plan_of(
        job("busy at 0 5 * * *", pool="p"), job("next at 0 5 * * *", pool="p"),
        job("a at 30 5 * * *", pool="p", window=NOT_BY_DAY), "b after a",
        pools={"p": 1},
    )  # fmt: skip
    bench.to("05:30")
    bench.to("07:00")
    assert bench.state("a") == "queued"
    bench.finish("busy")
    assert bench.states() == {"busy": "success", "next": "running", "a": "skipped", "b": "skipped"}


def test_a_window_is_looked_at_when_the_jitter_is_over():
    bench = plan_of(job("a at 50 21 * * *", window=NOT_BY_DAY, jitter=timedelta(hours=2)))
    bench.to("21:50")
    start = bench.row("a").not_before
    assert (bench.state("a") == "queued") == (start >= start.replace(hour=22, minute=0, second=0, microsecond=0))


@pytest.mark.parametrize("window", [NIGHT, NOT_BY_DAY], ids=["wait", "skip"])
def test_a_person_s_trigger_ignores_the_window(window):
    bench = plan_of(job("a", window=window))
    bench.to("12:00")
    bench.trigger("a")
    assert bench.state("a") == "running"


def test_what_a_person_s_trigger_reaches_waits_for_its_window():
    bench = plan_of("a", job("b after a", window=NOT_BY_DAY))
    bench.to("12:00")
    bench.trigger("a")
    bench.finish("a")
    assert bench.state("b") == "queued"
    bench.to("22:00")
    assert bench.state("b") == "running"


def test_retries_do_not_wait_for_the_window():
    bench = plan_of(job("a at 59 5 * * *", window=NIGHT, retry=2))
    bench.to("05:59")
    bench.to("06:30")
    bench.fail("a")
    bench.to("06:31")
    assert bench.started() == ["a", "a"]


def test_a_run_before_its_window_holds_up_nobody_in_its_pool():
    bench = plan_of(job("a", pool="p"), job("b at 0 12 * * *", pool="p", window=NIGHT), pools={"p": 1})
    bench.to("12:00")
    bench.trigger("a")
    assert bench.started() == ["a"]


def test_an_edit_of_the_window_counts_for_runs_that_wait():
    bench = plan_of(job("a at 0 12 * * *", window=NIGHT))
    bench.to("12:00")
    bench.configure(job("a at 0 12 * * *", window=(Window("11:00", "13:00"),)))
    assert bench.state("a") == "running"


def test_a_run_waits_for_its_window_over_a_restart():
    bench = plan_of(job("a at 0 12 * * *", window=NIGHT))
    bench.to("12:00")
    bench.restart(after=timedelta(hours=1))
    assert bench.state("a") == "queued"
    bench.to("22:00")
    assert bench.state("a") == "running"


def test_a_caught_up_tick_is_left_out_like_a_live_one():
    bench = plan_of(job("a at 0 12 * * *", window=NOT_BY_DAY))
    bench.restart(after=timedelta(hours=14))
    assert bench.state("a", "12:00") == "skipped"


def test_run_once_ignores_the_window():
    from dagsched.engine import events

    bench = plan_of(job("a", window=NOT_BY_DAY), once=True)
    bench.to("12:00")
    bench.apply(events.OnceRequested(bench.now, ("a",)))
    assert bench.state("a") == "running"
