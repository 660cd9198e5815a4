"""The SQLite file of a state directory as a side of a move.

As a target it is written beside its place, as a file that nobody knows of, read back, and linked in whole. A file of a
state that went away earlier is kept under another name.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from dagsched.stores.faults import translated
from dagsched.stores.lock import LOCK, DaemonLock
from dagsched.stores.move_reading import Cursor, Reading, went_of
from dagsched.stores.move_side import Rows
from dagsched.stores.move_tables import REQUESTS, TABLES, Counters, Table, Went
from dagsched.stores.prepare import (
    connected,
    make_draft,
    prepare_to_read,
    prepare_to_write,
    put_in_place,
    remove_draft,
    require_there,
)
from dagsched.stores.session import Procedures


class SqliteSide(Reading[Procedures]):
    """The database in a state directory, held by the lock that a daemon there would hold."""

    weeks_query = "weeks_needed"

    def __init__(self, home: Path) -> None:
        self.home, self._path = home.absolute(), home.absolute() / "dagsched.db"
        self.shown = f"{self._path} on {socket.gethostname()}"
        self._lock = DaemonLock(self.home / LOCK)
        self._draft = self._path.with_name("dagsched.db.moving")

    async def hold(self, *, is_source: bool) -> None:
        await asyncio.to_thread(self._hold, is_source)

    async def release(self) -> None:
        await asyncio.to_thread(self._let_go)

    def _hold(self, is_source: bool) -> None:
        if is_source:
            require_there(self._path)
        else:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock.take(f"process {os.getpid()}, moving the state")
        if is_source:
            prepare_to_write(self._path, self._lock)
            with self._words():
                self._connection = connected(self._path, "rw", is_shared=True)
                self._connection.ask("sync_every_commit")
                self._connection.ask("sync_through_drive")
                # Whoever had the lock before it was lost writes no more.
                self._connection.transact("begin_write", lambda each: each.change("fence_out", [()]))

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()

    # ------------------------------------------------------------ as the source

    def went(self) -> Went | None:
        with self._words():
            return went_of(self._opened())

    def look(self) -> None:
        with self._words():
            self._end_view()
            self._opened().ask("begin_read")

    def leave(self, move: str, time_ms: int, other: str) -> None:
        self._write("leave", (move, time_ms, other))

    def left(self, move: str) -> None:
        self._write("left", (move,))

    def stay(self, move: str) -> None:
        self._write("stay", (move,))

    def _write(self, name: str, row: Sequence[object]) -> None:
        with self._words():
            self._end_view()
            self._opened().transact("begin_write", lambda connection: connection.change(name, [row]))

    def _end_view(self) -> None:
        if self._opened().in_transaction:
            self._opened().ask("rollback")

    # ------------------------------------------------------------ as the target

    def has(self, move: str) -> bool:
        if not os.path.lexists(self._path):
            return False
        prepare_to_read(self._path)
        with self._words(), closing(connected(self._path, "ro")) as connection:
            return bool(connection.ask("came", (move,)))

    def is_empty(self) -> bool:
        """Whether nothing is there, or nothing that a daemon would go on with."""
        if not os.path.lexists(self._path):
            return True
        prepare_to_write(self._path, self._lock)
        with self._words(), closing(connected(self._path, "rw")) as connection:
            went = went_of(connection)
            return (went is not None and went.is_over) or _holds_nothing(connection)

    def begin(self, weeks: Sequence[tuple[str, int]]) -> None:
        make_draft(self._draft)
        with self._words():
            self._connection = connected(self._draft, "rw", is_shared=True)
            for name in ("no_journal", "no_sync", "begin_write"):
                self._connection.ask(name)

    def put(self, table: Table, rows: Rows) -> None:
        marks = ", ".join("?" * len(table.columns))
        with self._words():
            words = f"INSERT INTO {table.name} ({table.listed}) VALUES ({marks})"  # noqa: S608
            self._opened().executemany(words, rows)

    def clear(self, table: Table) -> None:
        with self._words():
            self._opened().execute(f"DELETE FROM {table.name}")  # noqa: S608

    def seal(self, counters: Counters, move: str, time_ms: int, other: str) -> None:
        with self._words():
            connection = self._opened()
            connection.change("put_counters", [counters._asdict()])
            connection.ask("forget_numbers")
            numbers = {"requests": counters.last_request, "emissions": counters.last_emission}
            connection.change("put_number", list({**numbers, "fences": counters.last_fence}.items()))
            connection.change("come", [(move, time_ms, other)])

    def commit(self) -> None:
        with self._words():
            connection = self._opened()
            connection.ask("commit")
            self._connection = None
            connection.close()
        put_in_place(self._draft, self._path, self._aside())

    def abandon(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        remove_draft(self._draft)

    def _aside(self) -> Path:
        """Return the name under which what is there is kept."""
        return self._path.with_name(f"{self._path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S}Z")

    # ------------------------------------------------------------ helpers

    def _cursor(self) -> Cursor:
        return self._opened().cursor()

    def _all_of(self, table: Table) -> str:
        # Names of tables and columns cannot be parameters, and these are our own.
        return f"SELECT {table.listed} FROM {table.name}"  # noqa: S608

    @contextmanager
    def _words(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise translated(error, self._path) from error


def _holds_nothing(connection: Procedures) -> bool:
    tables = [*TABLES, REQUESTS]
    words = " UNION ALL ".join(f"SELECT 1 FROM (SELECT 1 FROM {table.name} LIMIT 1)" for table in tables)  # noqa: S608
    return not connection.execute(words).fetchone()
