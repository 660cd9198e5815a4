"""A plan made of what the store holds goes on where the last one stood."""

from __future__ import annotations

import asyncio

from dagsched.daemon.restoring import restored
from dagsched.engine import events
from dagsched.model import Config
from tests.daemon.test_loop import Stage
from tests.engine.bench_of_one import job

POOLS = {"narrow": 1, "wide": 9}


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
