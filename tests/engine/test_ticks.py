"""Which ticks are made, when they are on time, and what a person's tick looks like."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused
from dagsched.model import Catchup, Schedule, is_schedule_tick, utc
from tests.engine.bench_of_one import START, copy_of, job, plan_of


def test_schedule_ticks_are_whole_seconds_and_strictly_increasing():
    bench = plan_of(job("a", schedule=Schedule(every=timedelta(minutes=10)), overlap="queue"))
    bench.to("03:00")
    ticks = sorted(tick for _, tick in bench.kept)
    assert len(ticks) == len(set(ticks)) == 18
    assert all(is_schedule_tick(tick) for tick in ticks)


def test_a_tick_at_the_instant_of_the_first_sight_is_not_made():
    bench = plan_of("a at 0 * * * *", now=utc(2026, 3, 2, 9))
    bench.to("09:30")
    assert bench.kept == {}


@pytest.mark.parametrize("now", [utc(2026, 3, 2, 9), utc(2026, 3, 2, 9, ms=1), utc(2026, 3, 2, 9, ms=250)])
def test_a_manual_tick_is_now_with_milliseconds_1_to_999(now):
    bench = plan_of("a", now=now)
    tick = bench.trigger("a")
    assert not is_schedule_tick(tick)
    assert tick - now <= timedelta(milliseconds=1)


def test_manual_ticks_of_the_same_millisecond_are_bumped_until_unused():
    bench = plan_of("a", now=utc(2026, 3, 2, 9, ms=998))
    ticks = [bench.trigger("a") for _ in range(4)]
    assert ticks == [utc(2026, 3, 2, 9, ms=998), utc(2026, 3, 2, 9, ms=999), utc(2026, 3, 2, 9, 0, 1, 1),
                     utc(2026, 3, 2, 9, 0, 1, 2)]  # fmt: skip


def test_a_manual_tick_is_unused_though_older_ones_of_that_millisecond_have_left_memory():
    bench = plan_of(job("a", max_queued=1000), now=utc(2026, 3, 2, 9, ms=5))
    ticks = []
    for _ in range(200):
        ticks.append(bench.trigger("a"))
        bench.finish("a")
    assert len(set(ticks)) == 200


def test_a_manual_tick_is_unused_in_every_job_it_reaches():
    bench = plan_of("a", "b after a", now=utc(2026, 3, 2, 9, ms=5))
    bench.trigger("b")
    tick = bench.trigger("a")
    assert tick == utc(2026, 3, 2, 9, ms=6)
    assert bench.row("b", tick).tick == tick


def test_a_manual_tick_never_takes_a_schedule_tick():
    bench = plan_of("a at 0 9 * * *", now=utc(2026, 3, 2, 8))
    bench.now = utc(2026, 3, 2, 9)
    bench.trigger("a")
    bench.to("09:00")
    assert bench.rows("a") == ["09:00 queued", "09:00 running"]


def test_a_manual_tick_moves_no_schedules_reference():
    bench = plan_of("a at 0 * * * *")
    bench.to("00:30")
    before = bench.plan.book.marks["a"]
    bench.trigger("a")
    assert bench.plan.book.marks["a"] == before
    assert bench.plan.wake_at() == utc(2026, 3, 2, 1)


def test_a_persons_tick_after_a_backward_step_may_lie_inside_a_range_row():
    bench = plan_of("a at 0 * * * *", "b after a:same")
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("05:00")
    bench.apply(events.ResumeRequested(bench.now, "a"))
    bench.now = utc(2026, 3, 2, 3, 30)
    tick = bench.trigger("a")
    assert tick == utc(2026, 3, 2, 3, 30, ms=1)
    ledger = bench.plan.book.ledger
    assert ledger.covering("a", utc(2026, 3, 2, 4)).reason == "paused"
    assert ledger.newest("a").reason == "paused"
    assert ledger.newest("a", utc(2026, 3, 2, 3, 40)).reason == "paused"


def test_every_counts_from_the_unix_epoch_and_not_from_the_start_of_the_daemon():
    bench = plan_of(job("a", schedule=Schedule(every=timedelta(minutes=40))), now=utc(2026, 3, 2, 0, 7))
    bench.to("02:00")
    assert [tick.timestamp() % 2400 for _, tick in bench.kept] == [0.0, 0.0]


def test_every_counts_from_start_if_that_is_given():
    schedule = Schedule(every=timedelta(hours=1), start=utc(2026, 3, 1, 0, 20))
    bench = plan_of(job("a", schedule=schedule))
    bench.to("01:30")
    bench.run_to_end()
    assert sorted(tick for _, tick in bench.kept) == [utc(2026, 3, 2, 0, 20), utc(2026, 3, 2, 1, 20)]


def test_every_does_not_count_from_an_edit():
    first = job("a", schedule=Schedule(every=timedelta(hours=1)), overlap="allow")
    bench = plan_of(first)
    bench.to("00:25")
    bench.configure(copy_of(first, schedule=Schedule(every=timedelta(minutes=30))))
    bench.to("01:00")
    assert sorted(tick for _, tick in bench.kept) == [utc(2026, 3, 2, 0, 30), utc(2026, 3, 2, 1)]


def test_max_runs_counts_runs_the_schedule_started():
    bench = plan_of(job("a", schedule=Schedule(cron=("0 * * * *",), max_runs=2)))
    bench.trigger("a")
    for hour in range(1, 6):
        bench.to(utc(2026, 3, 2, hour))
        bench.run_to_end()
    assert len(bench.starts) == 3  # the person's and two of the schedule
    assert bench.plan.wake_at() is None


def test_max_runs_is_remembered_over_a_restart():
    bench = plan_of(job("a", schedule=Schedule(cron=("0 * * * *",), max_runs=2)))
    bench.to("01:00")
    bench.run_to_end()
    bench.restart()
    bench.to("06:00")
    bench.run_to_end()
    assert bench.rows("a") == ["01:00 success", "02:00 success"]


def test_a_tick_left_out_does_not_use_up_max_runs():
    bench = plan_of(job("a", schedule=Schedule(cron=("0 * * * *",), max_runs=2)))
    bench.to("01:00")
    bench.to("02:00")  # left out: the run of 01:00 is still under way
    bench.run_to_end()
    bench.to("03:00")
    bench.run_to_end()
    assert bench.rows("a") == ["01:00 success", "02:00 skipped", "03:00 success"]
    assert bench.plan.wake_at() is None


def test_a_schedule_goes_on_when_a_run_it_counted_on_never_started():
    bench = plan_of(job("a", schedule=Schedule(cron=("0 * * * *",), max_runs=1), pool="p"), pools={"p": 1})
    bench.apply(events.StartsHeld(bench.now, True))
    bench.to("01:00")
    assert bench.plan.wake_at() is None
    bench.apply(events.CancelRequested(bench.now, bench.row("a").name))
    assert bench.plan.wake_at() == utc(2026, 3, 2, 2)


def test_an_at_already_past_at_first_sight_makes_no_row():
    bench = plan_of(job("a", schedule=Schedule(at=utc(2026, 3, 1))))
    bench.to("12:00")
    assert bench.kept == {}


def test_an_at_runs_once():
    bench = plan_of(job("a", schedule=Schedule(at=utc(2026, 3, 2, 3))))
    bench.to("12:00")
    bench.run_to_end()
    assert bench.rows("a") == ["03:00 success"]


@pytest.mark.parametrize(
    ("seen", "origin"), [("09:00", "schedule"), ("09:01", "schedule"), ("09:02", "catchup"), ("09:59", "catchup")]
)
def test_a_tick_is_on_time_if_seen_within_60_seconds(seen, origin):
    bench = plan_of("a at 0 9 * * *")
    bench.sleep_to(seen)
    assert bench.row("a").origin == origin


def test_a_tick_is_not_on_time_once_the_jobs_next_one_is_due():
    bench = plan_of(job("a", schedule=Schedule(every=timedelta(seconds=20)), catchup=Catchup.NONE))
    bench.sleep_to(START + timedelta(seconds=45))
    assert [(run.tick.second, str(run.state)) for run in bench.kept.values()] == [(20, "missed"), (40, "running")]


def test_all_due_ticks_are_made_before_any_join_is_judged():
    bench = plan_of("b at 0 9 * * *", "a at 0 9 * * *", job("c after a b:same at 0 9 * * *"))
    bench.to("09:00")
    assert [link.tick for link in bench.row("c").links] == [utc(2026, 3, 2, 9)] * 2
    assert bench.state("c") == "waiting"


def test_ticks_are_made_in_the_order_of_tick_and_topological_rank():
    bench = plan_of("z after a at 0 * * * *", "a at 0 * * * *", now=START)
    bench.sleep_to("02:00")
    made = [(event.job, event.tick.hour) for event in bench.log if event.type in ("run.created", "run.missed")]
    assert made == [("a", 1), ("z", 1), ("a", 2), ("z", 2)]


CROWD = [f"j{number:02} at 0 * * * *" for number in range(40)]


def test_many_ticks_of_one_instant_are_made_a_handful_at_a_time_each_once():
    bench = plan_of(*CROWD, "z after a at 0 * * * *", "a at 0 * * * *", now=START)
    bench.sleep_to("01:00")
    made = bench.starts[:]
    assert len(made) < len(CROWD)
    assert bench.plan.wake_at() == bench.now
    assert bench.state("z") == "waiting"  # those with edges come with the first handful
    bench.to("01:00")
    assert len(bench.starts) == len(set(bench.starts)) == len(CROWD) + 1
    assert bench.plan.wake_at() == utc(2026, 3, 2, 2)


def test_what_is_due_and_not_made_yet_outlives_an_edit_and_a_backward_step():
    bench = plan_of(*CROWD, now=START)
    bench.sleep_to("01:00")
    bench.now = utc(2026, 3, 2, 0, 30)
    bench.apply(events.ClockStepped(bench.now, timedelta(minutes=-30)))
    bench.sleep_to("00:30")
    assert len(bench.starts) < len(CROWD)
    bench.configure(*CROWD[:-1], "j39 at 45 * * * *")
    bench.to("01:00")
    assert len(bench.starts) == len(set(bench.starts)) == len(CROWD)
    assert bench.rows("j39") == ["00:45 running"]


def test_jitter_delays_the_start_and_never_renames_the_tick():
    bench = plan_of(job("a at 0 9 * * *", jitter=timedelta(minutes=10)))
    bench.to("09:00")
    run = bench.row("a")
    assert run.tick == utc(2026, 3, 2, 9)
    assert utc(2026, 3, 2, 9) < run.not_before < utc(2026, 3, 2, 9, 10)
    assert bench.starts == []
    bench.to("09:10")
    assert bench.row("a").started == run.not_before


def test_jitter_is_the_same_on_every_day_and_after_every_restart():
    bench = plan_of(job("a at 0 9 * * *", jitter=timedelta(minutes=10)))
    bench.to("09:10")
    bench.run_to_end()
    bench.restart()
    bench.to("2026-03-03T09:10:00Z")
    first, second = (run.not_before or run.started - run.tick for run in bench.kept.values())
    assert first == second


def test_a_manual_run_has_no_jitter():
    bench = plan_of(job("a at 0 9 * * *", jitter=timedelta(minutes=10)))
    bench.trigger("a")
    assert bench.state("a") == "running"


def test_a_backward_step_never_makes_a_recorded_tick_again():
    bench = plan_of("a at 0 * * * *")
    bench.to("03:00")
    bench.run_to_end()
    made = len(bench.log)
    bench.now = utc(2026, 3, 2, 0, 30)
    bench.apply(events.ClockStepped(bench.now, timedelta(hours=-2, minutes=-30)))
    bench.to("03:00")
    assert [event.type for event in bench.log[made:]] == ["clock.stepped"]


def test_a_backward_step_and_an_edit_never_make_a_recorded_tick_again():
    bench = plan_of("a at 0 * * * *")
    for hour in (1, 2, 3):
        bench.to(utc(2026, 3, 2, hour))
        bench.run_to_end()
    bench.now = utc(2026, 3, 2, 0, 30)
    bench.configure("a at 0 */1 * * *")
    bench.to("04:00")
    assert bench.rows("a") == ["01:00 success", "02:00 success", "03:00 success", "04:00 running"]


def test_a_forward_step_is_downtime_that_catch_up_handles():
    bench = plan_of("a at 0 * * * *")
    bench.to("00:30")
    bench.now = utc(2026, 3, 2, 4, 30)
    bench.apply(events.ClockStepped(bench.now, timedelta(hours=4)))
    bench.apply(events.TimePassed(bench.now))
    assert bench.rows("a") == ["01:00-03:00 missed", "04:00 running"]


def test_a_delay_that_had_ended_is_waited_for_again_after_a_backward_step():
    bench = plan_of(job("a at 0 9 * * *", jitter=timedelta(minutes=10), pool="p"), job("b", pool="p"), pools={"p": 1})
    bench.trigger("b")
    bench.to("09:10")
    assert bench.state("a") == "queued"
    bench.now = utc(2026, 3, 2, 9)
    bench.finish("b")
    assert bench.state("a") == "queued"
    bench.to("09:10")
    assert bench.state("a") == "running"


def test_a_persons_tick_finds_what_was_due_before_it():
    bench = plan_of("a at 0 9 * * *", "c", "b after a")
    bench.now = utc(2026, 3, 2, 9, ms=400)
    tick = bench.trigger("b")
    assert [link.tick for link in bench.row("b", tick).links] == [utc(2026, 3, 2, 9)]


def test_a_disabled_job_has_skipped_ticks_and_cannot_be_triggered():
    bench = plan_of(job("a at 0 * * * *", enabled=False))
    bench.to("03:00")
    assert bench.rows("a") == ["01:00-03:00 skipped"]
    assert bench.reasons("a") == ["disabled"]
    with pytest.raises(Refused, match="a is disabled"):
        bench.trigger("a")


def test_a_disabled_job_is_left_out_of_a_once_tick():
    bench = plan_of(job("a", enabled=False), "b", once=True)
    bench.apply(events.OnceRequested(bench.now, ("a", "b")))
    assert bench.states() == {"a": "skipped", "b": "running"}
