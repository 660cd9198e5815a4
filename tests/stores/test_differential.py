"""Random operations give the same answers from SQLite and PostgreSQL as from memory."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagsched.errors import StoreError
from dagsched.model import (
    Attempt,
    Backfill,
    BackfillState,
    ConfigVersion,
    Emission,
    EventRow,
    JobMark,
    Kept,
    Link,
    Match,
    Origin,
    Run,
    RunState,
)
from dagsched.stores import Batch
from dagsched.stores.contract import Bound
from tests.stores.conftest import MemoryEngine, PostgresEngine, SqliteEngine
from tests.stores.make import at

JOBS = st.sampled_from(["a", "b", "c"])
# Ticks lie 10 minutes apart and ranges are shorter, so ranges of one job never overlap. A day ends among them.
TICKS = st.integers(0, 11).map(lambda n: at(23) + timedelta(minutes=10 * n))
MOMENTS = st.integers(0, 130).map(lambda n: at(23) + timedelta(minutes=n))
MAYBE = st.none() | MOMENTS
# A NUL is kept as an escape by all but the store in memory.
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8)
LINKS = st.builds(Link, JOBS, st.none() | MOMENTS, st.sampled_from(Match), st.booleans())


@st.composite
def runs(draw: st.DrawFn) -> Run:
    tick, length = draw(TICKS), draw(st.none() | st.integers(1, 9))
    return Run(
        draw(JOBS),
        tick,
        draw(st.sampled_from(RunState)),
        until=None if length is None else tick + timedelta(minutes=length),
        reason=draw(TEXTS),
        origin=draw(st.sampled_from(Origin)),
        ended=draw(MAYBE),
        attempts=draw(st.integers(0, 2)),
        links=tuple(draw(st.lists(LINKS, max_size=2))),
        stand_in=draw(st.none() | TICKS),
        params=draw(st.dictionaries(TEXTS, st.integers() | TEXTS | st.none(), max_size=2)),
        acked=draw(st.booleans()),
    )


# Not `builds`, which would fill the other fields of a named tuple too, with values no store is asked to keep.
ATTEMPTS = st.tuples(JOBS, TICKS, st.integers(1, 3), MOMENTS, MAYBE).map(
    lambda parts: Attempt(*parts, log=f"{parts[0]}{parts[2]}")
)
MARKS = st.tuples(JOBS, MOMENTS, MAYBE, st.integers(0, 9)).map(lambda parts: JobMark(*parts))
EMISSIONS = st.tuples(TEXTS, TEXTS, TICKS).map(lambda parts: Emission(*parts))
CONFIGS = st.none() | st.builds(ConfigVersion, st.integers(1, 3), MOMENTS, TEXTS, st.just({"f": "x"}), TEXTS)
# The ticks lie within hours, so some of these are a week and more apart.
ANSWERS = st.tuples(st.sampled_from("kl"), MOMENTS, st.integers(0, 9)).map(
    lambda parts: Kept(parts[0], parts[1] + timedelta(days=parts[2]), "asked", {"days": parts[2]})
)
BACKFILLS = st.tuples(st.integers(1, 3), JOBS, MOMENTS, MOMENTS, st.sampled_from(BackfillState)).map(
    lambda parts: Backfill(*parts[:4], state=parts[4])
)
# A number is its distance from the one that is due: mostly right, sometimes a gap or a repetition.
EVENTS = st.tuples(st.sampled_from([0, 0, 0, 0, 0, 0, 1, -1]), JOBS | st.just(""), MOMENTS, st.none() | TICKS)


@st.composite
def commits(draw: st.DrawFn):
    batch = Batch(
        split=draw(st.lists(st.tuples(JOBS, TICKS), max_size=1)) if draw(st.integers(0, 4)) == 0 else [],
        runs=draw(st.lists(runs(), max_size=4)),
        new_attempts=draw(st.lists(ATTEMPTS, max_size=2)),
        attempts=draw(st.lists(ATTEMPTS, max_size=2)),
        marks=draw(st.lists(MARKS, max_size=2)),
        definitions=draw(st.dictionaries(st.sampled_from("de"), st.just({"k": 1}), max_size=1)),
        config=draw(CONFIGS),
        backfills=draw(st.lists(BACKFILLS, max_size=1)),
        done_requests=draw(st.lists(st.integers(1, 4), max_size=1)),
        answers=draw(st.lists(ANSWERS, max_size=1)),
        emissions=draw(st.lists(EMISSIONS, max_size=2, unique_by=lambda each: each[:2])),
    )
    return ("commit", batch, draw(st.lists(EVENTS, max_size=3)))


OPERATIONS = st.one_of(
    commits(),
    commits(),
    st.tuples(st.just("prune"), MOMENTS, st.frozensets(st.tuples(JOBS, TICKS), max_size=2), MAYBE),
    st.tuples(
        st.just("prune_jobs"),
        st.lists(st.tuples(JOBS, MOMENTS, st.none() | st.integers(1, 4)).map(lambda parts: Bound(*parts)), max_size=3),
        MAYBE,
        st.booleans(),
    ),
    st.tuples(st.just("rollup"), MOMENTS),
    st.tuples(st.just("post"), MOMENTS),
    st.tuples(st.just("snapshot"), st.dictionaries(JOBS, MOMENTS)),
    st.tuples(st.just("run"), JOBS, MOMENTS),
    st.tuples(st.just("runs"), st.lists(st.tuples(JOBS, MOMENTS), max_size=8)),
    st.tuples(
        st.just("rows"),
        st.fixed_dictionaries(
            {"newest_first": st.booleans()},
            optional={
                "job": JOBS,
                "after": MOMENTS,
                "until": MOMENTS,
                "states": st.lists(st.sampled_from(RunState), max_size=3),
                "limit": st.integers(0, 5),
            },
        ),
    ),
    st.tuples(st.just("newest"), st.lists(JOBS, unique=True), st.integers(0, 4), MAYBE, MAYBE),
    st.tuples(st.just("newest_events"), st.integers(0, 4), st.integers(0, 9), st.none() | JOBS, st.integers(0, 4)),
    st.tuples(st.just("statistics"), st.none() | JOBS, MAYBE),
    st.tuples(st.just("started_since"), MOMENTS),
    st.tuples(st.just("configs"), MAYBE),
    st.tuples(st.just("takeover")),
    st.tuples(st.just("stale_commit"), runs()),
)


class Side:
    """One engine, with the daemon that holds it and the one it took over from."""

    def __init__(self, engine) -> None:
        self.engine = engine
        self.handles = []

    async def start(self) -> None:
        handle = self.engine.handle()
        await handle.open(write=True)
        self.engine.lose_lock()
        await handle.acquire("a daemon")
        self.handles.append(handle)

    async def apply(self, operation) -> object:
        """Return what the operation answers, errors as the name of their class."""
        try:
            return await getattr(self, operation[0])(*operation[1:])
        except StoreError as error:
            return type(error).__name__

    @property
    def store(self):
        return self.handles[-1]

    async def commit(self, batch: Batch, numbers) -> None:
        due = (await self.store.snapshot({})).last_event + 1
        batch.events = [
            EventRow(due + index + off, time, "T", job, tick) for index, (off, job, time, tick) in enumerate(numbers)
        ]
        await self.store.commit(batch)

    async def stale_commit(self, run: Run) -> None:
        await self.handles[0].commit(Batch(runs=[run]))

    async def takeover(self) -> None:
        await self.start()

    async def post(self, time) -> int:
        return await self.store.post("v", {"n": 1}, time)

    async def prune(self, before, keep, events_before) -> int:
        events_before = events_before and min(before, events_before)
        return await self.store.prune(before=before, keep=keep, events_before=events_before)

    async def prune_jobs(self, bounds, events_before, dry_run) -> object:
        logs: list[str] = []
        count = await self.store.prune(
            before=at(24.5),
            keep=frozenset(),
            bounds=bounds,
            events_before=events_before and min(at(24.5), events_before),
            dry_run=dry_run,
            dropped=logs.extend,
        )
        return count, sorted(logs)

    async def rollup(self, moment) -> int:
        return await self.store.rollup(before=moment)

    async def snapshot(self, horizons):
        return await self.store.snapshot(horizons)

    async def run(self, job, tick):
        return await self.store.run(job, tick)

    async def runs(self, ticks):
        return dict(await self.store.runs(ticks))

    async def rows(self, arguments):
        return await self.store.rows(**arguments)

    async def newest(self, jobs, each, after, until):
        return dict(await self.store.newest(jobs, each, after=after, until=until))

    async def newest_events(self, after, before, job, limit):
        return list(await self.store.newest_events(after=after, before=before, job=job, limit=limit))

    async def statistics(self, job, since):
        return await self.store.statistics(job, since=since)

    async def started_since(self, since):
        return await self.store.started_since(since)

    async def configs(self, moment):
        return await self.store.configs(at=moment, limit=2)

    async def whole(self) -> object:
        store = self.store
        keys = [run.key for run in await store.rows()]
        return (
            await store.snapshot({}),
            await store.rows(),
            await store.events(),
            [await store.attempts(*key) for key in keys],
            await store.marks(),
            await store.definition("d"),
            await store.statistics(),
            await store.backfills(),
            await store.last_ends(),
            await store.newest(["b", "a", "z"], 2),
            await store.statistics(by="day"),
            await store.statistics("a", by="month", since=at(24.1)),
        )


async def compare(folder: Path, engine, operations) -> None:
    """Apply the same to a store in memory and to one of the given engine."""
    sides = [Side(MemoryEngine(folder)), Side(engine(folder))]
    try:
        for side in sides:
            await side.start()
        for operation in operations:
            expected, found = [await side.apply(operation) for side in sides]
            assert found == expected, operation
        expected, found = [await side.whole() for side in sides]
        assert found == expected
        assert not [each for each in await sides[1].store.check() if "totals" in each]
    finally:
        for side in sides:
            for handle in side.handles:
                await handle.close()


@pytest.mark.parametrize(("engine", "examples"), [(SqliteEngine, 60), (PostgresEngine, 25)], ids=["sqlite", "postgres"])
def test_every_operation_is_answered_as_memory_does(engine, examples):
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(OPERATIONS, max_size=14))
    def explore(operations):
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(compare(Path(folder), engine, operations))

    explore()
