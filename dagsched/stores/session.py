"""One SQLite connection on its own thread, each piece of work in a single hop.

aiosqlite runs every statement on a thread and hops there and back for each, which costs more than the
statement. SQLite has no stored procedures that could bundle them, so this adds one: the connection is of a
class of ours (`sqlite3.connect(factory=…)`), and its `execute("CALL", [work])` calls `work(connection)`
where it stands: on aiosqlite's thread. A transaction is then begun and ended inside one call, and no
cancelled task can leave one half open. A small commit may run where it is asked for, too: `pace.py` says when.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import aiosqlite

from dagsched.errors import StoreError
from dagsched.stores.faults import damaged, is_harmless, translated
from dagsched.stores.procedures import Unreadable
from dagsched.stores.queries import queries

T = TypeVar("T")
Work = Callable[["Procedures"], T]

BUSY_TIMEOUT_S = 1.0
CALL = "CALL"
SQL = queries("sqlite")


class Procedures(sqlite3.Connection):
    """A connection that can also be asked to run a piece of Python where it lives.

    `is_patient`: whether it waits for BUSY_TIMEOUT_S while another program has the write lock. `took_s`: how long the
    last transaction took that was carried out.
    """

    is_patient = True
    took_s = 0.0

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql != CALL:
            return super().execute(sql, parameters)
        (work,) = parameters
        return _Answer(self, work(self))

    def ask(self, name: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return all rows of the named query."""
        return super().execute(SQL[name], parameters).fetchall()

    def change(self, name: str, rows: Sequence[Any]) -> int:
        """Run the named statement for each of `rows` and return how many rows it changed."""
        return self.executemany(SQL[name], rows).rowcount if rows else 0

    def insert(self, name: str, row: Sequence[Any]) -> int:
        """Run the named INSERT and return the number the row was given."""
        number = super().execute(SQL[name], row).lastrowid
        assert number is not None, f"{name} is no INSERT"
        return number

    def transact(self, begin: str, work: Work[T], *, patient: bool = True) -> T:
        """Run `work` in one transaction; nothing of it remains if it raises."""
        if patient is not self.is_patient:
            self.ask("wait_for_locks" if patient else "wait_for_no_lock")
            self.is_patient = patient
        began_s = time.monotonic()
        self.ask(begin)
        try:
            result = work(self)
            self.ask("commit")
        except BaseException:
            # A full disk or an I/O error may have rolled back already.
            if self.in_transaction:
                self.ask("rollback")
            raise
        self.took_s = time.monotonic() - began_s
        return result


class _Answer(sqlite3.Cursor):
    """The result of a `CALL` in the form of a cursor: one row of one column."""

    def __init__(self, connection: sqlite3.Connection, value: object) -> None:
        super().__init__(connection)
        self._value = value

    def fetchall(self) -> list[Any]:
        return [(self._value,)]


def uri_of(path: Path, mode: str) -> str:
    """Return SQLite's name for the file; `mode` is "rw", "ro" or "immutable"; none creates a file."""
    return f"{path.absolute().as_uri()}?{'immutable=1' if mode == 'immutable' else f'mode={mode}'}"


class Session:
    """A connection that opens itself when needed and is thrown away after an error that may have hurt it.

    Work runs on the connection's thread, or where it is asked for, in `write_here`; never on both at a time.
    """

    def __init__(self, path: Path, mode: str) -> None:
        self.path, self.mode = path, mode
        self._connection: aiosqlite.Connection | None = None
        self._procedures: Procedures | None = None
        self._calls = 0
        self._opening = asyncio.Lock()
        self._is_closed = False

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one unchanging view of the committed state."""
        return await self.call(lambda connection: connection.transact("begin_read", work))

    async def write(self, work: Work[T], *, fold: bool = False) -> T:
        """Run `work` as one durable transaction, or leave nothing of it; `fold`: and then the log into the file."""

        def written(connection: Procedures) -> T:
            if fold:
                connection.ask("fold_now")
            try:
                return connection.transact("begin_write", work)
            finally:
                if fold:
                    connection.ask("fold_when_long")

        return await self.call(written)

    async def call(self, work: Work[T]) -> T:
        """Run `work` on the connection's thread; raises StoreError for what SQLite complains of."""
        self._calls += 1
        try:
            connection = await self._opened()
            rows = await connection.execute_fetchall(CALL, (work,))
        except sqlite3.Error as error:
            raise await self._hurt_by(error) from error
        except Unreadable as error:
            raise damaged(self.path, str(error)) from error
        finally:
            self._calls -= 1
        return cast(T, next(iter(rows))[0])

    @property
    def took_s(self) -> float:
        """How long the last transaction took."""
        return 0.0 if self._procedures is None else self._procedures.took_s

    @property
    def is_free(self) -> bool:
        """Whether the connection is open and nobody uses it, so that `write_here` may."""
        return self._procedures is not None and not self._calls

    async def write_here(self, work: Work[T]) -> T:
        """Do as `write` on the caller's own thread, but wait for no lock: StoreUnavailable while another has it."""
        assert self._procedures is not None, "it is free"
        try:
            return self._procedures.transact("begin_write", work, patient=False)
        except sqlite3.Error as error:
            raise await self._hurt_by(error) from error

    async def _hurt_by(self, error: sqlite3.Error) -> StoreError:
        """Return what is to be raised for an error, and let go of the connection unless it is as good as before."""
        if not is_harmless(error):
            await self._discard()
        return translated(error, self.path)

    async def close(self) -> None:
        """Close the connection for good; work already handed over is finished first."""
        self._is_closed = True
        await self._discard()

    async def _discard(self) -> None:
        """Close the connection; the next call opens a new one."""
        connection, self._connection, self._procedures = self._connection, None, None
        if connection is not None:
            await connection.close()

    async def _opened(self) -> aiosqlite.Connection:
        async with self._opening:
            if self._is_closed:
                raise StoreError(f"{self.path}: the store was closed")
            if self._connection is None:
                self._connection = await self._connected()
            return self._connection

    async def _connected(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(
            uri_of(self.path, self.mode),
            uri=True,
            factory=Procedures,
            isolation_level=None,
            timeout=BUSY_TIMEOUT_S,
            cached_statements=256,
            check_same_thread=False,
        )
        try:
            await connection.execute_fetchall(CALL, (self._tune,))
        except BaseException:
            await connection.close()
            raise
        return connection

    def _tune(self, connection: Procedures) -> None:
        self._procedures = connection
        connection.ask("cache_pages")
        if self.mode == "rw":
            for name in ("sync_every_commit", "sync_through_drive", "limit_log"):
                connection.ask(name)
