"""A state moves from one engine to the other: all of it, verified, or nothing.

Both sides are held, so that no daemon writes into either. Rows go over in batches and are read back from the target for
comparison. Then, in this order: the source says that it is going (from here on nobody leaves a command in it), the
commands left in it follow, the target commits, the source says that it has gone. Whatever is killed between, at most
one side is ever fit for a daemon: the same move, asked for again, finds out on the target whether it was made, and
finishes it or begins anew.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dagsched.counting import counted
from dagsched.errors import IntegrityBroken, Refused, StoreError, StoreMoved, StoreUnavailable
from dagsched.stores import codec
from dagsched.stores.move_side import Rows, Source, Target
from dagsched.stores.move_tables import MOVES, REQUESTS, TABLES, TOTALS, Sum, Table, Went

SHOWN_MAX = 3


class Copied(NamedTuple):
    """A table that has moved: how many rows, and the sum by which both sides were compared."""

    table: str
    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did. `is_finished`: it had been made already, and was only finished."""

    move: str
    source: str
    target: str
    tables: Sequence[Copied] = ()
    is_finished: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        tables = [each._asdict() for each in self.tables]
        said = {"move": self.move, "from": self.source, "to": self.target, "tables": tables}
        return {**said, "finished_earlier_move": self.is_finished}


async def move(source: Source, target: Target, told: Callable[[str, int], None] = lambda table, rows: None) -> Moved:
    """Move a state; `told` hears how many rows of a table have gone over, on another thread.

    Raises Refused when attempts are open or the target is not empty, StoreHeld while a daemon has either side,
    StoreMoved when the state has gone already, and other StoreErrors; nothing has changed then, but for what the error
    says.
    """
    stop = threading.Event()
    try:
        await source.hold(is_source=True)
        work = asyncio.ensure_future(_moved(_Move(source, target, told, stop)))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # Between two batches it can be given up; at its end it is too late for that, and short.
            stop.set()
            with suppress(StoreError):
                await work
            raise
    finally:
        await target.release()
        await source.release()


async def _moved(work: _Move) -> Moved:
    went = await asyncio.to_thread(work.earlier)
    if went is not None and await asyncio.to_thread(work.is_made, went):
        await asyncio.to_thread(work.source.left, went.move)
        return Moved(went.move, work.source.shown, work.target.shown, is_finished=True)
    await work.target.hold(is_source=False)
    return await asyncio.to_thread(work.all)


@dataclass(slots=True)
class _Move:
    source: Source
    target: Target
    told: Callable[[str, int], None]
    stop: threading.Event
    sums: dict[str, Sum] = field(default_factory=dict)

    def earlier(self) -> Went | None:
        """Return the move that was interrupted, if one was; raises StoreMoved when the state is going elsewhere."""
        went = self.source.went()
        if went is not None and (went.is_over or went.other != self.target.shown):
            raise StoreMoved(self.source.shown, went.other, went.is_over)
        return went

    def is_made(self, went: Went) -> bool:
        if self.target.has(went.move):
            return True
        self.source.stay(went.move)
        return False

    def all(self) -> Moved:
        move, time_ms = secrets.token_hex(8), codec.ms_of(datetime.now(UTC))
        self._require_fit()
        try:
            self.target.begin(self.source.weeks())
            for table in TABLES:
                self._copy(table)
            counters = self.source.counters()
            self._check(TABLES)
            self.source.leave(move, time_ms, self.target.shown)
        except BaseException:
            self.target.abandon()
            raise
        try:
            # Commands may have been left until a moment ago.
            self.source.look()
            self._copy(REQUESTS)
            counters = counters._replace(last_request=self.source.counters().last_request)
            self._check([REQUESTS])
            self.target.seal(counters, move, time_ms, self.source.shown)
        except BaseException:
            self.target.abandon()
            self.source.stay(move)
            raise
        self._commit(move)
        self.source.left(move)
        tables = [Copied(name, each.rows, each.checksum) for name, each in self.sums.items()]
        return Moved(move, self.source.shown, self.target.shown, tables)

    def _commit(self, move: str) -> None:
        try:
            self.target.commit()
        except StoreError as error:
            try:
                is_made = self.target.has(move)
            except StoreError:
                raise StoreUnavailable(
                    f"{self.target.shown}: whether the last step was made could not be seen ({error}); "
                    "neither side is used until the same `dagsched db move` is asked for again"
                ) from error
            if not is_made:
                self.source.stay(move)
                raise

    def _require_fit(self) -> None:
        if not self.target.is_empty():
            raise Refused(f"{self.target.shown}: holds a state already; name another place, or put that one away first")
        self.source.look()
        if runs := self.source.open_attempts():
            some = ", ".join(runs[:SHOWN_MAX]) + (", …" if len(runs) > SHOWN_MAX else "")
            raise Refused(
                f"{self.source.shown}: {counted(len(runs), 'attempt has', 'attempts have')} not ended ({some}); "
                "start the daemon, which finds out about them, and end it with `dagsched stop`"
            )

    def _copy(self, table: Table) -> None:
        found = self.sums[table.name] = Sum()
        if table is TOTALS:
            self.target.clear(table)
        for rows in _kept(table, self.source.batches(table)):
            if self.stop.is_set():
                raise StoreError("interrupted; nothing has changed")
            self.target.put(table, rows)
            found.add(rows)
            self.told(table.name, found.rows)

    def _check(self, tables: Sequence[Table]) -> None:
        for table in tables:
            found, wanted = Sum(), self.sums[table.name]
            for rows in self.target.batches(table):
                if self.stop.is_set():
                    raise StoreError("interrupted; nothing has changed")
                found.add(rows)
            if found != wanted:
                raise IntegrityBroken(
                    f"{self.target.shown}: of {table.name} {found.rows} rows ({found.checksum}) came over, "
                    f"{self.source.shown} has {wanted.rows} ({wanted.checksum}); nothing has changed"
                )


def _kept(table: Table, batches: Iterator[Rows]) -> Iterator[Rows]:
    """Leave out, of the moves, the one that is just being made."""
    is_from = MOVES.columns.index("is_from")
    for rows in batches:
        yield [row for row in rows if row[is_from]] if table is MOVES else rows
