"""A database gets shorter again, a few pages at a time."""

from __future__ import annotations

import asyncio

from dagsched.stores import Batch, SqliteStore
from tests.stores.make import at, daemon, row


def test_the_space_of_deleted_runs_goes_back_to_the_disk(tmp_path):
    runs = [row("a", hour, reason="x" * 500) for hour in range(3000)]

    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db"), Batch(runs=runs)) as store:
            await store.prune(before=at(2990), keep=frozenset())
            before, after = await store.compact()
            assert before - after > 1_000_000
            assert await store.check() == []
            assert len(await store.rows()) < 20

    asyncio.run(main())
