"""A person's backfill: which ticks it runs, in which order, how many at a time, and what it leaves alone."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused
from dagsched.model import Again, Catchup, Origin, utc
from tests.engine.bench_of_one import job, plan_of

MONDAY = utc(2026, 3, 2)


def day(number, hour=0):
    return MONDAY + timedelta(days=number, hours=hour)


def backfill(bench, id, first, last, total=9, **fields):
    bench.apply(events.BackfillRequested(bench.now, id, first, last, total, **fields))
    feed(bench)


def feed(bench):
    """Hand in what is wanted, as the daemon does after each turn, and let time pass while it is behind."""
    filling = bench.plan.filling
    for _ in range(10_000):
        for id in filling.hungry():
            bench.apply(events.BackfillFed(bench.now, filling.want(id), tuple(bench.kept.values())))
        if not filling.is_behind:
            return
        bench.apply(events.TimePassed(bench.now))
    raise AssertionError("it is never full")


def through(bench, outcomes=None):
    """Finish every attempt in the order of its start until nothing runs."""
    while (running := bench.plan.running()) or bench.plan.filling.is_behind:
        if running:
            bench.end(running[0].name, running[0].attempts, (outcomes or {}).get(running[0].job, "success"))
        feed(bench)


def told(bench):
    return [event.reason for event in bench.log if event.type.startswith("backfill.")]


def ticks_started(bench, id="a"):
    return [name.split(":", 2)[2][8:13] for name, _ in bench.starts if name.split(":")[1] == id]


def test_ticks_without_a_row_are_made_one_at_a_time_oldest_first_and_both_bounds_count():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1, 6), day(4, 6))
    assert ticks_started(bench) == ["03T06"]
    through(bench)
    assert ticks_started(bench) == ["03T06", "04T06", "05T06", "06T06"]
    assert {run.origin for run in bench.kept.values()} == {Origin.BACKFILL}
    assert told(bench)[-1] == "backfill 1: 4 made, 0 run again: 4 success, 0 failed"
    assert not bench.plan.filling


def test_the_newest_come_first_when_asked_for():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(5), newest_first=True)
    through(bench)
    assert ticks_started(bench) == ["06T06", "05T06", "04T06", "03T06"]


def test_no_more_than_max_active_ticks_are_under_way_and_each_end_makes_the_next_at_once():
    bench = plan_of(job("a at 0 6 * * *", overlap="allow"), now=day(10))
    backfill(bench, "a", day(0), day(9), max_active=3)
    assert len(bench.plan.running()) == 3
    bench.finish("a")
    assert [run.tick.day for run in bench.plan.running()] == [3, 4, 5]


def test_the_limit_of_the_job_holds_below_that():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(0), day(9), max_active=5)
    assert len(bench.live()) == 1


def test_the_same_again_makes_nothing_new():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    through(bench)
    before = dict(bench.kept)
    backfill(bench, "a", day(1), day(4))
    assert bench.kept == before
    assert told(bench)[-1] == "backfill 2: 0 made, 0 run again: 0 success, 0 failed"


def test_the_same_while_it_is_under_way_goes_on_with_it_and_another_is_refused():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    backfill(bench, "a", day(1), day(4))
    assert bench.plan.filling.last_id == 1
    with pytest.raises(Refused, match=r"backfill 1 of a is under way .* --cancel 1"):
        backfill(bench, "a", day(1), day(5))


def test_missed_ticks_of_a_range_run_and_the_range_is_split():
    bench = plan_of(job("a at 0 * * * *", catchup=Catchup.NONE))
    bench.sleep_to("09:30")
    assert bench.rows("a") == ["01:00-09:00 missed"]
    backfill(bench, "a", bench.now.replace(hour=4, minute=0), bench.now.replace(hour=5, minute=0))
    through(bench)
    assert bench.rows("a") == ["01:00-03:00 missed", "04:00 success", "05:00 success", "06:00-09:00 missed"]


def test_what_ran_and_failed_is_run_again_only_when_asked_for_and_a_success_only_with_all():
    bench = plan_of("a at 0 * * * *")
    bench.to("01:00")
    bench.finish("a")
    bench.to("02:00")
    bench.fail("a")
    bench.to("02:30")
    first, last = bench.now.replace(hour=1, minute=0), bench.now.replace(hour=2, minute=0)
    backfill(bench, "a", first, last)
    assert not bench.live()
    backfill(bench, "a", first, last, again=Again.FAILED)
    assert [run.tick.hour for run in bench.live()] == [2]
    through(bench)
    backfill(bench, "a", first, last, again=Again.ALL)
    through(bench)
    assert bench.started() == ["a"] * 5


def test_a_live_tick_goes_before_backfilled_ones_and_is_not_left_out_for_them():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    bench.to(day(10, 6))
    assert bench.state("a", day(10, 6)) == "queued"
    bench.finish("a")
    assert ticks_started(bench) == ["03T06", "12T06"]
    bench.finish("a")
    assert ticks_started(bench) == ["03T06", "12T06", "04T06"]


def test_live_ticks_that_wait_for_a_backfilled_run_alone_leave_each_other_in():
    bench = plan_of("a at 0 * * * *", now=day(10))
    backfill(bench, "a", day(1), day(4), total=72)
    bench.to("02:30")
    assert [bench.state("a", f"0{hour}:00") for hour in (1, 2)] == ["queued", "queued"]


def test_backfilled_runs_do_not_fill_the_queue():
    bench = plan_of(job("a at 0 6 * * *", overlap="allow", max_queued=2), now=day(10))
    backfill(bench, "a", day(0), day(9), max_active=4)
    bench.to(day(10, 6))
    assert bench.state("a", day(10, 6)) == "running"


def test_a_pause_does_not_hold_it_back():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    bench.apply(events.PauseRequested(bench.now, "a"))
    backfill(bench, "a", day(1), day(2))
    through(bench)
    assert bench.state("a") == "success"


def test_only_the_job_itself_runs_unless_its_unscheduled_descendants_are_asked_for():
    jobs = ("a at 0 6 * * *", "b after a", "c after b", "daily after b at 0 7 * * *")
    bench = plan_of(*jobs, now=day(10))
    backfill(bench, "a", day(1), day(3))
    through(bench)
    assert set(bench.started()) == {"a"}
    backfill(bench, "a", day(1), day(3), downstream=True)
    through(bench)
    assert bench.started() == ["a", "a", "b", "c", "b", "c"]


def test_the_next_tick_waits_for_what_is_below_the_one_before():
    bench = plan_of("a at 0 6 * * *", "b after a", now=day(10))
    backfill(bench, "a", day(1), day(3), downstream=True)
    through(bench)
    assert bench.started() == ["a", "b", "a", "b"]


def test_a_scheduled_job_is_joined_with_its_upstreams_tick_of_then():
    bench = plan_of("a at 0 6 * * *", "r after a at 0 9 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    through(bench)
    backfill(bench, "r", day(1), day(4))
    through(bench)
    for number in (1, 2, 3):
        assert bench.row("r", day(number, 9)).links[0].tick == day(number, 6)


def test_a_tick_before_its_upstream_had_any_is_left_out_at_once_and_runs_once_that_was_backfilled():
    bench = plan_of("a at 0 6 * * *", "r after a at 0 9 * * *", now=day(10))
    backfill(bench, "r", day(1), day(3))
    assert bench.reasons("r") == ["upstream a has no tick at or before this one"] * 2
    backfill(bench, "r", day(1), day(3))
    assert told(bench)[-1] == "backfill 2: 0 made, 0 run again: 0 success, 0 failed"
    backfill(bench, "a", day(1), day(3))
    through(bench)
    backfill(bench, "r", day(1), day(3))
    through(bench)
    assert bench.rows("r") == ["09:00 success", "09:00 success"]


def test_match_all_counts_from_the_tick_that_its_schedule_had_before():
    bench = plan_of("h at 0 */12 * * *", "d after h:all at 0 3 * * *", now=day(10))
    backfill(bench, "h", day(0), day(4))
    through(bench)
    backfill(bench, "d", day(2), day(3), newest_first=True)
    through(bench)
    assert [link.tick for link in bench.row("d").links] == [day(1, 12), day(2)]


def test_an_upstream_that_failed_then_keeps_its_tick_out():
    bench = plan_of("a at 0 6 * * *", "b after a", now=day(10))
    backfill(bench, "a", day(1), day(3), downstream=True)
    through(bench, {"a": "failed"})
    assert bench.rows("b") == ["06:00 upstream_failed", "06:00 upstream_failed"]
    assert told(bench)[-1] == "backfill 1: 4 made, 0 run again: 0 success, 4 failed"


def test_it_goes_on_after_a_restart_with_as_many_as_before():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    bench.finish("a")
    bench.restart(living=[(bench.plan.running()[0].name, 1)])
    feed(bench)
    assert len(bench.live()) == 1
    through(bench)
    assert ticks_started(bench) == ["03T06", "04T06", "05T06"]


def test_it_goes_on_after_a_reload():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    bench.configure("a at 0 6 * * *", "b")
    feed(bench)
    through(bench)
    assert ticks_started(bench) == ["03T06", "04T06", "05T06"]


def test_it_ends_when_its_job_is_removed():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    backfill(bench, "a", day(1), day(4))
    bench.configure("b")
    assert told(bench)[-1] == "backfill 1: job removed"
    assert not bench.plan.filling


def test_cancelling_makes_no_more_and_lets_what_runs_end():
    bench = plan_of(job("a at 0 6 * * *", overlap="allow"), "b after a", now=day(10))
    backfill(bench, "a", day(1), day(5), max_active=2, downstream=True)
    bench.apply(events.BackfillCancelRequested(bench.now, 1))
    assert [run.job for run in bench.live()] == ["a", "a"]
    through(bench)
    assert len(bench.starts) == 2
    assert set(bench.reasons("b")) == {"backfill 1 was cancelled"}
    with pytest.raises(Refused, match="no backfill 1 is under way"):
        bench.apply(events.BackfillCancelRequested(bench.now, 1))


def test_what_a_cancelled_backfill_had_queued_is_a_gap_for_the_next():
    bench = plan_of("a at 0 6 * * *", pools={"p": 1}, now=day(10))
    bench.configure(job("a at 0 6 * * *", pool="p"), job("x", pool="p"), pools={"p": 1})
    bench.trigger("x")
    backfill(bench, "a", day(1), day(2))
    bench.apply(events.BackfillCancelRequested(bench.now, 1))
    assert bench.state("a") == "cancelled"
    bench.finish("x")
    backfill(bench, "a", day(1), day(2))
    through(bench)
    assert bench.state("a") == "success"


def test_parameters_reach_the_runs_of_the_job_itself():
    bench = plan_of("a at 0 6 * * *", "b after a", now=day(10))
    backfill(bench, "a", day(1), day(2), downstream=True, params={"n": 5})
    through(bench)
    assert (bench.row("a").params, bench.row("b").params) == ({"n": 5}, {})


def test_a_long_one_keeps_few_rows_in_memory_and_makes_few_at_a_time():
    bench = plan_of("a at * * * * *", now=day(10))
    backfill(bench, "a", day(1), day(2), total=1440)
    longest = 0
    while bench.plan.running():
        before = len(bench.kept)
        bench.finish("a")
        longest = max(longest, len(bench.kept) - before)
        feed_sparsely(bench)
    assert len(bench.starts) == 1440 + 1
    assert longest == 1
    assert len(bench.plan.book.ledger._ticks["a"]) < 700


def feed_sparsely(bench):
    filling = bench.plan.filling
    for id in filling.hungry():
        want = filling.want(id)
        rows = tuple(bench.kept[("a", tick)] for tick in want.ticks if ("a", tick) in bench.kept)
        bench.apply(events.BackfillFed(bench.now, want, rows))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"last": day(11)}, "is still to come"),
        ({"last": day(0)}, "end before it begins"),
        ({"total": 0}, "has no tick from"),
        ({"max_active": 0}, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_refused(fields, words):
    bench = plan_of("a at 0 6 * * *", now=day(10))
    asked = {"first": day(1), "last": day(2), **fields}
    with pytest.raises(Refused, match=words):
        backfill(bench, "a", asked.pop("first"), asked.pop("last"), **asked)
    assert not bench.kept


def test_what_is_due_when_one_is_refused_is_made_and_kept_all_the_same():
    bench = plan_of("a at 0 6 * * *", now=day(10))
    with pytest.raises(Refused, match="at least 1"):
        bench.plan.apply(events.BackfillRequested(day(10, 6), "a", day(1), day(2), 2, max_active=0))
    bench.sleep_to("06:00")
    assert bench.rows("a") == ["06:00 running"]
    assert [event.type for event in bench.log if event.job == "a"] == ["run.created", "run.started"]


def test_a_disabled_job_is_refused():
    bench = plan_of(job("a at 0 6 * * *", enabled=False), now=day(10))
    with pytest.raises(Refused, match="is disabled"):
        backfill(bench, "a", day(1), day(2))
