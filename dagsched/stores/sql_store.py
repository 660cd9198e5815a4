"""What stores that speak SQL have in common: every reading call, and housekeeping in small transactions.

A store of this kind has two connections, each on a thread of its own: a reader, whose long views delay nobody, and the
writer. What is done on them stands in `sql_read` and `sql_retention`, in terms of named queries, of which each engine
has its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Protocol, TypeVar

from dagsched.model import LIVE, Attempt, Backfill, ConfigVersion, EventRow, JobMark, Kept, Run, RunState
from dagsched.stores import codec, sql_read, sql_retention
from dagsched.stores.alone import Alone
from dagsched.stores.contract import Bound, Gone, Snapshot
from dagsched.stores.needed import Key
from dagsched.stores.procedures import Procedures, decoded
from dagsched.stores.rollup import Days, add_days, day_of, trends
from dagsched.stores.sql_read import EVER_MS
from dagsched.stores.statistics import figures

T = TypeVar("T")

# Figures that one transaction renews, for a commit waits for it.
DAYS_AT_ONCE = 50


class Connection(Protocol):
    """A connection on its own thread."""

    async def read(self, work: Callable[[Any], T]) -> T: ...

    async def write(self, work: Callable[[Any], T]) -> T: ...


class SqlStore(Alone):
    """The calls of a store that are the same whichever engine it is."""

    def __init__(self) -> None:
        self._epoch = 0
        # Figures of rows must not be worked out while those rows are being deleted.
        self._housekeeping = asyncio.Lock()

    def _opened_reader(self) -> Connection:
        raise NotImplementedError

    def _opened_writer(self) -> Connection:
        raise NotImplementedError

    # ------------------------------------------------------------ housekeeping

    async def prune(
        self,
        *,
        before: datetime,
        keep: frozenset[Key],
        bounds: Sequence[Bound] | None = None,
        events_before: datetime | None = None,
        dry_run: bool = False,
        dropped: Callable[[Sequence[Gone]], None] | None = None,
    ) -> int:
        reader, before_ms, pruned = self._opened_reader(), codec.ms_of(before), 0
        loose_ms = -EVER_MS if events_before is None else codec.ms_of(events_before)
        async with self._housekeeping:
            spared = await reader.read(partial(sql_retention.spared, keep=keep))
            if not dry_run:
                pruned += await self._prune_at_once(before_ms, loose_ms, bounds, spared, dropped)
            common: dict[str, Any] = {"spared": spared, "epoch": self._epoch, "dry_run": dry_run}
            walks: list[Callable[..., sql_retention.Pruned]]
            if bounds is None:
                walks = [
                    partial(sql_retention.prune_rows, state=state, before_ms=before_ms, **common)
                    for state in sorted(set(RunState) - LIVE)
                ]
            else:
                walks = [partial(sql_retention.prune_job, bound=bound, **common) for bound in bounds]
            for walk in walks:
                pruned += await self._prune(walk, dropped)
            if not dry_run:
                has_orphans = pruned or bounds is None
                await self._prune_events(before_ms if has_orphans else loose_ms, loose_ms)
        return pruned

    async def _prune_at_once(
        self,
        before_ms: int,
        loose_ms: int,
        bounds: Sequence[Bound] | None,
        spared: sql_retention.Spared,
        dropped: Callable[[Sequence[Gone]], None] | None,
    ) -> int:
        """Delete what can be deleted in one go, if anything can; return how many rows."""
        return 0

    async def _prune(
        self, walk: Callable[..., sql_retention.Pruned], dropped: Callable[[Sequence[Gone]], None] | None
    ) -> int:
        # In chunks, so that a commit waits for one of them at most.
        writer, pruned = self._opened_writer(), 0
        position: sql_retention.Position | None = sql_retention.OLDEST
        while position is not None:
            position, count, gone = await writer.write(partial(walk, position=position))
            pruned += count
            if dropped is not None and gone:
                dropped(gone)
        return pruned

    async def _prune_events(self, before_ms: int, loose_ms: int) -> None:
        writer = self._opened_writer()
        prune = partial(sql_retention.prune_events, before_ms=before_ms, loose_ms=loose_ms, epoch=self._epoch)
        seq: int | None = 0
        while seq is not None:
            seq = await writer.write(partial(prune, after=seq))

    async def rollup(self, *, before: datetime) -> int:
        reader, writer, before_ms, changed = self._opened_reader(), self._opened_writer(), codec.ms_of(before), 0
        before_ms = day_of(before_ms)
        async with self._housekeeping:
            for job in await reader.read(sql_read.counted_jobs):
                days: Days = {}
                after: int | None = -EVER_MS
                while after is not None:
                    page = partial(sql_read.page_of_facts, job=job, after_ms=after, before_ms=before_ms)
                    more, after = await reader.read(page)
                    add_days(days, more)
                compare = partial(sql_read.changed_days, job=job, days=days, before_ms=before_ms)
                renewed = list((await reader.read(compare)).items())
                for begin in range(0, len(renewed), DAYS_AT_ONCE):
                    part = dict(renewed[begin : begin + DAYS_AT_ONCE])
                    renew = partial(sql_retention.renew_rollups, job=job, changed=part, epoch=self._epoch)
                    await writer.write(renew)
                changed += len(renewed)
            await writer.write(partial(sql_retention.finish_rollup, before_ms=before_ms, epoch=self._epoch))
        return changed

    # ------------------------------------------------------------ reading

    async def snapshot(self, horizons: Mapping[str, datetime]) -> Snapshot:
        return await self._opened_reader().read(lambda connection: sql_read.snapshot(connection, horizons))

    async def run(self, job: str, tick: datetime) -> Run | None:
        return await self._opened_reader().read(lambda connection: sql_read.row_at(connection, job, tick))

    async def runs(self, ticks: Collection[tuple[str, datetime]]) -> Mapping[tuple[str, datetime], Run]:
        return await self._opened_reader().read(lambda connection: sql_read.rows_at(connection, ticks))

    async def rows(
        self,
        job: str | None = None,
        *,
        after: datetime | None = None,
        until: datetime | None = None,
        states: Sequence[RunState] = (),
        newest_first: bool = True,
        limit: int | None = None,
    ) -> Sequence[Run]:
        bounds = {
            "after": -EVER_MS if after is None else codec.ms_of(after),
            "until": EVER_MS if until is None else codec.ms_of(until),
            "limit": -1 if limit is None else limit,
        }

        def found(connection: Procedures) -> list[Run]:
            if job is None:
                return sql_read.rows_of_all(connection, bounds, states, newest_first)
            return sql_read.rows_of_job(connection, job, bounds, states, newest_first)

        return await self._opened_reader().read(found)

    async def newest(
        self, jobs: Sequence[str], each: int, *, after: datetime | None = None, until: datetime | None = None
    ) -> Mapping[str, Sequence[Run]]:
        bounds = {
            "jobs": json.dumps(list(dict.fromkeys(jobs))),
            "each": each,
            "after": -EVER_MS if after is None else codec.ms_of(after),
            "until": EVER_MS if until is None else codec.ms_of(until),
        }
        return await self._opened_reader().read(lambda connection: sql_read.newest(connection, bounds))

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        return await self._ask(codec.attempt_of, "attempts", (job, codec.ms_of(tick)))

    async def started_since(self, since: datetime) -> Sequence[Attempt]:
        return await self._opened_reader().read(lambda connection: sql_read.started_since(connection, since))

    async def events(self, *, since: int = 0, job: str | None = None, limit: int | None = None) -> Sequence[EventRow]:
        bounds = {"since": since, "limit": -1 if limit is None else limit}
        if job is None:
            return await self._ask(codec.event_of, "events", bounds)
        return await self._ask(codec.event_of, "job_events", bounds | {"job": job})

    async def newest_events(
        self, *, after: int, before: int, limit: int, job: str | None = None, kind: str = ""
    ) -> Sequence[EventRow]:
        bounds: dict[str, Any] = {"after": after, "before": before, "limit": limit, "kind": kind}
        if job is None:
            return await self._ask(codec.event_of, "newest_events", bounds)
        return await self._ask(codec.event_of, "newest_job_events", bounds | {"job": job})

    async def marks(self) -> Mapping[str, JobMark]:
        return {mark.job: mark for mark in await self._ask(codec.mark_of, "marks")}

    async def backfills(self, *, limit: int | None = None) -> Sequence[Backfill]:
        return await self._ask(codec.backfill_of, "backfills", {"limit": -1 if limit is None else limit})

    async def configs(self, *, limit: int | None = None, at: datetime | None = None) -> Sequence[ConfigVersion]:
        bounds = {"at": EVER_MS if at is None else codec.ms_of(at), "limit": -1 if limit is None else limit}
        return await self._opened_reader().read(lambda connection: sql_read.configs(connection, bounds))

    async def definition(self, digest: str) -> Mapping[str, Any] | None:
        found = await self._ask(_body_of, "definition", (digest,))
        return found[0] if found else None

    async def answer(self, key: str) -> Kept | None:
        found = await self._ask(codec.kept_of, "answer", (codec.storable(key),))
        return found[0] if found else None

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        return await self._opened_reader().read(sql_read.counts_by_job)

    async def last_ends(self) -> Mapping[str, Mapping[str, datetime]]:
        return await self._opened_reader().read(sql_read.last_ends)

    async def statistics(
        self, job: str | None = None, *, since: datetime | None = None, by: str = ""
    ) -> Sequence[Mapping[str, Any]]:
        since_ms, reader = codec.ms_or_none(since), self._opened_reader()
        if by:
            days = partial(sql_read.days_since, job=job, since_ms=-EVER_MS if since_ms is None else since_ms)
            return trends(await reader.read(days), by)
        facts = await reader.read(lambda connection: sql_read.facts_by_job(connection, job, since_ms))
        return [figures(name, facts[name]) for name in sorted(facts)]

    async def check(self) -> Sequence[str]:
        return await self._opened_reader().read(sql_read.findings)

    # ------------------------------------------------------------ helpers

    async def _ask(
        self,
        decode: Callable[[Sequence[Any]], T],
        name: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
    ) -> list[T]:
        return await self._opened_reader().read(lambda connection: decoded(decode, connection.ask(name, parameters)))


def _body_of(row: Sequence[Any]) -> Mapping[str, Any]:
    return codec.mapping_of(row[0])
