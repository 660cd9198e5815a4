"""The embedded default: one SQLite file, one writer, any number of readers.

A commit is one `BEGIN IMMEDIATE` transaction: the epoch is compared, every statement runs once per table
(`executemany`), and the log is on the disk before it returns. Reads use a second connection, so a long one
never delays a commit, and see committed state only. See docs/state.md for the files and their faults.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from dagsched.errors import StoreError, StoreUnavailable
from dagsched.model import LIVE, Attempt, Backfill, ConfigVersion, EventRow, JobMark, Kept, Run, RunState
from dagsched.stores import codec, sqlite_read, sqlite_write
from dagsched.stores.contract import Batch, Bound, Gone, Snapshot
from dagsched.stores.lock import DaemonLock
from dagsched.stores.needed import Key
from dagsched.stores.prepare import prepare_to_read, prepare_to_write
from dagsched.stores.rollup import Days, add_days, day_of, trends
from dagsched.stores.session import Procedures, Session, decoded
from dagsched.stores.sqlite_read import EVER_MS
from dagsched.stores.statistics import figures

T = TypeVar("T")

# Figures that one transaction renews, for a commit waits for it.
DAYS_AT_ONCE = 50


class SqliteStore:
    """A store in the SQLite file at `path`; the daemon's lock is `daemon.lock` beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = DaemonLock(path.with_name("daemon.lock"))
        self._reader: Session | None = None
        self._writer: Session | None = None
        self._file: os.stat_result | None = None
        self._epoch = 0
        # Figures of rows must not be worked out while those rows are being deleted.
        self._housekeeping = asyncio.Lock()

    # ------------------------------------------------------------ life

    async def open(self, *, write: bool) -> None:
        await self.close()
        if write:
            await asyncio.to_thread(prepare_to_write, self.path, self._lock)
            mode = "ro"
            self._writer = Session(self.path, "rw")
        else:
            mode = await asyncio.to_thread(prepare_to_read, self.path)
        self._file = self.path.stat()
        self._reader = Session(self.path, mode)

    async def close(self) -> None:
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        # The writer last: the last connection to close folds the log into the file, which a reader cannot.
        for session in (reader, writer):
            if session is not None:
                await session.close()
        self._epoch = 0
        self._lock.release()

    async def acquire(self, holder: str) -> int:
        writer = self._opened_writer()
        was_held = self._lock.is_held
        self._lock.take(holder)
        try:
            self._epoch = await writer.write(lambda connection: sqlite_write.next_epoch(connection, holder))
        except BaseException:
            if not was_held:
                self._lock.release()
            raise
        return self._epoch

    # ------------------------------------------------------------ writing

    async def commit(self, batch: Batch) -> None:
        writer, epoch = self._opened_writer(), self._epoch
        self._require_same_file()
        await writer.write(lambda connection: sqlite_write.write(connection, batch, epoch))

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        self._opened_reader()
        row = (codec.ms_of(time), verb, codec.json_of(body))
        if self._writer is not None:
            return await self._writer.write(lambda connection: sqlite_write.new_request(connection, row))
        session = Session(self.path, "rw")
        try:
            return await session.write(lambda connection: sqlite_write.new_request(connection, row))
        finally:
            await session.close()

    async def prune(
        self,
        *,
        before: datetime,
        keep: frozenset[Key],
        bounds: Sequence[Bound] | None = None,
        dry_run: bool = False,
        dropped: Callable[[Sequence[Gone]], None] | None = None,
    ) -> int:
        reader, writer, before_ms, pruned = self._opened_reader(), self._opened_writer(), codec.ms_of(before), 0
        async with self._housekeeping:
            spared = await reader.read(partial(sqlite_write.spared, keep=keep))
            common: dict[str, Any] = {"spared": spared, "epoch": self._epoch, "dry_run": dry_run}
            walks: list[Callable[..., sqlite_write.Pruned]]
            if bounds is None:
                walks = [
                    partial(sqlite_write.prune_rows, state=state, before_ms=before_ms, **common)
                    for state in sorted(set(RunState) - LIVE)
                ]
            else:
                walks = [partial(sqlite_write.prune_job, bound=bound, **common) for bound in bounds]
            for walk in walks:
                pruned += await self._prune(walk, dropped)
            if not dry_run and (pruned or bounds is None):
                await self._prune_events(writer, before_ms)
        return pruned

    async def _prune(
        self, walk: Callable[..., sqlite_write.Pruned], dropped: Callable[[Sequence[Gone]], None] | None
    ) -> int:
        # In chunks, so that a commit waits for one of them at most.
        writer, pruned = self._opened_writer(), 0
        position: sqlite_write.Position | None = sqlite_write.OLDEST
        while position is not None:
            position, count, gone = await writer.write(partial(walk, position=position))
            pruned += count
            if dropped is not None and gone:
                dropped(gone)
        return pruned

    async def _prune_events(self, writer: Session, before_ms: int) -> None:
        seq: int | None = 0
        while seq is not None:
            seq = await writer.write(
                partial(sqlite_write.prune_events, before_ms=before_ms, after=seq, epoch=self._epoch)
            )

    async def rollup(self, *, before: datetime) -> int:
        reader, writer, before_ms, changed = self._opened_reader(), self._opened_writer(), codec.ms_of(before), 0
        before_ms = day_of(before_ms)
        async with self._housekeeping:
            for job in await reader.read(sqlite_read.counted_jobs):
                days: Days = {}
                after: int | None = -EVER_MS
                while after is not None:
                    page = partial(sqlite_read.page_of_facts, job=job, after_ms=after, before_ms=before_ms)
                    more, after = await reader.read(page)
                    add_days(days, more)
                compare = partial(sqlite_read.changed_days, job=job, days=days, before_ms=before_ms)
                renewed = list((await reader.read(compare)).items())
                for begin in range(0, len(renewed), DAYS_AT_ONCE):
                    part = dict(renewed[begin : begin + DAYS_AT_ONCE])
                    renew = partial(sqlite_write.renew_rollups, job=job, changed=part, epoch=self._epoch)
                    await writer.write(renew)
                changed += len(renewed)
            await writer.write(partial(sqlite_write.finish_rollup, before_ms=before_ms, epoch=self._epoch))
        return changed

    async def compact(self) -> tuple[int, int]:
        writer, before = self._opened_writer(), self._bytes_used()
        async with self._housekeeping:
            has_more = True
            while has_more:
                has_more = await writer.write(partial(sqlite_write.give_back, epoch=self._epoch))
        # On a connection of its own: to fold much of a log takes seconds, and the writer need not wait for it.
        session = Session(self.path, "rw")
        try:
            await session.call(lambda connection: connection.ask("fold_log"))
        finally:
            await session.close()
        return before, self._bytes_used()

    def _bytes_used(self) -> int:
        files = (self.path, self.path.with_name(f"{self.path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    # ------------------------------------------------------------ reading

    async def snapshot(self, horizons: Mapping[str, datetime]) -> Snapshot:
        return await self._opened_reader().read(lambda connection: sqlite_read.snapshot(connection, horizons))

    async def run(self, job: str, tick: datetime) -> Run | None:
        return await self._opened_reader().read(lambda connection: sqlite_read.row_at(connection, job, tick))

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
                return sqlite_read.rows_of_all(connection, bounds, states, newest_first)
            return sqlite_read.rows_of_job(connection, job, bounds, states, newest_first)

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
        return await self._opened_reader().read(lambda connection: sqlite_read.newest(connection, bounds))

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        return await self._ask(codec.attempt_of, "attempts", (job, codec.ms_of(tick)))

    async def started_since(self, since: datetime) -> Sequence[Attempt]:
        return await self._opened_reader().read(lambda connection: sqlite_read.started_since(connection, since))

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
        return await self._opened_reader().read(lambda connection: sqlite_read.configs(connection, bounds))

    async def definition(self, digest: str) -> Mapping[str, Any] | None:
        found = await self._ask(_body_of, "definition", (digest,))
        return found[0] if found else None

    async def answer(self, key: str) -> Kept | None:
        found = await self._ask(codec.kept_of, "answer", (key,))
        return found[0] if found else None

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        return await self._opened_reader().read(sqlite_read.counts_by_job)

    async def last_ends(self) -> Mapping[str, Mapping[str, datetime]]:
        return await self._opened_reader().read(sqlite_read.last_ends)

    async def statistics(
        self, job: str | None = None, *, since: datetime | None = None, by: str = ""
    ) -> Sequence[Mapping[str, Any]]:
        since_ms, reader = codec.ms_or_none(since), self._opened_reader()
        if by:
            days = partial(sqlite_read.days_since, job=job, since_ms=-EVER_MS if since_ms is None else since_ms)
            return trends(await reader.read(days), by)
        facts = await reader.read(lambda connection: sqlite_read.facts_by_job(connection, job, since_ms))
        return [figures(name, facts[name]) for name in sorted(facts)]

    async def check(self) -> Sequence[str]:
        return await self._opened_reader().read(sqlite_read.findings)

    # ------------------------------------------------------------ helpers

    async def _ask(
        self,
        decode: Callable[[Sequence[Any]], T],
        name: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
    ) -> list[T]:
        return await self._opened_reader().read(lambda connection: decoded(decode, connection.ask(name, parameters)))

    def _opened_reader(self) -> Session:
        if self._reader is None:
            raise StoreError(f"{self.path}: the store is not open")
        return self._reader

    def _opened_writer(self) -> Session:
        if self._writer is None:
            raise StoreError(f"{self.path}: the store is not open for writing")
        return self._writer

    def _require_same_file(self) -> None:
        """Refuse to go on writing into a file that has been deleted or replaced: nobody could read it."""
        try:
            if self._file is not None and os.path.samestat(self._file, os.stat(self.path)):
                return
        except OSError:
            pass
        raise StoreUnavailable(f"{self.path}: removed or replaced while in use; put the file back in its place")


def _body_of(row: Sequence[Any]) -> Mapping[str, Any]:
    return codec.mapping_of(row[0])
