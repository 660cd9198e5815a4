"""A state of an earlier layout is brought up to date with all that is in it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing

import pytest

from dagsched.model import ConfigVersion, JobMark, RunState
from dagsched.stores import Batch, SqliteStore, codec
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


@pytest.mark.parametrize("layout", range(1, len(migrations("sqlite"))))
def test_every_earlier_layout_opens_with_all_it_can_hold(tmp_path, layout):
    now, then = tmp_path / "now.db", tmp_path / "then.db"
    batch = Batch(
        runs=RUNS,
        new_attempts=ATTEMPTS,
        marks=[JobMark("load", at(3), paused=at(2), started_runs=4, schedule_since=at(1))],
        events=[event(1, job="a"), event(2, hour=1, job="load")],
        definitions={"ab" * 32: {"run": "x"}},
        config=ConfigVersion(1, at(), "d1", {"/etc/jobs.yaml": "jobs: {}\n"}, "1 job added"),
    )
    wanted = asyncio.run(told_by(now, batch))
    with closing(sqlite3.connect(then, isolation_level=None)) as connection:
        for script in migrations("sqlite")[:layout]:
            connection.executescript(script)
        copy_what_fits(now, connection)
    got = asyncio.run(told_by(then))
    if layout < 4:  # the first to mark what was late
        wanted["rows"] = [run._replace(late=False) for run in wanted["rows"]]
    assert got == wanted
    with closing(sqlite3.connect(then)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(migrations("sqlite")),)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)


async def told_by(path, *batches):
    """Return all that a store tells of its rows, after `batches`."""
    async with daemon(SqliteStore(path), *batches) as store:
        return {
            "rows": sorted(await store.rows(), key=key),
            "attempts": [await store.attempts(run.job, run.tick) for run in RUNS],
            "events": await store.events(),
            "counts": await store.counts(),
            "marks": await store.marks(),
            "configs": await store.configs(),
        }


def copy_what_fits(source, connection):
    """Fill the tables of an earlier layout from a present one, as far as they and their columns were there."""
    connection.execute("ATTACH ? AS now", (str(source),))
    tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name <> 'totals'"
    for (table,) in connection.execute(tables).fetchall():
        columns = [row[1] for row in connection.execute(f"PRAGMA main.table_info({table})")]
        there = {row[1] for row in connection.execute(f"PRAGMA now.table_info({table})")}
        # `last` was always there, so what is missing now was renamed: say so rather than lose it.
        assert set(columns) <= there, (table, columns)
        names = ", ".join(columns)
        connection.execute(f"INSERT OR REPLACE INTO {table} ({names}) SELECT {names} FROM now.{table}")
    if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'texts'").fetchone()[0]:
        connection.execute("UPDATE configs SET files = ?", (json.dumps({"/etc/jobs.yaml": "jobs: {}\n"}),))
    connection.execute("DETACH now")


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
