"""What docs/state.md tells people to do with the database by hand."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing

from dagsched.model import RunState
from dagsched.stores import Batch, SqliteStore
from tests.stores.make import FULL_RUN, at, attempt, daemon, event, reader, row

BATCH = Batch(
    runs=[row("a", 1, RunState.FAILED), FULL_RUN], new_attempts=[attempt("a", 1)], events=[event(1, 2, job="a")]
)


def asked(path, sql):
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return connection.execute(sql).fetchall()


def test_the_readable_views_show_instants_as_text_under_a_running_daemon(tmp_path):
    path = tmp_path / "dagsched.db"

    async def main():
        async with daemon(SqliteStore(path), BATCH):
            assert asked(path, "SELECT tick, until, ended FROM runs_readable WHERE job = 'load'") == [
                ("2026-11-21T01:00:00.007Z", "2026-11-21T03:00:00.000Z", "2026-11-21T07:00:00.999Z")
            ]
            assert asked(path, "SELECT until, started FROM runs_readable WHERE job = 'a'") == [(None, None)]
            assert asked(path, "SELECT tick, started, ended FROM attempts_readable") == [
                ("2026-11-21T01:00:00.000Z", "2026-11-21T01:00:00.005Z", None)
            ]
            assert asked(path, "SELECT seq, time, tick FROM events_readable") == [(1, "2026-11-21T02:00:00.000Z", None)]

    asyncio.run(main())


def test_a_backup_made_under_a_running_daemon_is_a_whole_state(tmp_path):
    path, copy = tmp_path / "dagsched.db", tmp_path / "copy" / "dagsched.db"
    os.mkdir(copy.parent)

    async def main():
        async with daemon(SqliteStore(path), BATCH) as store:
            with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
                source.backup(target)
            await store.commit(Batch(runs=[row("b", 2)]))
        async with reader(SqliteStore(copy)) as store:
            assert [run.job for run in await store.rows()] == ["load", "a"]
        async with daemon(SqliteStore(copy)) as store:
            assert await store.run("load", at(1, ms=7)) == FULL_RUN

    asyncio.run(main())


def test_vacuum_gives_space_back_and_loses_nothing(tmp_path):
    path = tmp_path / "dagsched.db"

    async def main():
        runs = [row("a", hour, reason="x" * 1000) for hour in range(500)]
        async with daemon(SqliteStore(path), Batch(runs=runs)) as store:
            await store.prune(before=at(400), keep=frozenset())
            left = await store.rows()
        before = path.stat().st_size
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("VACUUM")
        assert path.stat().st_size < before / 2
        async with daemon(SqliteStore(path)) as store:
            assert await store.rows() == left
            assert await store.check() == []

    asyncio.run(main())
