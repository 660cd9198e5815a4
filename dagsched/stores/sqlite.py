"""The embedded default: one SQLite file, one writer, any number of readers.

A commit is one `BEGIN IMMEDIATE` transaction: the epoch is compared, every statement runs once per table
(`executemany`), and the log is on the disk before it returns. Reads use a second connection, so a long one
never delays a commit, and see committed state only. See docs/state.md for the files and their faults.
"""

from __future__ import annotations

import asyncio
import heapq
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from dagsched.errors import FencedOut, IntegrityBroken, StoreError, StoreUnavailable
from dagsched.model import Attempt, ConfigVersion, EventRow, JobMark, Run, RunState
from dagsched.stores import codec
from dagsched.stores.contract import Batch, Snapshot
from dagsched.stores.lock import DaemonLock
from dagsched.stores.needed import Key, last_tick, with_needed
from dagsched.stores.prepare import prepare_to_read, prepare_to_write
from dagsched.stores.session import Procedures, Session, decoded
from dagsched.stores.statistics import Facts, figures

EVER_MS = 1 << 60
T = TypeVar("T")

PRUNE_ROWS = 1000
PRUNE_EVENTS = 5000


class SqliteStore:
    """A store in the SQLite file at `path`; the daemon's lock is `daemon.lock` beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = DaemonLock(path.with_name("daemon.lock"))
        self._reader: Session | None = None
        self._writer: Session | None = None
        self._file: os.stat_result | None = None
        self._epoch = 0

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
            self._epoch = await writer.write(lambda connection: _next_epoch(connection, holder))
        except BaseException:
            if not was_held:
                self._lock.release()
            raise
        return self._epoch

    # ------------------------------------------------------------ writing

    async def commit(self, batch: Batch) -> None:
        writer, epoch = self._opened_writer(), self._epoch
        self._require_same_file()
        await writer.write(lambda connection: _write(connection, batch, epoch))

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        self._opened_reader()
        row = (codec.ms_of(time), verb, codec.json_of(body))
        if self._writer is not None:
            return await self._writer.write(lambda connection: _new_request(connection, row))
        session = Session(self.path, "rw")
        try:
            return await session.write(lambda connection: _new_request(connection, row))
        finally:
            await session.close()

    async def prune(self, *, before: datetime, keep: frozenset[Key]) -> int:
        writer = self._opened_writer()
        before_ms, pruned = codec.ms_of(before), 0
        spared = await writer.write(lambda connection: _spared(connection, keep, self._epoch))
        # In chunks, so that a commit waits for one of them at most.
        position: tuple[int, str, int] | None = (-EVER_MS, "", -EVER_MS)
        while position is not None:
            chunk = partial(
                _prune_rows, before_ms=before_ms, position=position, spared=spared, epoch=self._epoch
            )
            position, count = await writer.write(chunk)
            pruned += count
        seq: int | None = 0
        while seq is not None:
            seq = await writer.write(
                partial(_prune_events, before_ms=before_ms, after=seq, epoch=self._epoch)
            )
        return pruned

    # ------------------------------------------------------------ reading

    async def snapshot(self, horizons: Mapping[str, datetime]) -> Snapshot:
        return await self._opened_reader().read(lambda connection: _snapshot(connection, horizons))

    async def run(self, job: str, tick: datetime) -> Run | None:
        return await self._opened_reader().read(lambda connection: _row_at(connection, job, tick))

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
        order = "newest" if newest_first else "oldest"
        bounds = {
            "after": -EVER_MS if after is None else codec.ms_of(after),
            "until": EVER_MS if until is None else codec.ms_of(until),
            "limit": -1 if limit is None else limit,
        }
        names = sorted({state.value for state in states})
        if job is not None:
            listed = f"|{'|'.join(names)}|" if names else ""
            return await self._ask(codec.run_of, f"job_rows_{order}", bounds | {"job": job, "states": listed})
        if not names:
            return await self._ask(codec.run_of, f"rows_{order}", bounds)
        # One walk of the index per state, each cut to the limit, merged.
        walks = [
            await self._ask(codec.run_of, f"state_rows_{order}", bounds | {"state": name}) for name in names
        ]
        merged = heapq.merge(*walks, key=_sorting_key, reverse=newest_first)
        return list(islice(merged, limit))

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        return await self._ask(codec.attempt_of, "attempts", (job, codec.ms_of(tick)))

    async def events(
        self, *, since: int = 0, job: str | None = None, limit: int | None = None
    ) -> Sequence[EventRow]:
        bounds = {"since": since, "limit": -1 if limit is None else limit}
        if job is None:
            return await self._ask(codec.event_of, "events", bounds)
        return await self._ask(codec.event_of, "job_events", bounds | {"job": job})

    async def marks(self) -> Mapping[str, JobMark]:
        return {mark.job: mark for mark in await self._ask(codec.mark_of, "marks")}

    async def configs(
        self, *, limit: int | None = None, at: datetime | None = None
    ) -> Sequence[ConfigVersion]:
        bounds = {"at": EVER_MS if at is None else codec.ms_of(at), "limit": -1 if limit is None else limit}
        return await self._ask(codec.config_of, "configs", bounds)

    async def definition(self, digest: str) -> Mapping[str, Any] | None:
        found = await self._ask(_body_of, "definition", (digest,))
        return found[0] if found else None

    async def statistics(
        self, job: str | None = None, *, since: datetime | None = None
    ) -> Sequence[Mapping[str, Any]]:
        since_ms = -EVER_MS if since is None else codec.ms_of(since)
        facts = await self._opened_reader().read(lambda connection: _facts(connection, job, since_ms))
        return [figures(name, facts[name]) for name in sorted(facts)]

    async def check(self) -> Sequence[str]:
        return await self._opened_reader().read(_findings)

    # ------------------------------------------------------------ helpers

    async def _ask(
        self,
        decode: Callable[[Sequence[Any]], T],
        name: str,
        parameters: Sequence[Any] | Mapping[str, Any] = (),
    ) -> list[T]:
        return await self._opened_reader().read(
            lambda connection: decoded(decode, connection.ask(name, parameters))
        )

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
        raise StoreUnavailable(
            f"{self.path}: removed or replaced while in use; put the file back in its place"
        )


# ---------------------------------------------------------------- on the connection's thread: writing


def _write(connection: Procedures, batch: Batch, epoch: int) -> None:
    last_event = _fenced(connection, epoch)
    _require_next(batch.events, last_event)
    split = [(job, codec.ms_of(tick)) for job, tick in batch.split]
    if connection.change("split_range", split) != len(split):
        raise IntegrityBroken("a range row that was to be split is not there")
    connection.change("put_run", [codec.run_columns(run) for run in batch.runs])
    connection.change("stretch_run", [codec.stretch_columns(run) for run in batch.runs])
    connection.change("new_attempt", [codec.attempt_columns(attempt) for attempt in batch.new_attempts])
    connection.change("put_attempt", [codec.attempt_columns(attempt) for attempt in batch.attempts])
    connection.change("put_mark", [codec.mark_columns(mark) for mark in batch.marks])
    connection.change("new_event", [codec.event_columns(event) for event in batch.events])
    if batch.events:
        newest = batch.events[-1]
        connection.change("move_log", [{"seq": newest.seq, "time": codec.ms_of(newest.time)}])
    bodies = [(digest, codec.json_of(body)) for digest, body in batch.definitions.items()]
    connection.change("put_definition", bodies)
    if batch.config is not None:
        connection.change("new_config", [codec.config_columns(batch.config)])
    connection.change("done_request", [(number,) for number in batch.done_requests])


def _fenced(connection: Procedures, epoch: int) -> int:
    """Return the number of the newest event; raises FencedOut unless `epoch` is the one that may write."""
    ((stored, last_event),) = connection.ask("fence")
    if epoch == 0 or epoch != stored:
        raise FencedOut(f"epoch {epoch} may no longer write; the state is at epoch {stored}")
    return int(last_event)


def _require_next(events: Sequence[EventRow], last_event: int) -> None:
    for expected, event in enumerate(events, last_event + 1):
        if event.seq != expected:
            raise IntegrityBroken(f"event {event.seq} does not follow event {expected - 1}")


def _next_epoch(connection: Procedures, holder: str) -> int:
    connection.change("next_epoch", [{"holder": codec.storable(holder)}])
    return int(connection.ask("fence")[0][0])


def _new_request(connection: Procedures, row: Sequence[Any]) -> int:
    return connection.insert("new_request", row)


def _spared(connection: Procedures, keep: frozenset[Key], epoch: int) -> frozenset[tuple[str, int]]:
    """Return the keys (job, tick in ms) of rows that stay whatever their age."""
    _fenced(connection, epoch)
    named = (_row(connection, "run", job, tick) for job, tick in keep)
    first = [
        *_live(connection),
        *_runs(connection, "newest_runs"),
        *(run for run in named if run is not None),
    ]
    return _keys(connection, first)


def _prune_rows(
    connection: Procedures,
    before_ms: int,
    position: tuple[int, str, int],
    spared: frozenset[tuple[str, int]],
    epoch: int,
) -> tuple[tuple[int, str, int] | None, int]:
    """Delete among the next rows after `position`; return the new position (None: the end) and how many."""
    _fenced(connection, epoch)
    last, job, tick = position
    rows = connection.ask(
        "prunable", {"before": before_ms, "last": last, "job": job, "tick": tick, "limit": PRUNE_ROWS}
    )
    # A commit between two chunks may have made a run that is linked to one of these.
    spared |= _keys(connection, _live(connection))
    doomed = [(job, tick) for job, tick, _ in rows if (job, tick) not in spared]
    connection.change("delete_attempts", doomed)
    connection.change("delete_run", doomed)
    job, tick, last = rows[-1] if rows else ("", 0, 0)
    return (last, job, tick) if len(rows) == PRUNE_ROWS else None, len(doomed)


def _prune_events(connection: Procedures, before_ms: int, after: int, epoch: int) -> int | None:
    """Delete among the next events after number `after`; return the number reached, None at the end."""
    _fenced(connection, epoch)
    ((until, oldest),) = connection.ask("next_events", {"after": after, "limit": PRUNE_EVENTS})
    if until is None or oldest >= before_ms:
        return None
    connection.change("delete_events", [{"after": after, "until": until, "before": before_ms}])
    return int(until)


# ---------------------------------------------------------------- on the connection's thread: reading


def _snapshot(connection: Procedures, horizons: Mapping[str, datetime]) -> Snapshot:
    rows = [*_live(connection), *_runs(connection, "newest_runs")]
    for job, horizon in horizons.items():
        rows += _runs(connection, "runs_after", (job, codec.ms_of(horizon)))
    found = with_needed(rows, lambda job, tick: _row_at(connection, job, tick))
    attempts = decoded(codec.attempt_of, connection.ask("open_attempts"))
    configs = connection.ask("configs", {"at": EVER_MS, "limit": 1})
    ((last_event, last_seen),) = connection.ask("log_position")
    return Snapshot(
        runs=sorted(found.values(), key=lambda run: (run.tick, run.job)),
        attempts=[attempt for attempt in attempts if (attempt.job, attempt.tick) in found],
        marks=decoded(codec.mark_of, connection.ask("marks")),
        last_event=last_event,
        last_seen=codec.instant_or_none(last_seen),
        config=decoded(codec.config_of, configs)[0] if configs else None,
        requests=decoded(codec.request_of, connection.ask("requests")),
    )


def _live(connection: Procedures) -> list[Run]:
    return _runs(connection, "live_runs")


def _runs(connection: Procedures, name: str, parameters: Sequence[Any] = ()) -> list[Run]:
    return decoded(codec.run_of, connection.ask(name, parameters))


def _row(connection: Procedures, name: str, job: str, tick: datetime) -> Run | None:
    return next(iter(_runs(connection, name, (job, codec.ms_of(tick)))), None)


def _row_at(connection: Procedures, job: str, tick: datetime) -> Run | None:
    if exact := _row(connection, "run", job, tick):
        return exact
    over = _row(connection, "range_over", job, tick)
    return over if over is not None and over.tick <= tick else None


def _keys(connection: Procedures, rows: Sequence[Run]) -> frozenset[tuple[str, int]]:
    found = with_needed(rows, lambda job, tick: _row_at(connection, job, tick))
    return frozenset((job, codec.ms_of(tick)) for job, tick in found)


def _facts(connection: Procedures, job: str | None, since_ms: int) -> dict[str, Facts]:
    prefix = "" if job is None else "job_"
    bounds = {"since": since_ms, "job": job} if job is not None else {"since": since_ms}
    facts: dict[str, Facts] = {}
    for name, state, count, ended in connection.ask(f"{prefix}state_counts", bounds):
        of_job = facts.setdefault(name, Facts())
        of_job.states[state] = count
        if state == RunState.SUCCESS:
            of_job.last_success = codec.instant_or_none(ended)
        if state == RunState.FAILED:
            of_job.last_failure = codec.instant_or_none(ended)
    for name, length_ms in connection.ask(f"{prefix}durations", bounds):
        facts[name].durations_ms.append(length_ms)
    for name, length_ms in connection.ask(f"{prefix}lateness", bounds):
        facts[name].lateness_ms.append(length_ms)
    return facts


def _findings(connection: Procedures) -> list[str]:
    found = [text for (text,) in connection.ask("integrity") if text != "ok"]
    for name in ("check_orphans", "check_open_attempts", "check_log", "check_ranges"):
        found += [text for (text,) in connection.ask(name)]
    return found


def _body_of(row: Sequence[Any]) -> Mapping[str, Any]:
    return codec.mapping_of(row[0])


def _sorting_key(run: Run) -> tuple[datetime, str, datetime]:
    return last_tick(run), run.job, run.tick
