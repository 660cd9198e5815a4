"""Texts of configurations are kept once, and those of the first layout can still be read."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

from dagsched.model import ConfigVersion
from dagsched.stores import codec
from dagsched.stores.contract import Batch
from dagsched.stores.sqlite import SqliteStore
from tests.stores.make import at, daemon

LONG = "# a comment\n" * 1000
FILES = [{"/a.yaml": LONG, "/b.yaml": f"jobs: {{}} # {number}"} for number in range(20)]


def test_a_text_that_did_not_change_is_stored_once(tmp_path):
    path = tmp_path / "state.db"

    async def main():
        async with daemon(SqliteStore(path)) as store:
            for number, files in enumerate(FILES, 1):
                await store.commit(Batch(config=ConfigVersion(number, at(number), f"d{number}", files)))
            assert [version.files for version in await store.configs()] == FILES[::-1]

    asyncio.run(main())
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM texts").fetchone() == (1 + len(FILES),)
        assert connection.execute("SELECT sum(length(files)) FROM configs").fetchone()[0] < len(LONG)


def test_a_configuration_stored_by_the_first_layout_is_read(tmp_path):
    path = tmp_path / "state.db"

    async def main():
        async with daemon(SqliteStore(path)):
            pass
        with closing(sqlite3.connect(path)) as connection, connection:
            row = (1, codec.ms_of(at()), "d1", json.dumps(FILES[0]), "1 added")
            connection.execute("INSERT INTO configs VALUES (?, ?, ?, ?, ?)", row)
        async with daemon(SqliteStore(path)) as store:
            assert await store.configs() == [ConfigVersion(1, at(), "d1", FILES[0], "1 added")]
            assert (await store.snapshot({})).config == ConfigVersion(1, at(), "d1", FILES[0], "1 added")

    asyncio.run(main())
