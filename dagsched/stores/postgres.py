"""PostgreSQL: state that several machines share, one namespace to a schema.

Whoever writes holds a lease: a row with an epoch and an end by the server's clock, put off each second. When it has
ended, the next one to ask becomes the writer under a new epoch, and nothing that the old one still sends is let in.
See docs/postgresql.md for what is kept where and its faults.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import dagsched
from dagsched.clock import boottime_s
from dagsched.errors import FencedOut, StoreError, StoreHeld, StoreMoved, StoreUnavailable
from dagsched.model import Attempt, Request
from dagsched.stores import codec, postgres_prepare, postgres_weeks, sql_retention
from dagsched.stores.address import Address, machine_of, place_of
from dagsched.stores.contract import Batch, Bound, Gone, Scheduler, Term
from dagsched.stores.fleet import Handed, Waiting, WorkerRow
from dagsched.stores.lease import LEASE_S, Lease, attempts_s, safe_after_s
from dagsched.stores.lock import LOCK, DaemonLock
from dagsched.stores.postgres_faults import LOCK_TIMEOUT, MADE
from dagsched.stores.postgres_fleet import PostgresFleet, waiting_of, worker_of
from dagsched.stores.postgres_prepare import Layout, layout_of, prepare_to_read, prepare_to_write
from dagsched.stores.postgres_session import PARTING_S, Connection, Session
from dagsched.stores.postgres_weeks import Week
from dagsched.stores.postgres_write import WEEK_MS, steps, week_of, weeks_of
from dagsched.stores.procedures import decoded
from dagsched.stores.sql_store import SqlStore

T = TypeVar("T")

# One that stands by says so several times in that time.
HEARD_S = 5.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What `dagsched db status` tells of a namespace. `holder`: who writes, "" when nobody's lease runs.

    `standby`: who waits for that. `moved_to`: where the state went, "" when it is here.
    """

    server: str
    layout: Layout
    holder: str = ""
    epoch: int = 0
    bytes_used: int = 0
    weeks: int = 0
    standby: Sequence[str] = ()
    moved_to: str = ""

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        found = {"server": self.server, "layout": self.layout.found, "known": self.layout.known}
        more = {"holder": self.holder or None, "epoch": self.epoch, "bytes": self.bytes_used, "weeks": self.weeks}
        return {**found, **more, "standby": list(self.standby), "moved_to": self.moved_to or None}


async def standing_of(address: Address) -> Standing:
    """Return how a namespace stands; raises StoreError when the server cannot be asked."""

    def ask(connection: Connection) -> Standing:
        version = connection.raw.info.server_version
        server, layout = f"{version // 10_000}.{version % 10_000}", layout_of(connection, address)
        if not 0 < layout.found <= layout.known:
            return Standing(server, layout)
        ((holder, _, is_held, epoch),) = connection.ask("holder")
        ((size,),) = connection.ask("bytes_used")
        weeks = len(postgres_weeks.weeks(connection, "runs"))
        if layout.found < layout.known:
            return Standing(server, layout, holder if is_held else "", epoch, size, weeks)
        heard = [Scheduler(*row) for row in connection.ask("schedulers", (HEARD_S,))]
        standby = [each.words for each in heard if not each.is_active]
        moved_to = "".join(other for _, other, is_over in connection.ask("went") if is_over)
        return Standing(server, layout, holder if is_held else "", epoch, size, weeks, standby, moved_to)

    return await _asked_once(address, ask)


async def upgrade(address: Address) -> Layout:
    """Make a namespace or bring it up to date; return what was there before. Raises StoreError, also StoreHeld."""
    return await _asked_once(address, lambda connection: postgres_prepare.upgrade(connection, address))


async def _asked_once(address: Address, work: Callable[[Connection], T]) -> T:
    session = Session(address, "db")
    try:
        return await session.call(work)
    finally:
        await session.close()


