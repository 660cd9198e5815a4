"""Attempts and what their ends mean: backoff, timeouts, lost attempts, cancellation."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.engine.retries import wait_after
from dagsched.model import Backoff, OnCrash, RetryPolicy, utc
from tests.engine.bench_of_one import copy_of, job, plan_of

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ("constant", [2, 2, 2, 2, 2]),
        ("linear", [2, 4, 6, 8, 10]),
        ("exponential", [2, 6, 18, 54, 60]),
    ],
)
def test_the_wait_grows_as_the_backoff_says_up_to_max_delay(backoff, waits):
    policy = RetryPolicy(9, Backoff(backoff), delay=2 * SECOND, multiplier=3.0, max_delay=60 * SECOND)
    assert [wait_after(policy, "job:a:x", n) for n in range(1, 6)] == [n * SECOND for n in waits]


@pytest.mark.parametrize(
    ("multiplier", "delay", "wait"),
    [(2.0, SECOND, timedelta(hours=1)), (3.0, SECOND, timedelta(hours=1)), (1000.0, 0 * SECOND, 0 * SECOND)],
    ids=["doubled", "tripled", "no delay at all"],
)
@pytest.mark.parametrize("attempt", [104, 310, 700, 1024, 5000])
def test_a_wait_after_many_attempts_is_max_delay(multiplier, delay, wait, attempt):
    policy = RetryPolicy(9999, Backoff.EXPONENTIAL, delay, multiplier, max_delay=timedelta(hours=1))
    assert wait_after(policy, "job:a:x", attempt) == wait


def test_retry_jitter_is_a_hash_of_run_name_and_attempt():
    policy = RetryPolicy(5, delay=SECOND, jitter=10 * SECOND)
    waits = {(name, n): wait_after(policy, name, n) for name in ("job:a:1", "job:a:2") for n in (1, 2)}
    assert waits == {(name, n): wait_after(policy, name, n) for name, n in waits}
    assert len(set(waits.values())) == 4
    assert all(SECOND <= wait < 11 * SECOND for wait in waits.values())


def test_a_failed_attempt_is_followed_by_another_after_the_backoff():
    bench = plan_of(job("a at 0 1 * * *", retry=3))
    bench.to("01:00")
    bench.fail("a")
    assert (bench.state("a"), bench.plan.wake_at()) == ("retrying", utc(2026, 3, 2, 1, 0, 10))
    bench.to("01:01")
    assert bench.starts == [(bench.row("a").name, 1), (bench.row("a").name, 2)]


def test_a_run_is_failed_after_max_attempts_and_never_more():
    bench = plan_of(job("a at 0 1 * * *", retry=3))
    for _ in range(3):
        bench.to("01:00" if not bench.starts else SECOND * 10)
        bench.fail("a", exit_code=7)
    bench.to("03:00")
    assert (bench.state("a"), bench.row("a").attempts, bench.row("a").reason) == ("failed", 3, "exit code 7")
    assert bench.plan.is_idle()


@pytest.mark.parametrize(
    ("on", "outcome", "exit_code", "state"),
    [
        ((), "failed", 1, "retrying"),
        (("failed",), "failed", 1, "retrying"),
        (("timed_out",), "failed", 1, "failed"),
        (("timed_out",), "timed_out", None, "retrying"),
        (("spawn_error",), "spawn_error", None, "retrying"),
        ((75,), "failed", 75, "retrying"),
        ((75,), "failed", 1, "failed"),
    ],
)
def test_only_the_outcomes_and_exit_codes_named_by_on_are_retried(on, outcome, exit_code, state):
    bench = plan_of(job("a at 0 1 * * *", retry=RetryPolicy(2, on=on)))
    bench.to("01:00")
    bench.finish("a", outcome, exit_code=exit_code)
    assert bench.state("a") == state


def test_a_timed_out_attempt_is_a_bad_end():
    bench = plan_of("a at 0 1 * * *", "b after a")
    bench.to("01:00")
    bench.finish("a", "timed_out", exit_code=0, cause="timeout")
    assert (bench.state("a"), bench.row("a").reason, bench.state("b")) == ("failed", "timed out", "upstream_failed")


def test_an_exit_before_our_own_signal_stands_as_it_is():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    bench.apply(events.CancelRequested(bench.now, bench.row("a").name))
    bench.finish("a")
    assert bench.state("a") == "success"


def test_a_cancelled_attempt_is_cancelled_and_not_retried():
    bench = plan_of(job("a at 0 1 * * *", retry=3))
    bench.to("01:00")
    bench.apply(events.CancelRequested(bench.now, bench.row("a").name))
    assert bench.stops == [(bench.row("a").name, 1, "cancel")]
    bench.finish("a", "cancelled", cause="cancel")
    assert (bench.state("a"), bench.row("a").reason) == ("cancelled", "cancelled by request")


def test_an_attempt_that_fails_while_it_is_being_cancelled_is_cancelled():
    bench = plan_of(job("a at 0 1 * * *", retry=3))
    bench.to("01:00")
    bench.apply(events.CancelRequested(bench.now, bench.row("a").name))
    bench.fail("a")
    assert bench.state("a") == "cancelled"


@pytest.mark.parametrize("state", ["waiting", "queued", "retrying"])
def test_a_run_without_a_living_attempt_is_cancelled_at_once(state):
    bench = plan_of(job("a at 0 1 * * *", retry=2), "b after a")
    if state == "queued":
        bench.apply(events.StartsHeld(bench.now, True))
    bench.to("01:00")
    if state == "retrying":
        bench.fail("a")
    run = bench.row("b" if state == "waiting" else "a")
    assert run.state == state
    bench.apply(events.CancelRequested(bench.now, run.name))
    assert bench.row(run.job).state == "cancelled"
    assert bench.plan.wake_at() == utc(2026, 3, 3, 1)
    bench.to("02:00")
    assert len(bench.starts) == (state != "queued")


def test_a_stopped_daemons_attempt_is_retried_without_backoff_if_attempts_remain():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.apply(events.StopRequested(bench.now))
    bench.finish("a", "cancelled", cause="stop")
    assert (bench.state("a"), bench.starts[-1][1]) == ("retrying", 1)
    bench.restart()
    assert bench.starts[-1][1] == 2


def test_a_stopped_daemons_last_attempt_is_failed_daemon_stopped():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    bench.apply(events.StopRequested(bench.now))
    assert bench.stops == [(bench.row("a").name, 1, "stop")]
    bench.finish("a", "cancelled", cause="stop")
    assert (bench.state("a"), bench.row("a").reason) == ("failed", "daemon stopped")


def test_an_attempt_that_succeeds_while_the_daemon_stops_is_a_success():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    bench.apply(events.StopRequested(bench.now))
    bench.finish("a")
    assert bench.state("a") == "success"


def test_retries_wait_for_slots_alone_and_not_for_joins():
    bench = plan_of("u at 0 1 * * *", job("a after u", retry=2))
    bench.to("01:00")
    bench.finish("u")
    bench.fail("a")
    bench.apply(events.RerunRequested(bench.now, bench.row("u").name))
    bench.to("01:01")
    assert (bench.state("u"), bench.starts[-1]) == ("running", (bench.row("a").name, 2))


def test_backoff_is_time_that_passes_when_the_clock_is_set():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    bench.now = utc(2026, 3, 2, 0, 30)
    bench.apply(events.ClockStepped(bench.now, timedelta(minutes=-30)))
    assert bench.plan.wake_at() == utc(2026, 3, 2, 0, 30, 10)


def test_each_attempt_uses_the_definition_in_force_at_its_start():
    first = job("a at 0 1 * * *", run="old", retry=2)
    bench = plan_of(first)
    bench.to("01:00")
    bench.configure(copy_of(first, run="new"))
    bench.fail("a")
    bench.to("01:01")
    assert [command.job.run for command in bench.start_commands] == ["old", "new"]


def test_every_attempts_definition_is_kept_under_its_hash():
    bench = plan_of(job("a at 0 1 * * *", run="x"))
    bench.to("01:00")
    assert bench.definitions[bench.row("a").definition]["run"] == "x"


def test_an_end_that_is_told_twice_changes_nothing_the_second_time():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    bench.fail("a")
    lines = len(bench.log)
    bench.end(bench.row("a").name, 1)
    assert (bench.state("a"), len(bench.log)) == ("failed", lines)


def test_an_end_of_an_older_attempt_changes_nothing():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    bench.to("01:01")
    bench.end(bench.row("a").name, 1)
    assert (bench.state("a"), bench.row("a").attempts) == ("running", 2)


def test_on_crash_fail_gives_a_lost_attempt_no_other():
    bench = plan_of(job("a at 0 1 * * *", retry=3, on_crash=OnCrash.FAIL))
    bench.to("01:00")
    bench.finish("a", "lost")
    assert (bench.state("a"), bench.row("a").reason[:4]) == ("failed", "lost")


def test_on_crash_retry_uses_the_attempts_that_remain():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.finish("a", "lost")
    assert bench.state("a") == "retrying"
    bench.to("01:01")
    bench.finish("a", "lost")
    assert bench.state("a") == "failed"


def test_outputs_are_those_of_the_attempt_that_succeeded():
    bench = plan_of(job("a", retry=2), "b after a")
    bench.trigger("a")
    bench.finish("a", "failed", exit_code=1, outputs={"rows": "1", "half": "x"})
    bench.to(timedelta(seconds=10))
    bench.finish("a", outputs={"rows": "2"})
    assert bench.start_commands[-1].outputs == {"a": {"rows": "2"}}


def test_outputs_of_a_run_that_stands_in_are_handed_on():
    bench = plan_of("a at */5 * * * *", "b after a at 1-59/5 * * * *")
    bench.to("00:05")
    bench.to("00:10")
    bench.to("00:11")
    assert "overlap" in bench.reasons("a")[1], "the second tick is left out, the run before stands in for it"
    bench.finish("a", outputs={"rows": "5"})
    assert bench.start_commands[-1].outputs == {"a": {"rows": "5"}}


def test_outputs_of_upstream_runs_reach_the_attempt():
    bench = plan_of("a at 0 1 * * *", "b after a")
    bench.to("01:00")
    bench.finish("a", outputs={"rows": "12"})
    assert bench.start_commands[-1].outputs == {"a": {"rows": "12"}}
