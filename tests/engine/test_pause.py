"""Pausing and resuming a job."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Unknown
from dagsched.model import Catchup
from tests.engine.bench_of_one import copy_of, job, plan_of


def pause(bench, id):
    bench.apply(events.PauseRequested(bench.now, id))


def resume(bench, id):
    bench.apply(events.ResumeRequested(bench.now, id))


def test_ticks_while_paused_are_skipped_and_never_replayed():
    bench = plan_of("a at 0 * * * *")
    pause(bench, "a")
    bench.to("03:30")
    resume(bench, "a")
    bench.to("04:00")
    assert bench.rows("a") == ["01:00-03:00 skipped", "04:00 running"]
    assert bench.reasons("a")[0] == "paused"


def test_a_tick_due_before_the_pause_runs_though_it_was_not_made_yet():
    bench = plan_of("a at 0 1 * * *")
    bench.now = bench.now + timedelta(hours=1, seconds=5)
    pause(bench, "a")
    assert bench.state("a") == "queued"


def test_a_tick_due_before_the_resume_stays_skipped():
    bench = plan_of("a at 0 1 * * *")
    pause(bench, "a")
    bench.now = bench.now + timedelta(hours=1, seconds=5)
    resume(bench, "a")
    assert bench.rows("a") == ["01:00 skipped"]


def test_queued_runs_stay_and_start_after_resume():
    bench = plan_of(job("a at 0 * * * *", overlap="queue"))
    bench.to("02:00")
    pause(bench, "a")
    bench.finish("a")
    assert bench.rows("a") == ["01:00 success", "02:00 queued"]
    resume(bench, "a")
    assert bench.rows("a") == ["01:00 success", "02:00 running"]


def test_waiting_runs_stay_and_start_after_resume():
    bench = plan_of("u at 0 1 * * *", "a after u at 0 1 * * *")
    bench.to("01:00")
    pause(bench, "a")
    bench.finish("u")
    assert bench.state("a") == "queued"
    resume(bench, "a")
    assert bench.state("a") == "running"


@pytest.mark.parametrize("restarted", [False, True])
def test_retrying_runs_stay_and_start_after_resume(restarted):
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    pause(bench, "a")
    bench.to("01:30")
    if restarted:
        bench.restart()
    assert bench.state("a") == "retrying"
    resume(bench, "a")
    assert bench.starts[-1][1] == 2


def test_a_retrying_run_resumed_before_its_backoff_is_over_waits_for_that():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    pause(bench, "a")
    resume(bench, "a")
    assert len(bench.starts) == 1
    bench.to("01:01")
    assert len(bench.starts) == 2


def test_running_attempts_go_on():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    pause(bench, "a")
    assert (bench.state("a"), bench.stops) == ("running", [])


def test_a_persons_trigger_ignores_the_pause():
    bench = plan_of("a at 0 1 * * *")
    pause(bench, "a")
    bench.trigger("a")
    assert bench.state("a") == "running"


def test_a_persons_trigger_is_not_held_up_by_a_queued_run_that_the_pause_holds():
    bench = plan_of(job("a at 0 1 * * *", pool="p"), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    pause(bench, "a")
    bench.finish("v")
    tick = bench.trigger("a")
    assert (bench.state("a", "01:00"), bench.state("a", tick)) == ("queued", "running")


def test_a_persons_run_that_waits_for_its_turn_is_not_held_up_by_a_later_pause_either():
    bench = plan_of(job("a at 0 1,2 * * *", pool="p", catchup=Catchup.ALL), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.sleep_to("01:30")
    tick = bench.trigger("a")
    pause(bench, "a")
    bench.finish("v")
    assert (bench.state("a", "01:00"), bench.state("a", tick)) == ("queued", "running")


def test_a_paused_descendant_of_a_triggered_job_is_skipped():
    bench = plan_of("a", "b after a")
    pause(bench, "b")
    bench.trigger("a")
    assert (bench.state("b"), bench.row("b").reason) == ("skipped", "paused")


def test_a_pause_outlives_a_restart_and_a_reload():
    first = job("a at 0 * * * *")
    bench = plan_of(first)
    pause(bench, "a")
    bench.restart()
    bench.configure(copy_of(first, description="x"))
    bench.configure(job("a at 30 * * * *"))
    bench.to("02:00")
    assert bench.rows("a") == ["00:30-01:30 skipped"]


def test_pausing_twice_keeps_the_first_instant_and_says_so_once():
    bench = plan_of("a at 0 * * * *")
    pause(bench, "a")
    first = bench.plan.book.marks["a"].paused
    bench.to("00:30")
    pause(bench, "a")
    assert bench.plan.book.marks["a"].paused == first
    assert [event.type for event in bench.log].count("job.paused") == 1


def test_pausing_an_unknown_job_names_the_nearest():
    bench = plan_of("nightly")
    with pytest.raises(Unknown, match="did you mean 'nightly'"):
        pause(bench, "nihgtly")


def test_pausing_is_not_missing():
    bench = plan_of("a at 0 * * * *")
    pause(bench, "a")
    bench.restart(after=timedelta(hours=4, minutes=30))
    assert {run.reason for run in bench.kept.values()} == {"paused"}
