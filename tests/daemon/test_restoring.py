"""A plan made of what the store holds goes on where the last one stood."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from dagsched.daemon.restoring import restored, rows_for_edit
from dagsched.engine import events
from dagsched.model import Config, Origin, Run, RunState
from dagsched.stores import Batch, MemoryStore
from tests.daemon.test_loop import Stage
from tests.engine.bench_of_one import START, job

POOLS = {"narrow": 1, "wide": 9}
HOUR = timedelta(hours=1)


def test_an_adopted_attempt_holds_the_slots_it_started_with_though_its_job_was_moved_to_another_pool() -> None:
    async def play() -> None:
        stage = Stage()
        await stage.open()
        before = Config({"a": job("a", pool="narrow"), "b": job("b", pool="narrow")}, POOLS, digest="2")
        await stage.granted(lambda now: events.ConfigApplied(now, before, 2))
        await stage.trigger("a")
        moved = Config({"a": job("a", pool="wide"), "b": job("b", pool="narrow")}, POOLS, digest="3")
        await stage.granted(lambda now: events.ConfigApplied(now, moved, 3))
        running = stage.loop.plan.running()[0]

        now = stage.clock.now()
        plan, _ = await restored(stage.store, moved, now, slots=None)
        plan.apply(events.Recovered(now, frozenset({(running.name, 1)}), (), frozenset()))
        plan.apply(events.ConfigApplied(now, moved, 3))
        plan.apply(events.TriggerRequested(now, "b"))
        assert [run.job for run in plan.running()] == ["a"]

    asyncio.run(play())


def test_behind_a_run_no_join_sees_stands_the_row_before_it_and_what_stands_in_for_that() -> None:
    ran = Run("u", START, RunState.SUCCESS, created=START, ended=START, attempts=1)
    left_out = Run(
        "u",
        START + HOUR,
        RunState.SKIPPED,
        reason="overlap",
        stand_in=START,
        created=START,
        ended=START,
        attempt_limit=0,
    )
    alone = Run(
        "u", START + 2 * HOUR + timedelta(milliseconds=5), RunState.SUCCESS, origin=Origin.MANUAL, only=True,
        created=START, ended=START, attempts=1,
    )  # fmt: skip

    async def play() -> None:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("the test")
        await store.commit(Batch(runs=[ran, left_out, alone]))
        config = Config({each.id: each for each in (job("u at 0 * * * *"), job("d after u at 30 * * * *"))}, digest="1")
        plan, _ = await restored(store, config, START + 3 * HOUR, slots=None)
        assert plan.book.ledger.newest("u") == left_out
        assert plan.book.ledger.get(ran.key) == ran

    asyncio.run(play())


def test_a_window_that_an_edit_adds_opens_at_the_tick_before_though_that_is_not_in_memory() -> None:
    made = {"created": START, "ended": START}
    upstream = [Run("u", START + hours * HOUR, RunState.SUCCESS, attempts=1, **made) for hours in range(4)]
    before = Run("d", START, RunState.SKIPPED, attempt_limit=0, **made)
    tick = START + HOUR + timedelta(milliseconds=5)
    newest = Run("d", tick, RunState.SUCCESS, origin=Origin.UPSTREAM, attempts=1, **made)
    old = Config({each.id: each for each in (job("u at 0 * * * *"), job("d"))}, digest="1")
    new = Config({each.id: each for each in (job("u at 0 * * * *"), job("d after u:all at 0 * * * *"))}, digest="2")
    now = START + 3.5 * HOUR

    async def play() -> None:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("the test")
        await store.commit(Batch(runs=[*upstream, before, newest]))
        plan, _ = await restored(store, old, now, slots=None)
        plan.apply(events.Recovered(now, frozenset(), (), frozenset()))
        plan.apply(events.ConfigApplied(now, old, 1))
        plan.apply(events.ConfigApplied(now, new, 2, await rows_for_edit(store, plan, new, now)))
        plan.apply(events.TimePassed(START + 4 * HOUR))
        run = plan.book.ledger.get(("d", START + 4 * HOUR))
        assert run is not None
        assert [link.tick for link in run.links] == [START + hours * HOUR for hours in range(1, 5)]

    asyncio.run(play())
