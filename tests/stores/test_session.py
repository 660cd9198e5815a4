"""One hop per piece of work, whole transactions, and connections that are replaced when they may be hurt."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing

import aiosqlite
import pytest

from dagsched.errors import StoreCorrupt, StoreError, StoreUnavailable
from dagsched.stores import Batch, SqliteStore
from dagsched.stores.session import Session
from tests.stores.make import at, attempt, daemon, event, row


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "plain.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (x)")
    return path


def with_session(path, body):
    async def main():
        session = Session(path, "rw")
        try:
            return await body(session)
        finally:
            await session.close()

    return asyncio.run(main())


def add(connection, x=1):
    connection.execute("INSERT INTO t VALUES (?)", (x,))


def count(connection):
    return connection.execute("SELECT count(*) FROM t").fetchone()[0]


def test_a_commit_of_many_rows_is_one_hop(tmp_path, monkeypatch):
    hops = []
    whole = aiosqlite.Connection.execute_fetchall
    monkeypatch.setattr(
        aiosqlite.Connection, "execute_fetchall", lambda *arguments: hops.append(1) or whole(*arguments)
    )

    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db")) as store:
            hops.clear()
            hours = range(100)
            await store.commit(
                Batch(
                    runs=[row("a", hour) for hour in hours],
                    new_attempts=[attempt("a", hour) for hour in hours],
                    events=[event(hour + 1) for hour in hours],
                )
            )
            assert len(hops) == 1

    asyncio.run(main())


def test_work_runs_on_the_connection_s_own_thread_and_answers(path):
    async def body(session):
        assert await session.call(lambda _: threading.current_thread()) is not threading.current_thread()
        assert await session.call(lambda _: None) is None

    with_session(path, body)


def test_work_that_raises_leaves_nothing_and_no_open_transaction(path):
    def half(connection):
        add(connection)
        raise KeyError("a mistake of ours")

    async def body(session):
        with pytest.raises(KeyError):
            await session.write(half)
        assert not await session.call(lambda connection: connection.in_transaction)
        await session.write(add)
        assert await session.read(count) == 1

    with_session(path, body)


def test_work_whose_task_is_cancelled_is_done_whole_and_the_next_follows_it(path):
    started, go = threading.Event(), threading.Event()

    def slow(connection):
        started.set()
        assert go.wait(10)
        add(connection)

    async def body(session):
        task = asyncio.create_task(session.write(slow))
        await asyncio.to_thread(started.wait, 10)
        task.cancel()
        go.set()
        await session.write(add)
        assert task.cancelled()
        assert await session.read(count) == 2

    with_session(path, body)


@pytest.mark.parametrize(
    ("code", "error", "is_replaced"),
    [
        (sqlite3.SQLITE_BUSY, StoreUnavailable, False),
        (sqlite3.SQLITE_FULL, StoreUnavailable, True),
        (sqlite3.SQLITE_IOERR | 3 << 8, StoreUnavailable, True),
        (sqlite3.SQLITE_CORRUPT | 1 << 8, StoreCorrupt, True),
    ],
    ids=["busy", "full", "I/O error", "corrupt"],
)
def test_a_connection_is_replaced_after_an_error_that_may_have_hurt_it(path, code, error, is_replaced):
    def fail(_):
        problem = sqlite3.OperationalError("as the disk said")
        problem.sqlite_errorcode = code
        raise problem

    async def body(session):
        before = await session.call(lambda connection: connection)
        with pytest.raises(error, match="as the disk said"):
            await session.write(fail)
        after = await session.call(lambda connection: connection)
        assert (after is not before) == is_replaced
        await session.write(add)

    with_session(path, body)


def test_calls_at_once_share_one_connection(path):
    async def body(session):
        found = await asyncio.gather(*(session.call(id) for _ in range(5)))
        assert len(set(found)) == 1

    with_session(path, body)


def test_a_closed_session_does_not_open_itself_again(path):
    async def body(session):
        await session.close()
        with pytest.raises(StoreError, match="closed"):
            await session.read(count)

    with_session(path, body)


def test_every_commit_is_on_the_disk_before_it_returns(tmp_path):
    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db")) as store:
            modes = await store._writer.call(
                lambda c: [c.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
            )
            assert modes == ["wal", 2]
            assert await store.run("a", at()) is None

    asyncio.run(main())