class PostgresStore(SqlStore):
    """A store in one namespace of a server; `home` is the state directory whose lock the writer holds too."""

    def __init__(self, address: Address, home: Path | None = None) -> None:
        super().__init__()
        self.address = address
        self._home = home
        self._lock = DaemonLock(home / LOCK) if home is not None else None
        self._place = self._remark = ""
        self._heard: Callable[[Term], None] = lambda term: None
        self._reader: Session | None = None
        self._writer: Session | None = None
        self._lease: Lease | None = None
        # A commit of which nobody knows whether it was made, and its number.
        self._unsure: tuple[Batch, int] | None = None
        self._weeks: set[tuple[str, int]] = set()
        self._touched: set[tuple[str, int]] | None = None

    # ------------------------------------------------------------ life

    async def open(self, *, write: bool) -> None:
        await self.close()
        reader = Session(self.address, "reader")
        try:
            prepare = prepare_to_write if write else prepare_to_read
            await reader.call(lambda connection: prepare(connection, self.address))
        except BaseException:
            await reader.close()
            raise
        self._reader = reader
        if write:
            self._writer = Session(self.address, "writer")

    async def close(self) -> None:
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.close()
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        if writer is not None and (self._epoch or self._place):
            with suppress(StoreError, TimeoutError):
                await asyncio.wait_for(writer.write(self._leave), PARTING_S)
        for session in (reader, writer):
            if session is not None:
                await session.close()
        self._epoch, self._weeks, self._unsure = 0, set(), None
        if self._lock is not None:
            self._lock.release()

    def _leave(self, connection: Connection) -> None:
        connection.ask("fence")
        connection.ask("let_go", (self._epoch,))
        connection.ask("forget_scheduler", {"place": self._place})

    async def acquire(self, holder: str) -> int:
        writer = self._opened_writer()
        if self._lock is not None and self._home is not None:
            self._lock.take(holder)
            self._place = await asyncio.to_thread(place_of, self._home)
        claim = {"holder": codec.storable(holder), "place": self._place, "lease_s": LEASE_S, "mine": self._epoch}
        claim |= {"moves": False, "remark": self._remark}
        length_s, asked_s = attempts_s(), boottime_s()

        def become(connection: Connection) -> list[Any]:
            found = connection.ask("next_epoch", claim)
            # One that stands by says so with each try.
            connection.ask("put_scheduler", {**claim, "safe_s": safe_after_s(length_s) if found else None})
            if found:
                connection.ask("forget_schedulers")
                connection.ask("take_ends_back", (self._place,))
                connection.ask("put_release", {"version": dagsched.__version__})
            return found

        found = await writer.write(become)
        if not found:
            raise await self._refusal()
        ((self._epoch,),) = found
        self._weeks = {(kind, start) for kind, start in await writer.read(lambda connection: connection.ask("weeks"))}
        if self._lease is not None:
            await self._lease.close()
        self._lease = Lease(self.address, self._epoch, self._place, length_s, self._heard, lambda: self._remark)
        self._lease.begin(asked_s)
        return self._epoch

    async def _refusal(self) -> StoreError:
        reader = self._opened_reader()
        for _, elsewhere, is_over in await reader.read(lambda connection: connection.ask("went")):
            return StoreMoved(self.address.shown, elsewhere, bool(is_over))
        ((other, *_),) = await reader.read(lambda connection: connection.ask("holder"))
        return StoreHeld(f"{self.address.shown}: held by {other}; stop that scheduler first", other, by_lease=True)

    def hear_terms(self, heard: Callable[[Term], None]) -> None:
        self._heard = heard

    def remark(self, words: str) -> None:
        self._remark = codec.storable(words)

    @property
    def fleet(self) -> PostgresFleet:
        return PostgresFleet(self)

    async def workers(self) -> Sequence[WorkerRow]:
        return await self._opened_reader().read(lambda connection: decoded(worker_of, connection.ask("workers")))

    async def waiting(self) -> Sequence[Waiting]:
        return await self._opened_reader().read(lambda connection: decoded(waiting_of, connection.ask("queues")))

    async def handed(self, attempt: Attempt) -> Handed | None:
        wanted = tuple(_key(attempt).values())
        found = await self._opened_reader().read(lambda connection: connection.ask("handed", wanted))
        for queue, labels, worker, since in found:
            return Handed(queue, json.loads(labels), worker, since.astimezone(UTC))
        return None

    async def output(self, attempt: Attempt, after: int, at_most: int) -> bytes:
        wanted = {**_key(attempt), "after": after}
        found = await self._opened_reader().read(lambda connection: connection.ask("output", wanted))
        return b"".join(bytes(data)[max(0, after - first) :] for first, data in found)[:at_most]

    async def output_size(self, attempt: Attempt) -> int:
        wanted = tuple(_key(attempt).values())
        ((found,),) = await self._opened_reader().read(lambda connection: connection.ask("output_size", wanted))
        return int(found)

    async def schedulers(self) -> Sequence[Scheduler]:
        found = await self._opened_reader().read(lambda connection: connection.ask("schedulers", (HEARD_S,)))
        return [Scheduler(*row) for row in found]

    async def inbox(self) -> Sequence[Request]:
        found = await self._opened_reader().read(lambda connection: connection.ask("requests"))
        return decoded(codec.request_of, found)

    # ------------------------------------------------------------ writing

    async def commit(self, batch: Batch) -> None:
        writer, epoch = self._opened_writer(), self._epoch
        if epoch == 0:
            raise FencedOut("epoch 0 may no longer write; nobody has acquired the state")
        touched = weeks_of(batch)
        if self._touched is not None:
            self._touched |= touched
        for week in sorted(touched - self._weeks):
            await writer.write(lambda connection, week=week: connection.ask("make_week", week))  # type: ignore[misc]
            self._weeks.add(week)
        number = self._number_of(batch)
        written = steps(batch, epoch, number, self._place)
        try:
            await writer.call(lambda connection: connection.together(written))
        except StoreUnavailable:
            self._unsure = batch, number
            raise
        except StoreError as error:
            if getattr(error.__cause__, "sqlstate", None) != MADE:
                raise
        self._unsure = None

    def _number_of(self, batch: Batch) -> int:
        """Return a new number for a commit, or that of the try before whose end was not seen."""
        if self._unsure is not None and self._unsure[0] is batch:
            return self._unsure[1]
        return secrets.randbits(62) + 1

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        row = (codec.ms_of(time), verb, codec.json_of(body))

        def new(connection: Connection) -> int:
            connection.ask("no_move")
            for _, other, is_over in connection.ask("went"):
                raise StoreMoved(self.address.shown, other, bool(is_over))
            return int(connection.ask("new_request", row)[0][0])

        # A session of its own: a reader's may be on a server that only reads.
        self._opened_reader()
        session = self._writer or Session(self.address, "asking")
        try:
            return await session.write(new)
        finally:
            if session is not self._writer:
                await session.close()

    async def compact(self) -> tuple[int, int]:
        writer = self._opened_writer()
        await writer.write(lambda connection: sql_retention.fenced(connection, self._epoch))
        before = await self._bytes_used()
        session = Session(self.address, "vacuum")
        try:
            async with self._housekeeping:
                await session.call(lambda connection: connection.ask("vacuum"))
        finally:
            await session.close()
        return before, min(before, await self._bytes_used())

    async def _bytes_used(self) -> int:
        ((found,),) = await self._opened_reader().read(lambda connection: connection.ask("bytes_used"))
        return int(found)

    # ------------------------------------------------------------ retention by the week

    async def prune(self, *, dry_run: bool = False, **asked: Any) -> int:
        pruned = await super().prune(dry_run=dry_run, **asked)
        if pruned and not dry_run:
            await self._opened_writer().write(lambda connection: connection.ask("forget_outputs"))
        return pruned

    async def _prune_at_once(
        self,
        before_ms: int,
        loose_ms: int,
        bounds: Sequence[Bound] | None,
        spared: sql_retention.Spared,
        dropped: Callable[[Sequence[Gone]], None] | None,
    ) -> int:
        reader, pruned = self._opened_reader(), 0
        limits = None
        if bounds is not None:
            limits = await reader.read(lambda connection: postgres_weeks.limits_of(connection, bounds))
        is_beyond = postgres_weeks.beyond(before_ms, limits)
        newest = before_ms
        if limits is not None:
            newest = max((before for each in limits.values() for before, _ in each), default=0)
        for start in await self._weeks_before("runs", newest):
            pruned += await self._prune_week(start, is_beyond, spared, dropped)
        for start in await self._weeks_before("events", before_ms):
            await self._prune_week_of_events(start, loose_ms)
        return pruned

    async def _weeks_before(self, kind: str, before_ms: int) -> list[int]:
        found = await self._opened_reader().read(lambda connection: postgres_weeks.weeks(connection, kind))
        return [start for start in found if start + WEEK_MS <= week_of(before_ms)]

    async def _prune_week(
        self,
        start: int,
        is_beyond: postgres_weeks.Doomed,
        spared: sql_retention.Spared,
        dropped: Callable[[Sequence[Gone]], None] | None,
    ) -> int:
        week, self._touched = Week(start), set()
        try:
            after: tuple[str, int] | None = ("", 0)
            while after is not None:
                page = partial(postgres_weeks.page_of_week, week=week, after=after, is_beyond=is_beyond, spared=spared)
                after = await self._opened_reader().read(page)
            is_gone = week.is_worth_it and await self._drop(
                partial(
                    postgres_weeks.drop_week,
                    week=week,
                    spared=spared,
                    epoch=self._epoch,
                    is_touched=lambda: self._is_touched(start),
                ),
                ("runs", start),
            )
        finally:
            self._touched = None
        if is_gone and dropped is not None:
            dropped(week.gone)
        return len(week.gone) if is_gone else 0

    def _is_touched(self, start: int) -> bool:
        return self._touched is None or ("runs", start) in self._touched

    async def _prune_week_of_events(self, start: int, loose_ms: int) -> None:
        which = partial(postgres_weeks.kept_events, start=start, loose_ms=loose_ms)
        kept = await self._opened_reader().read(which)
        if kept is not None:
            drop = partial(postgres_weeks.drop_events, start=start, kept=kept, epoch=self._epoch)
            await self._drop(lambda connection: drop(connection) is None, ("events", start))

    async def _drop(self, work: Callable[[Connection], bool], week: tuple[str, int]) -> bool:
        """Drop a partition; False when it was not, because somebody reads or has written what is in it."""
        # Whether it is dropped or made anew, the next commit that needs it asks.
        self._weeks.discard(week)
        try:
            return await self._opened_writer().write(work)
        except StoreUnavailable as error:
            if getattr(error.__cause__, "sqlstate", None) != LOCK_TIMEOUT:
                raise
            return False

    # ------------------------------------------------------------ reading

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        return await self._ask(_placed_attempt_of, "attempts", (job, codec.ms_of(tick)))

    async def started_since(self, since: datetime) -> Sequence[Attempt]:
        return await self._ask(codec.attempt_of, "started_since", (codec.ms_of(since),))

    # ------------------------------------------------------------ helpers

    def _opened_reader(self) -> Session:
        if self._reader is None:
            raise StoreError(f"{self.address.shown}: the store is not open")
        return self._reader

    def _opened_writer(self) -> Session:
        if self._writer is None:
            raise StoreError(f"{self.address.shown}: the store is not open for writing")
        return self._writer


def _placed_attempt_of(row: codec.Row) -> Attempt:
    return codec.attempt_of(row)._replace(place=machine_of(row[-1]))


def _key(attempt: Attempt) -> dict[str, Any]:
    return {"job": attempt.job, "tick": codec.ms_of(attempt.tick), "number": attempt.number}
