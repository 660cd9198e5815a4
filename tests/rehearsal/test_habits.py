"""How long attempts take and how often they fail: from history, given, or assumed; and what is drawn from it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dagsched.model import Config, Outcome, Run, RunState, utc
from dagsched.rehearsal.habits import Draws, Habit, Said, Source, habit_of, habits_of, with_open_conditions
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch
from tests.engine.bench_of_one import job

MONDAY = utc(2026, 3, 2)
MINUTE = timedelta(minutes=1)


def past(
    minutes: float, state: RunState = RunState.SUCCESS, attempts: int = 1, number: int = 0, id: str = "load"
) -> Run:
    tick = MONDAY + timedelta(days=number)
    return Run(id, tick, state, started=tick, ended=tick + minutes * MINUTE, attempts=attempts)


def test_lengths_are_those_of_successes_and_the_fail_rate_is_that_of_all_attempts() -> None:
    rows = [past(5), past(7, attempts=3), past(1, RunState.FAILED, attempts=4)]
    habit = habit_of(job("load"), rows, length=None, fail_rate=None)
    assert habit == Habit((5 * MINUTE, 7 * MINUTE), 6 / 8, Source.HISTORY, Source.HISTORY)


def test_without_history_an_attempt_takes_a_minute_and_succeeds() -> None:
    assert habit_of(job("load"), [], length=None, fail_rate=None) == Habit((MINUTE,), 0.0)


def test_what_is_assumed_never_runs_into_the_timeout() -> None:
    quick = job("load", timeout=timedelta(seconds=10))
    assert habit_of(quick, [], length=None, fail_rate=None).lengths == (timedelta(seconds=5),)


def test_what_a_person_says_wins_over_history() -> None:
    habit = habit_of(job("load"), [past(5)], length=2 * MINUTE, fail_rate=0.5)
    assert habit == Habit((2 * MINUTE,), 0.5, Source.GIVEN, Source.GIVEN)


def test_what_is_said_of_no_job_is_for_those_without_history() -> None:
    async def read() -> dict[str, Habit]:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("a test")
        await store.commit(Batch(runs=[past(5, number=n) for n in range(60)] + [past(9, id="named")]))
        config = Config({id: job(id) for id in ("load", "new", "named")})
        said = Said({"named": 3 * MINUTE}, {}, length=2 * MINUTE, fail_rate=0.25)
        return await habits_of(config, store, said)

    habits = asyncio.run(read())
    assert habits["load"] == Habit((5 * MINUTE,) * 50, 0.0, Source.HISTORY, Source.HISTORY)
    assert habits["new"] == Habit((2 * MINUTE,), 0.25, Source.GIVEN, Source.GIVEN)
    assert habits["named"] == Habit((3 * MINUTE,), 0.0, Source.GIVEN, Source.HISTORY)


def run_of(number: int) -> Run:
    return Run("load", MONDAY + timedelta(hours=number), RunState.RUNNING)


def test_a_draw_depends_on_seed_run_and_attempt_and_on_nothing_else() -> None:
    habits = {"load": Habit(tuple(n * MINUTE for n in range(1, 51)), 0.5)}
    load = job("load")
    draws = [Draws(seed, habits) for seed in (0, 0, 1)]
    one, again, other = ([draw(load, run_of(n), 1) for n in range(50)] for draw in draws)
    assert one == again
    assert one != other
    assert draws[0](load, run_of(3), 2) != draws[0](load, run_of(3), 1)
    # Fewer runs before it change nothing about a later one.
    assert Draws(0, habits)(load, run_of(49), 1) == one[49]


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
def test_attempts_fail_about_as_often_as_said_and_lengths_are_drawn_evenly(rate: float) -> None:
    draws = Draws(7, {"load": Habit((MINUTE, 3 * MINUTE), rate)})
    ends = [draws(job("load"), run_of(n), 1) for n in range(4000)]
    failed = sum(end.outcome is Outcome.FAILED for end in ends) / len(ends)
    assert failed == pytest.approx(rate, abs=0.02)
    assert (failed == rate) is (rate in (0.0, 1.0))
    assert sum(end.duration == MINUTE for end in ends) / len(ends) == pytest.approx(0.5, abs=0.03)


def test_a_workflow_whose_step_is_a_job_is_not_drawn() -> None:
    flow = job("flow", handler="workflow", run=None, with_={"job": "load"})
    draws = Draws(0, {"flow": Habit((MINUTE,), 1.0)})
    assert draws(flow, run_of(0), 1).outcome is Outcome.SUCCESS


def test_a_success_puts_out_what_the_newest_success_on_record_did() -> None:
    rows = [past(1, RunState.FAILED), past(5)._replace(outputs={"rows": "3"}), past(5)._replace(outputs={"rows": "2"})]
    habit = habit_of(job("load"), rows, length=None, fail_rate=0.0)
    run = Run("load", MONDAY, RunState.RUNNING)
    assert Draws(0, {"load": habit})(job("load"), run, 1).outputs == {"rows": "3"}


def test_conditions_on_outputs_that_nobody_knows_are_taken_to_hold_and_others_are_judged() -> None:
    asking = {"load after count": 'output("count", "rows") > 0', "mail after count": 'state("count") == "success"'}
    jobs = [job("count"), *(job(text, when=when) for text, when in asking.items())]
    config = Config({each.id: each for each in jobs})
    unknown, known = Habit((MINUTE,)), Habit((MINUTE,), outputs={"rows": "3"})
    opened, ids = with_open_conditions(config, {"count": unknown, "load": unknown, "mail": unknown})
    assert ids == ["load"]
    assert (opened.jobs["load"].when, opened.jobs["mail"].when) == ("", config.jobs["mail"].when)
    assert with_open_conditions(config, {"count": known, "load": unknown, "mail": unknown})[1] == []
