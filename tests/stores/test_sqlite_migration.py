"""A state of an earlier layout is brought up to date with all that is in it."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from dagsched.model import RunState
from dagsched.stores import SqliteStore, codec
from dagsched.stores.queries import migrations
from tests.stores.make import FULL_RUN, at, attempt, daemon, event, left_out, row

RUNS = [
    row("a", 1, RunState.FAILED, attempts=2),
    row("a", 2),
    left_out("a", 3, 5),
    row("a", 6, RunState.WAITING),
    FULL_RUN,
]
ATTEMPTS = [attempt("a", 1, 1, ended=at(2)), attempt("a", 1, 2)]


def test_the_first_layout_keeps_every_row_and_gains_totals(tmp_path):
    path = tmp_path / "dagsched.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(migrations("sqlite")[0])
        insert(connection, "runs", [in_first_layout(run) for run in RUNS])
        insert(connection, "attempts", [codec.attempt_columns(each) for each in ATTEMPTS])
        insert(connection, "events", [codec.event_columns(event(1, job="a"))])
        connection.execute("UPDATE ledger SET last_event = 1")

    async def main():
        async with daemon(SqliteStore(path)) as store:
            assert sorted(await store.rows(), key=key) == sorted((run._replace(late=False) for run in RUNS), key=key)
            assert await store.attempts("a", at(1)) == ATTEMPTS
            assert await store.events() == [event(1, job="a")]
            assert await store.counts() == {
                "a": {"failed": 1, "success": 1, "skipped": 1, "waiting": 1},
                "load": {"failed": 1},
            }
            assert await store.check() == [f"attempt 2 of a at {codec.ms_of(at(1))} is open, its run is failed"]
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM runs_readable").fetchone() == (len(RUNS),)

    asyncio.run(main())


def in_first_layout(run):
    """Return the columns as they were: `last` after `until`, nothing behind `acked`."""
    *columns, _late, last, _live = codec.run_columns(run)
    return [*columns[:3], last, *columns[3:]]


def insert(connection, table, rows):
    info = connection.execute(f"PRAGMA table_info({table})").fetchall()
    places = ["?" if is_never_null or key else "nullif(?, '')" for *_, is_never_null, _, key in info]
    connection.executemany(f"INSERT INTO {table} VALUES ({', '.join(places)})", rows)


def key(run):
    return run.job, run.tick
