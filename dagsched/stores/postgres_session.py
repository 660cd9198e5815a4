"""One PostgreSQL session on its own thread, each piece of work in a single hop.

psycopg's blocking calls on a thread, as aiosqlite does it for SQLite: a transaction is begun and ended inside one call,
so that no cancelled task can leave one half open, and the shared code of the stores runs on both engines. The thread is
a daemon thread: a server that hangs keeps no program from ending.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, TypeVar, cast

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.numeric import Int8Dumper

from dagsched.errors import StoreCorrupt, StoreError
from dagsched.stores.address import Address
from dagsched.stores.postgres_faults import translated
from dagsched.stores.procedures import Unreadable
from dagsched.stores.queries import queries

T = TypeVar("T")
Work = Callable[["Connection"], T]
Step = tuple[str, Sequence[Any]]

SQL = queries("postgres")
# A host that is gone is noticed within seconds, not the hours of TCP's own patience.
PATIENCE: Mapping[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
# A commit that waits for what somebody else has locked holds the row of the lease: it asks again instead of waiting on.
COMMIT_LOCK_PATIENCE_MS = 2_000
# A server that hangs keeps nobody from ending.
PARTING_S = 2.0


class Connection:
    """A session that runs named queries where it stands: on its thread."""

    def __init__(self, address: Address, purpose: str) -> None:
        given = conninfo_to_dict(address.url)
        defaults = {key: value for key, value in PATIENCE.items() if key not in given}
        raw = psycopg.connect(
            address.url, autocommit=True, **defaults, application_name=f"dagsched {address.namespace} {purpose}"
        )
        # One type for all whole numbers, or each statement would be prepared once for every mixture of them.
        raw.adapters.register_dumper(int, Int8Dumper)
        raw.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(address.schema)))
        for setting in ("synchronous_commit TO on", "idle_in_transaction_session_timeout TO '10s'"):
            raw.execute(sql.SQL(f"SET {setting}"))
        if purpose == "writer":
            raw.execute(sql.SQL(f"SET lock_timeout TO {COMMIT_LOCK_PATIENCE_MS}"))
        self.raw = raw

    def ask(self, name: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return all rows of the named query."""
        cursor = self.raw.execute(SQL[name].encode(), parameters or None)
        return cursor.fetchall() if cursor.description is not None else []

    def change(self, name: str, rows: Sequence[Any]) -> int:
        """Run the named statement for each of `rows` and return how many rows it changed."""
        if not rows:
            return 0
        with self.raw.cursor() as cursor:
            cursor.executemany(SQL[name].encode(), rows)
            return cursor.rowcount

    def together(self, steps: Sequence[Step]) -> None:
        """Run these in one transaction and one round trip; nothing of them remains if one fails."""
        first: psycopg.Error | None = None
        try:
            with self.raw.pipeline():
                try:
                    for name, parameters in (("begin_write", ()), *steps, ("commit", ())):
                        self.raw.execute(SQL[name].encode(), parameters or None)
                except psycopg.Error as error:
                    # What the end of the pipeline raises then says only that it was cut short.
                    first = error
        except psycopg.Error as error:
            self._roll_back()
            raise first or error from None
        if first is not None:
            self._roll_back()
            raise first

    def transact(self, begin: str, work: Work[T]) -> T:
        """Run `work` in one transaction; nothing of it remains if it raises."""
        self.ask(begin)
        try:
            result = work(self)
            self.ask("commit")
        except BaseException:
            self._roll_back()
            raise
        return result

    def _roll_back(self) -> None:
        # A session that is gone has rolled back already.
        if not self.raw.closed and self.raw.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
            with suppress(psycopg.Error):
                self.ask("rollback")


class Session:
    """A session that opens itself when needed and is thrown away after an error.

    Also after one that did the session no harm: psycopg counts a statement as prepared once it is sent, and of a
    pipeline that fails the server reads nothing more.
    """

    def __init__(self, address: Address, purpose: str) -> None:
        self.address, self.purpose = address, purpose
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._connection: Connection | None = None
        self._is_closed = False

    async def read(self, work: Work[T]) -> T:
        """Run `work` on one unchanging view of the committed state."""
        return await self.call(lambda connection: connection.transact("begin_read", work))

    async def write(self, work: Work[T]) -> T:
        """Run `work` as one durable transaction, or leave nothing of it."""
        return await self.call(lambda connection: connection.transact("begin_write", work))

    async def call(self, work: Work[T]) -> T:
        """Run `work` on the session's thread; raises StoreError for what PostgreSQL complains of."""
        if self._is_closed:
            raise StoreError(f"{self.address.shown}: the store was closed")
        return await self._on_thread(lambda: self._done(work))

    async def close(self) -> None:
        """End the session for good; work already handed over is finished first, if the server still answers."""
        if not self._is_closed:
            self._is_closed = True
            if self._thread is not None:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._on_thread(self._discard), PARTING_S)
                self._work.put(None)

    async def _on_thread(self, task: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=f"postgres {self.purpose}", daemon=True)
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()

        def run() -> None:
            try:
                result, error = task(), None
            except BaseException as caught:
                result, error = cast(T, None), caught
            with suppress(RuntimeError):  # nobody waits any more: the loop was closed
                loop.call_soon_threadsafe(_settle, future, result, error)

        self._work.put(run)
        return cast(T, await future)

    def _serve(self) -> None:
        while (task := self._work.get()) is not None:
            task()

    def _done(self, work: Work[T]) -> T:
        try:
            if self._connection is None:
                self._connection = Connection(self.address, self.purpose)
            return work(self._connection)
        except psycopg.Error as error:
            self._discard()
            raise translated(error, self.address) from error
        except Unreadable as error:
            raise StoreCorrupt(f"{self.address.shown}: {error}; restore a backup") from error

    def _discard(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(psycopg.Error):
                connection.raw.close()


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.cancelled():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
