"""Retention works in chunks, and the daemon goes on between two of them."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from dagsched.model import Link, RunState
from dagsched.stores import Batch, SqliteStore, sql_retention, sqlite_write
from tests.stores.make import at, daemon, row

OLD = [row("a", 1)._replace(tick=at(1) + timedelta(seconds=second), ended=at(3)) for second in range(250)]
WANTED = OLD[200]


def test_a_commit_between_two_chunks_still_saves_the_rows_it_needs(tmp_path, monkeypatch):
    chunk, chunks = sql_retention.prune_rows, []

    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db"), Batch(runs=[*OLD, row("a", 8)])) as store:
            waiting = row("down", 9, RunState.WAITING, links=(Link("a", WANTED.tick),))

            def interrupted(connection, **arguments):
                chunks.append(arguments["state"])
                if chunks.count(RunState.SUCCESS) == 2:
                    sqlite_write.write(connection, Batch(runs=[waiting]), arguments["epoch"])
                return chunk(connection, **arguments)

            monkeypatch.setattr(sql_retention, "prune_rows", interrupted)
            assert await store.prune(before=at(5), keep=frozenset()) == len(OLD) - 1
            assert chunks.count(RunState.SUCCESS) == 3
            assert WANTED in (await store.snapshot({})).runs

    asyncio.run(main())


def test_a_commit_does_not_wait_for_the_whole_of_it(tmp_path):
    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db"), Batch(runs=[*OLD, row("a", 8)])) as store:
            pruning = asyncio.create_task(store.prune(before=at(5), keep=frozenset()))
            committed = 0
            while not pruning.done():
                await store.commit(Batch(runs=[row("b", committed, RunState.RUNNING)]))
                committed += 1
            assert await pruning == len(OLD)
            assert committed >= 3

    asyncio.run(main())
