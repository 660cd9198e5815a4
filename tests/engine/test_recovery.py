"""What becomes of attempts when the daemon, the process that starts them, or the machine went away."""

from datetime import timedelta

import pytest

from dagsched.engine import Plan, events
from dagsched.model import Config, Exit, OnCrash, Outcome
from tests.engine.bench_of_one import copy_of, job, plan_of

NAME = "job:a:2026-03-02T01:00:00Z"


def running(**fields):
    bench = plan_of(job("a at 0 1 * * *", **fields), "b after a")
    bench.to("01:00")
    return bench


def test_a_living_attempt_is_adopted_and_not_started_again():
    bench = running()
    bench.restart(after=timedelta(minutes=5), living=[(NAME, 1)])
    assert (bench.state("a"), len(bench.starts)) == ("running", 1)
    bench.finish("a")
    assert bench.states() == {"a": "success", "b": "running"}


def test_work_that_finished_meanwhile_is_found_finished():
    bench = running()
    ended = bench.now + timedelta(minutes=1)
    bench.restart(after=timedelta(minutes=5), exits=[Exit(NAME, 1, Outcome.SUCCESS, ended, exit_code=0)])
    assert (bench.row("a").ended, bench.states()) == (ended, {"a": "success", "b": "running"})


def test_an_attempt_the_inventory_does_not_know_is_sent_again_under_the_same_number():
    bench = running()
    bench.restart()
    assert bench.starts == [(NAME, 1), (NAME, 1)]
    assert bench.row("a").attempts == 1


def test_an_attempt_whose_start_was_recorded_and_whose_end_nobody_saw_is_lost_and_counts():
    bench = running()
    bench.restart(recorded=[(NAME, 1)])
    assert (bench.state("a"), bench.row("a").attempts) == ("failed", 1)
    assert bench.row("a").reason == "lost: nobody saw how it ended"


def test_after_a_reboot_an_attempt_is_lost_though_its_start_was_not_recorded():
    bench = running()
    bench.restart(rebooted=True)
    assert (bench.state("a"), len(bench.starts)) == ("failed", 1)


@pytest.mark.parametrize(("on_crash", "state"), [("retry", "retrying"), ("fail", "failed")])
def test_on_crash_decides_what_becomes_of_a_lost_attempt(on_crash, state):
    bench = running(retry=2, on_crash=OnCrash(on_crash))
    bench.restart(recorded=[(NAME, 1)])
    assert bench.state("a") == state


def test_crashes_count_towards_max_attempts():
    bench = running(retry=2)
    for _ in range(2):
        bench.restart(recorded=[(NAME, bench.row("a").attempts)])
        bench.to(timedelta(minutes=1))
    assert (bench.state("a"), bench.row("a").attempts) == ("failed", 2)


def test_a_living_attempt_that_the_store_does_not_know_is_stopped_and_reported():
    bench = plan_of("a at 0 1 * * *")
    bench.restart(living=[(NAME, 1)])
    assert bench.stops == [(NAME, 1, "cancel")]
    assert "attempt.unknown" in [event.type for event in bench.log]


def test_an_attempt_being_cancelled_is_told_again_after_a_restart():
    bench = running()
    cancel(bench)
    bench.restart(living=[(NAME, 1)])
    assert bench.stops == [(NAME, 1, "cancel")] * 2
    bench.finish("a", "cancelled", cause="cancel")
    assert (bench.state("a"), bench.row("a").reason) == ("cancelled", "cancelled by request")


def test_an_attempt_cancelled_before_it_was_ever_started_is_not_sent_again():
    bench = running()
    cancel(bench)
    bench.restart()
    assert (bench.state("a"), len(bench.starts)) == ("cancelled", 1)


def cancel(bench):
    bench.apply(events.CancelRequested(bench.now, NAME))


def test_nothing_starts_before_the_inventory_and_the_configuration_are_applied():
    bench = plan_of("a at 0 1 * * *")
    bench.apply(events.StartsHeld(bench.now, True))
    bench.to("01:00")
    config, plan = Config(bench.plan.book.jobs), Plan()
    plan.restore(
        runs=[bench.row("a")], attempts=[], marks=bench.plan.book.marks.values(), last_event=len(bench.log),
        last_seen=bench.now, config=config, config_number=1,
    )  # fmt: skip
    kinds = [
        [type(command).__name__ for command in plan.apply(event)]
        for event in (
            events.TimePassed(bench.now),
            events.Recovered(bench.now, frozenset(), (), frozenset()),
            events.ConfigApplied(bench.now, config, 1),
        )
    ]
    assert ["StartAttempt" in kind for kind in kinds] == [False, False, True]


def test_a_removed_jobs_attempt_that_was_never_started_is_failed():
    bench = running()
    bench.configure("z")
    bench.restart()
    assert bench.state("a") == "failed"


def test_a_restart_forgets_no_waiting_queued_or_retrying_run():
    bench = plan_of(job("a at 0 1 * * *", retry=2), "b after a", job("c at 0 1 * * *", overlap="queue"))
    bench.to("01:00")
    bench.fail("a")
    bench.trigger("c")
    before = bench.states()
    bench.restart(living=[("job:c:2026-03-02T01:00:00Z", 1)])
    assert bench.states() == before
    bench.to("01:01")
    bench.run_to_end()
    assert bench.states() == {"a": "success", "b": "success", "c": "success"}


def test_numbering_of_events_goes_on_after_a_restart():
    bench = running()
    bench.restart(living=[(NAME, 1)])
    bench.run_to_end()
    assert [event.seq for event in bench.log] == list(range(1, len(bench.log) + 1))


def test_a_job_changed_while_down_retries_under_its_new_definition():
    first = job("a at 0 1 * * *", retry=2, run="old")
    bench = plan_of(first)
    bench.to("01:00")
    bench.restart(copy_of(first, run="new"), recorded=[(NAME, 1)])
    bench.to(timedelta(minutes=1))
    assert [command.job.run for command in bench.start_commands] == ["old", "new"]
