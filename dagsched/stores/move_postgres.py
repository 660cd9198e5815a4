"""A namespace on a PostgreSQL server as a side of a move, held by the lease that a scheduler would hold.

As a target it is filled in one transaction. Partitions are made before that, each by itself: a transaction that made
all those of a long history would need more locks than a server has room for by default.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

import psycopg
from psycopg import sql

from dagsched.clock import boottime_s
from dagsched.errors import FencedOut, StoreError, StoreHeld, StoreMissing
from dagsched.stores.address import Address
from dagsched.stores.lease import LEASE_S, Lease, attempts_s
from dagsched.stores.move_reading import Cursor, Reading, went_of
from dagsched.stores.move_side import Rows
from dagsched.stores.move_tables import REQUESTS, TABLES, Counters, Table, Went
from dagsched.stores.postgres_faults import translated
from dagsched.stores.postgres_prepare import prepare_to_read, prepare_to_write
from dagsched.stores.postgres_session import Connection, Session

T = TypeVar("T")


class PostgresSide(Reading[Connection]):
    """A namespace; `work` is done on a session of its own, the lease is renewed on others."""

    weeks_query = "weeks"

    def __init__(self, address: Address) -> None:
        self.address, self.shown = address, address.shown
        self._epoch, self._is_filled = 0, False
        self._lease: Lease | None = None
        self._writer: Session | None = None

    async def hold(self, *, is_source: bool) -> None:
        prepare = prepare_to_read if is_source else prepare_to_write
        self._writer = Session(self.address, "move")
        await self._writer.call(lambda connection: prepare(connection, self.address))
        holder = f"process {os.getpid()} on {socket.gethostname()}, moving the state"
        claim = {"holder": holder, "place": "", "lease_s": LEASE_S, "mine": 0, "moves": is_source}
        asked_s = boottime_s()
        found = await self._writer.write(lambda connection: connection.ask("next_epoch", claim))
        went = [] if found or is_source else await self._writer.read(lambda connection: connection.ask("went"))
        if went:
            raise StoreError(f"{self.shown}: kept there is a state that has moved away; {PUT_AWAY}")
        if not found:
            ((other, *_),) = await self._writer.read(lambda connection: connection.ask("holder"))
            raise StoreHeld(f"{self.shown}: held by {other}; stop every scheduler first", other, by_lease=True)
        ((self._epoch,),) = found
        self._lease = Lease(self.address, self._epoch, "", attempts_s(), lambda term: None)
        self._lease.begin(asked_s)

    async def release(self) -> None:
        self.abandon()
        lease, self._lease = self._lease, None
        if lease is not None:
            await lease.close()
        writer, self._writer = self._writer, None
        if writer is not None:
            if self._is_filled:
                # The planner knows nothing yet of what has come in.
                with suppress(StoreError):
                    await writer.call(lambda connection: connection.ask("vacuum"))
            elif self._epoch:
                with suppress(StoreError):
                    await writer.write(lambda connection: connection.ask("let_go", (self._epoch,)))
            await writer.close()
        self._epoch, self._is_filled = 0, False

    # ------------------------------------------------------------ as the source

    def went(self) -> Went | None:
        return self._with_another(went_of)

    def look(self) -> None:
        self.abandon()
        self._begin("begin_read")

    def leave(self, move: str, time_ms: int, other: str) -> None:
        def work(connection: Connection) -> None:
            ((epoch,),) = connection.ask("begin_move")
            if epoch != self._epoch:
                raise FencedOut(f"{self.shown}: another scheduler took over; nothing has moved")
            connection.ask("leave", (move, time_ms, other))

        self._with_another(lambda connection: connection.transact("begin_write", work))

    def left(self, move: str) -> None:
        self._with_another(lambda connection: connection.ask("left", (move,)))

    def stay(self, move: str) -> None:
        self._with_another(lambda connection: connection.ask("stay", (move,)))

    # ------------------------------------------------------------ as the target

    def has(self, move: str) -> bool:
        def look(connection: Connection) -> bool:
            try:
                prepare_to_read(connection, self.address)
            except StoreMissing:
                return False
            # The server may still be at the last step of a move whose connection broke.
            connection.ask("settled_soon")
            connection.ask("settled")
            return bool(connection.ask("came", (move,)))

        return self._with_another(look)

    def is_empty(self) -> bool:
        some = [sql.SQL("(SELECT 1 FROM {} LIMIT 1)").format(sql.Identifier(each.name)) for each in (*TABLES, REQUESTS)]
        words = sql.SQL(" UNION ALL ").join(some)
        return self._with_another(lambda connection: connection.raw.execute(words).fetchone() is None)

    def begin(self, weeks: Sequence[tuple[str, int]]) -> None:
        def make(connection: Connection) -> None:
            for week in weeks:
                connection.ask("make_week", week)

        self._with_another(make)
        self._begin("begin_write")

    def put(self, table: Table, rows: Rows) -> None:
        with self._words(), self._opened().raw.cursor() as cursor:
            names = sql.SQL(", ").join(map(sql.Identifier, table.columns))
            words = sql.SQL("COPY {} ({}{}) FROM STDIN")
            also = sql.SQL(", place") if table.name == "attempts" else sql.SQL("")
            more = ("",) if table.name == "attempts" else ()
            with cursor.copy(words.format(sql.Identifier(table.name), names, also)) as copy:
                for row in rows:
                    copy.write_row((*row, *more))

    def clear(self, table: Table) -> None:
        with self._words():
            self._opened().raw.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier(table.name)))

    def seal(self, counters: Counters, move: str, time_ms: int, other: str) -> None:
        with self._words():
            connection = self._opened()
            connection.ask("come", (move, time_ms, other))
            if counters.last_request:
                connection.ask("put_request_number", (counters.last_request,))
            if counters.last_fence:
                connection.ask("put_fence", (counters.last_fence,))
            if counters.last_emission:
                connection.ask("put_emission_number", (counters.last_emission,))
            # The last of all: until it is committed, the lease cannot be renewed.
            if not connection.ask("put_counters", {**counters._asdict(), "mine": self._epoch}):
                raise FencedOut(f"{self.shown}: another scheduler took over; nothing has moved")

    def commit(self) -> None:
        with self._words():
            self._opened().ask("commit")
        self._is_filled = True

    def abandon(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.raw.close()

    # ------------------------------------------------------------ helpers

    def _begin(self, how: str) -> None:
        with self._words():
            self._connection = Connection(self.address, "move")
            self._connection.ask(how)
            self._connection.ask("patient")

    def _with_another(self, work: Callable[[Connection], T]) -> T:
        """Do something on a session of its own: what is under way on the other one goes on, or is lost."""
        with self._words():
            connection = Connection(self.address, "move")
            try:
                return work(connection)
            finally:
                connection.raw.close()

    def _cursor(self) -> Cursor:
        return self._opened().raw.cursor("move")

    def _all_of(self, table: Table) -> sql.Composed:
        names = sql.SQL(", ").join(map(sql.Identifier, table.columns))
        return sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(table.name))

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise translated(error, self.address) from error


PUT_AWAY = "name another namespace, or drop or rename its schema first"
