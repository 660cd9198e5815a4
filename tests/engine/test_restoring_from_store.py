"""What a store hands a new plan is enough: it decides as the one before it, which knows everything."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from hypothesis import given, settings

from dagsched.daemon.restoring import restored
from dagsched.engine import Plan, commands, events
from dagsched.model import Job
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch
from tests.engine.test_restoring import STEPS, Pair, applied, comparable, graphs


def batch_of(wanted: list[commands.Command]) -> Batch:
    """What one event wants kept."""
    batch = Batch()
    for command in wanted:
        if isinstance(command, commands.SplitRow):
            batch.split.append((command.job, command.tick))
        elif isinstance(command, commands.SaveRun):
            batch.runs.append(command.run)
        elif isinstance(command, commands.SaveAttempt):
            (batch.new_attempts if command.new else batch.attempts).append(command.attempt)
        elif isinstance(command, commands.SaveMark):
            batch.marks.append(command.mark)
        elif isinstance(command, commands.RecordEvent):
            batch.events.append(command.row)
        elif isinstance(command, commands.SaveDefinition):
            batch.definitions[command.digest] = command.definition
        elif isinstance(command, commands.SaveConfig):
            batch.config = command.version
    return batch


class Kept(Pair):
    """A plan whose every event is committed to a store."""

    def __init__(self, jobs: tuple[Job, ...], store: MemoryStore) -> None:
        self.batches: list[Batch] = []
        self.store = store
        super().__init__(jobs)

    def take(self, wanted: list[commands.Command]) -> None:
        super().take(wanted)
        self.batches.append(batch_of(wanted))

    async def commit(self) -> None:
        """Write everything since the last time."""
        batches, self.batches = self.batches, []
        for batch in batches:
            await self.store.commit(batch)

    async def twin(self) -> Plan:
        """A plan as a daemon makes it that starts now."""
        plan, _ = await restored(self.store, self.config, self.now, slots=None)
        living = frozenset((run.name, run.attempts) for run in self.plan.running())
        plan.book.last_seen = self.plan.book.last_seen  # an event that changed nothing leaves no trace in a store
        plan.apply(events.Recovered(self.now, living, (), frozenset()))
        plan.apply(events.ConfigApplied(self.now, self.config, self.number))
        plan.book.last_event = self.plan.book.last_event
        return plan


@settings(max_examples=60, deadline=None)
@given(graphs(), STEPS, STEPS)
def test_a_plan_restored_from_a_store_decides_as_the_one_before_it(
    jobs: tuple[Job, ...], before: Any, after: Any
) -> None:
    asyncio.run(check(jobs, before, after))


async def check(jobs: tuple[Job, ...], before: Any, after: Any) -> None:
    store = MemoryStore()
    await store.open(write=True)
    await store.acquire("test")
    pair = Kept(jobs, store)
    for what, number in before:
        event = pair.event(what, number)
        wanted = applied(pair.plan, event) if event else []
        pair.take(wanted if isinstance(wanted, list) else [])
    await pair.commit()
    twin = await pair.twin()
    # A restart takes time: no person's tick after it can lie before one that was made before it.
    pair.now += timedelta(seconds=1)
    for what, number in after:
        event = pair.event(what, number)
        if event is None:
            continue
        wanted = applied(pair.plan, event)
        assert comparable(applied(twin, event)) == comparable(wanted), (what, number)
        pair.take(wanted if isinstance(wanted, list) else [])
    await pair.commit()
    assert not await store.check()
    await store.close()
