"""When a commit is made on the loop's own thread."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing

import pytest

from dagsched.stores import Batch, SqliteStore, sqlite_write
from dagsched.stores.pace import LOG_PAGES_MAX, PAGES_OF_COMMIT, QUICK_BEFORE, ROWS_FEW, SLOW_S, Pace
from tests.stores.make import daemon, event

QUICK_S = SLOW_S / 10


def test_many_rows_are_handed_over_and_say_nothing_of_the_disk():
    pace = Pace()
    assert not pace.is_quick(ROWS_FEW + 1)
    pace.took(ROWS_FEW + 1, 10 * SLOW_S)
    assert pace.is_quick(ROWS_FEW)


def test_after_a_slow_commit_many_have_to_be_quick():
    pace = Pace()
    pace.took(1, SLOW_S)
    for _ in range(QUICK_BEFORE):
        assert not pace.is_quick(1)
        pace.took(1, QUICK_S)
    assert pace.is_quick(1) or pace.must_fold(1)


def test_the_commit_that_folds_the_log_is_handed_over():
    pace = Pace()
    commits = int(LOG_PAGES_MAX / PAGES_OF_COMMIT) + 1
    folds = 0
    for _ in range(5 * commits):
        folds += pace.must_fold(1)
        assert pace.is_quick(1) is not pace.must_fold(1)
        pace.took(1, QUICK_S)
    assert folds == 5


# ---------------------------------------------------------------- with a store


@pytest.fixture
def threads(monkeypatch):
    """Where the commits of a store were made."""
    found, write = [], sqlite_write.write

    def noted(connection, batch, epoch):
        found.append(threading.current_thread())
        write(connection, batch, epoch)

    monkeypatch.setattr(sqlite_write, "write", noted)
    monkeypatch.setattr("dagsched.stores.pace.SLOW_S", 1e9)  # whatever the disk is busy with
    return found


def test_small_commits_stay_on_the_loop_s_thread_and_large_ones_leave_it(tmp_path, threads):
    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db")) as store:
            # A writer opens itself with the first commit, on its own thread.
            for number in (1, 2):
                await store.commit(Batch(events=[event(number)]))
            await store.commit(Batch(events=[event(3 + each) for each in range(ROWS_FEW + 1)]))

    asyncio.run(main())
    _, small, large = threads
    assert small is threading.main_thread()
    assert large is not threading.main_thread()


def test_a_small_commit_waits_on_the_other_thread_while_another_program_has_the_write_lock(tmp_path, threads):
    path = tmp_path / "dagsched.db"

    async def main():
        async with daemon(SqliteStore(path)) as store:
            await store.commit(Batch(events=[event(1)]))
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                waiting = asyncio.create_task(store.commit(Batch(events=[event(2)])))
                await asyncio.sleep(0)
                assert not waiting.done()
                other.execute("ROLLBACK")
                await waiting
            await store.commit(Batch(events=[event(3)]))
            assert [row.seq for row in await store.events()] == [1, 2, 3]

    asyncio.run(main())
    _, after_the_lock, free_again = threads
    assert after_the_lock is not threading.main_thread()
    assert free_again is threading.main_thread()
