"""Slots of pools and of the daemon, and the order among those who wait for them."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from tests.engine.bench_of_one import job, plan_of


def test_a_pool_never_has_more_slots_in_use_than_it_has():
    bench = plan_of(*(job(f"j{n} at 0 1 * * *", pool="p") for n in range(5)), pools={"p": 2})
    bench.to("01:00")
    assert bench.started() == ["j0", "j1"]
    bench.finish("j0")
    assert bench.started() == ["j0", "j1", "j2"]


def test_a_job_holds_as_many_slots_as_it_says():
    bench = plan_of(job("a at 0 1 * * *", pool="p", slots=2), job("b at 0 1 * * *", pool="p", slots=2), pools={"p": 3})
    bench.to("01:00")
    assert bench.started() == ["a"]


def test_a_run_that_needs_many_slots_is_not_overtaken_by_later_small_ones():
    bench = plan_of(
        job("small", pool="p"), job("big at 0 1 * * *", pool="p", slots=2), job("late at 0 2 * * *", pool="p"),
        pools={"p": 2},
    )  # fmt: skip
    bench.trigger("small")
    bench.to("02:00")
    assert bench.started() == ["small"]
    bench.finish("small")
    bench.finish("big")
    assert bench.started() == ["small", "big", "late"]


def test_a_full_pool_holds_up_no_other_pool():
    bench = plan_of(job("a", pool="p"), job("b at 0 1 * * *", pool="p"), job("c at 0 1 * * *", pool="q"),
                    pools={"p": 1, "q": 1})  # fmt: skip
    bench.trigger("a")
    bench.to("01:00")
    assert bench.started() == ["a", "c"]


def test_slots_are_free_between_two_attempts():
    bench = plan_of(job("a at 0 1 * * *", pool="p", retry=2), job("b at 0 1 * * *", pool="p"), pools={"p": 1})
    bench.to("01:00")
    bench.fail("a")
    assert (bench.state("a"), bench.state("b")) == ("retrying", "running")


def test_a_retry_waits_for_a_slot_of_its_pool():
    bench = plan_of(job("a at 0 1 * * *", pool="p", retry=2), job("b at 0 1 * * *", pool="p"), pools={"p": 1})
    bench.to("01:00")
    bench.fail("a")
    bench.to(timedelta(minutes=1))
    assert bench.state("a") == "retrying"
    bench.finish("b")
    assert bench.starts[-1][1] == 2


def test_a_cancelled_attempt_keeps_its_slot_until_it_has_ended():
    bench = plan_of(job("a at 0 1 * * *", pool="p"), job("b at 0 1 * * *", pool="p"), pools={"p": 1})
    bench.to("01:00")
    bench.apply(events.CancelRequested(bench.now, bench.row("a").name))
    assert bench.started() == ["a"]
    bench.finish("a", "cancelled")
    assert bench.started() == ["a", "b"]


def test_an_adopted_attempt_holds_its_slots():
    bench = plan_of(job("a at 0 1 * * *", pool="p"), job("b at 0 2 * * *", pool="p"), pools={"p": 1})
    bench.to("01:00")
    bench.restart(living=[(bench.row("a").name, 1)])
    bench.to("02:00")
    assert bench.state("b") == "queued"


@pytest.mark.parametrize("restarted", [False, True])
def test_an_attempt_of_a_removed_job_holds_its_slots_until_it_ends(restarted):
    bench = plan_of(job("a at 0 1 * * *", pool="p"), job("b at 0 2 * * *", pool="p"), pools={"p": 1})
    bench.to("01:00")
    bench.configure(job("b at 0 2 * * *", pool="p"), pools={"p": 1})
    if restarted:
        bench.restart(living=[(bench.row("a").name, 1)])
    bench.to("02:00")
    assert bench.state("b") == "queued"
    bench.finish("a")
    assert bench.state("b") == "running"


@pytest.mark.parametrize("restarted", [False, True])
def test_an_attempt_under_way_holds_the_slots_it_started_with_after_an_edit(restarted):
    bench = plan_of(job("a at 0 1 * * *", pool="p", slots=2), job("b at 0 2 * * *", pool="p"), pools={"p": 2})
    bench.to("01:00")
    bench.configure(job("a at 0 1 * * *"), job("b at 0 2 * * *", pool="p"), pools={"p": 2})
    if restarted:
        bench.restart(living=[(bench.row("a").name, 1)], pools={"p": 2})
    bench.to("02:00")
    assert bench.state("b") == "queued"


def test_a_pool_made_smaller_starts_nothing_until_enough_have_ended():
    jobs = [job(f"j{n} at 0 1 * * *", pool="p") for n in range(4)]
    bench = plan_of(*jobs, pools={"p": 2})
    bench.to("01:00")
    bench.configure(*jobs, pools={"p": 1})
    bench.finish("j0")
    assert bench.started() == ["j0", "j1"]
    bench.finish("j1")
    assert bench.started() == ["j0", "j1", "j2"]


def test_the_daemons_own_limit_counts_attempts_over_all_pools():
    bench = plan_of("a at 0 1 * * *", "b at 0 1 * * *", "c at 0 1 * * *", slots_max=2)
    bench.to("01:00")
    assert bench.started() == ["a", "b"]
    bench.finish("a")
    assert bench.started() == ["a", "b", "c"]


def test_what_workers_do_takes_slots_of_its_pool_and_none_of_the_daemon():
    far = [job(f"far{n} at 0 1 * * *", queue="etl", pool="p") for n in range(3)]
    bench = plan_of("a at 0 1 * * *", "b at 0 1 * * *", *far, pools={"p": 2}, slots_max=1)
    bench.to("01:00")
    assert bench.started() == ["a", "far0", "far1"]
    bench.finish("a")
    bench.finish("far0")
    assert bench.started() == ["a", "far0", "far1", "b", "far2"]


def test_a_job_that_waits_for_a_slot_of_the_daemon_holds_up_no_worker_of_its_pool():
    bench = plan_of(
        "busy at 0 1 * * *", job("near at 0 1 * * *", pool="p"), job("far at 0 1 * * *", pool="p", queue="etl"),
        pools={"p": 1}, slots_max=1,
    )  # fmt: skip
    bench.to("01:00")
    assert bench.started() == ["busy", "far"]
    assert "the daemon has 1 slot" not in bench.plan.seats.blocks(bench.row("near")).words
    bench.finish("busy")
    bench.finish("far")
    assert bench.started() == ["busy", "far", "near"]


def test_those_who_are_ready_longest_start_first():
    bench = plan_of(job("x", pool="p"), job("late at 0 2 * * *", pool="p"), job("early at 0 1 * * *", pool="p"),
                    pools={"p": 1})  # fmt: skip
    bench.trigger("x")
    bench.to("02:00")
    bench.run_to_end()
    assert bench.started() == ["x", "early", "late"]


def test_nothing_starts_while_starts_are_held_and_everything_does_afterwards():
    bench = plan_of("a at 0 1 * * *")
    bench.apply(events.StartsHeld(bench.now, True))
    bench.to("01:00")
    assert bench.starts == []
    bench.apply(events.StartsHeld(bench.now, False))
    assert bench.started() == ["a"]


def test_a_reload_does_not_lift_a_hold_on_starts():
    bench = plan_of("a at 0 1 * * *")
    bench.apply(events.StartsHeld(bench.now, True))
    bench.to("01:00")
    bench.configure("a at 0 1 * * *", "b")
    assert bench.starts == []


def test_a_reload_while_stopping_starts_nothing():
    bench = plan_of("a at 0 1 * * *")
    bench.apply(events.StopRequested(bench.now))
    bench.to("01:00")
    bench.configure("a at 0 1 * * *", "b")
    bench.apply(events.StartsHeld(bench.now, False))
    assert bench.starts == []
