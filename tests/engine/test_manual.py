"""Ticks that a person makes: trigger, --with-upstream, --only, run --once."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused, Unknown
from dagsched.model import Config, utc
from tests.engine.bench_of_one import Bench, job, plan_of


def test_a_manual_tick_spreads_through_unscheduled_descendants():
    bench = plan_of("a", "b after a", "c after b")
    tick = bench.trigger("a")
    bench.run_to_end()
    assert bench.started() == ["a", "b", "c"]
    assert {run.tick for run in bench.kept.values()} == {tick}
    assert [str(run.origin) for run in bench.kept.values()] == ["manual", "upstream", "upstream"]


def test_a_manual_tick_stops_at_the_first_scheduled_descendant():
    bench = plan_of("a", "b after a at 0 9 * * *", "c after b")
    bench.trigger("a")
    bench.run_to_end()
    assert bench.started() == ["a"]


def test_triggering_a_job_in_the_middle_obeys_its_joins():
    bench = plan_of("a at 0 1 * * *", "b after a", "c after b")
    bench.to("01:00")
    tick = bench.trigger("b")
    assert bench.state("b", tick) == "waiting"
    bench.fail("a")
    assert bench.state("b", tick) == "upstream_failed"


def test_triggering_a_job_in_the_middle_starts_at_once_when_its_join_holds():
    bench = plan_of("a at 0 1 * * *", "b after a at 0 5 * * *")
    bench.to("01:00")
    bench.run_to_end()
    bench.trigger("b")
    assert bench.state("b") == "running"


def test_with_upstream_gives_the_ancestors_the_same_tick():
    bench = plan_of("a at 0 1 * * *", "b after a at 0 2 * * *", "c after b")
    tick = bench.trigger("c", with_upstream=True)
    bench.run_to_end()
    assert [run.tick for run in bench.kept.values()] == [tick] * 3
    assert bench.started() == ["a", "b", "c"]


def test_only_waits_for_no_upstream_and_starts_no_descendant():
    bench = plan_of("a", "b after a", "c after b")
    bench.trigger("b", only=True)
    bench.run_to_end()
    assert bench.started() == ["b"]
    assert bench.states() == {"b": "success"}


def test_no_join_ever_sees_an_only_run():
    bench = plan_of("a at 0 1 * * *", "b after a at 0 2 * * *", "c after a:same", job("d after a:all at 0 2 * * *"))
    bench.trigger("a", only=True)
    bench.run_to_end()
    bench.to("02:00")
    assert [link.tick for link in bench.row("b").links] == [utc(2026, 3, 2, 1)]
    assert [link.tick for link in bench.row("d").links] == [utc(2026, 3, 2, 1)]


def test_an_only_run_is_no_tick_for_those_who_have_never_seen_one():
    bench = plan_of("a at 0 12 * * *", "b after a at 0 2 * * *")
    bench.trigger("a", only=True)
    bench.run_to_end()
    bench.to("02:00")
    assert bench.state("b") == "waiting"


def test_a_trigger_hands_its_params_to_the_job_named():
    bench = plan_of("a", "b after a")
    bench.trigger("a", params={"day": "monday"})
    assert (bench.row("a").params, bench.row("b").params) == ({"day": "monday"}, {})


def test_triggering_an_unknown_job_is_refused_and_changes_nothing():
    bench = plan_of("nightly")
    lines = len(bench.log)
    with pytest.raises(Unknown):
        bench.apply(events.TriggerRequested(bench.now, "nigthly"))
    bench.apply(events.TimePassed(bench.now))
    assert len(bench.log) == lines


def test_cancelling_a_name_that_is_no_runs_name_is_refused():
    bench = plan_of("a")
    with pytest.raises(Refused, match="is no run name"):
        bench.apply(events.CancelRequested(bench.now, "a"))


def test_cancelling_what_is_over_is_refused():
    bench = plan_of("a")
    bench.trigger("a")
    bench.finish("a")
    with pytest.raises(Refused, match="is success already"):
        bench.apply(events.CancelRequested(bench.now, bench.row("a").name))


def test_a_failed_run_is_a_dead_letter_until_it_is_acknowledged():
    bench = plan_of("a")
    bench.trigger("a")
    bench.fail("a")
    assert not bench.row("a").acked
    bench.apply(events.AckRequested(bench.now, bench.row("a").name))
    assert bench.row("a").acked
    assert bench.log[-1].type == "run.acked"


def test_only_a_failed_run_can_be_acknowledged():
    bench = plan_of("a")
    bench.trigger("a")
    with pytest.raises(Refused, match="dead letter"):
        bench.apply(events.AckRequested(bench.now, bench.row("a").name))


# ---------------------------------------------------------------- run --once


def once(*jobs: str) -> Bench:
    bench = plan_of(*jobs, once=True)
    bench.apply(events.OnceRequested(bench.now, tuple(bench.plan.book.graph.order)))
    return bench


def test_once_makes_one_tick_for_its_jobs():
    bench = once("a at 0 1 * * *", "b after a at 0 2 * * *", "c after b")
    bench.run_to_end()
    assert bench.started() == ["a", "b", "c"]
    assert len({run.tick for run in bench.kept.values()}) == 1
    assert bench.plan.is_idle()


def test_once_makes_no_schedule_ticks_and_catches_up_nothing():
    bench = once("a at 0 * * * *")
    bench.run_to_end()
    bench.to("05:00")
    assert len(bench.kept) == 1
    assert bench.plan.wake_at() is None


def test_once_moves_no_reference_and_stores_no_configuration():
    bench = plan_of("a at 0 1 * * *", once=True)
    saved = []
    bench._take = saved.append  # what one event after another wants kept
    bench.apply(events.OnceRequested(bench.now, ("a",)))
    bench.to("02:00")
    assert {type(command).__name__ for command in saved} == {
        "SaveDefinition", "SaveRun", "SaveAttempt", "RecordEvent", "StartAttempt",
    }  # fmt: skip


def left_behind(*jobs: str, **found):
    """A --once plan over the state of a daemon that died, and that state's bench."""
    bench = plan_of(*jobs)
    bench.to("01:00")
    old, bench.plan = bench.plan, Bench(once=True).plan
    bench.plan.restore(
        runs=list(bench.kept.values()), attempts=list(old.book.open_attempts.values()),
        marks=list(old.book.marks.values()), last_event=len(bench.log), last_seen=bench.now,
        config=Config(old.book.jobs), config_number=1,
    )  # fmt: skip
    bench.now += timedelta(seconds=5)
    bench.apply(events.Recovered(bench.now, **{"living": frozenset(), "exits": (), "recorded": frozenset(), **found}))
    bench.configure(*jobs)
    return bench


def test_once_settles_a_dead_daemons_attempts_but_starts_only_its_own_runs():
    name = "job:a:2026-03-02T01:00:00Z"
    bench = left_behind(job("a at 0 1 * * *", retry=2), recorded=frozenset({(name, 1)}))
    bench.to("02:00")
    assert bench.state("a") == "retrying"
    assert bench.starts == [(name, 1)]
    assert bench.plan.is_idle()


def test_once_leaves_an_attempt_that_was_never_started_to_the_next_daemon():
    bench = left_behind("a at 0 1 * * *")
    assert (bench.state("a"), len(bench.starts)) == ("running", 1)


def test_once_starts_nothing_that_a_dead_daemon_had_queued():
    bench = left_behind(job("a at 0 1 * * *"), job("b after a"), recorded=frozenset())
    bench.apply(events.OnceRequested(bench.now, ("b",)))
    assert bench.state("b", "01:00") == "waiting"
