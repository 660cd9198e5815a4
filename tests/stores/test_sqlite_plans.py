"""Every query finds its rows through an index: a long history must not slow the present."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from importlib import resources
from pathlib import Path

import pytest

from dagsched import stores
from dagsched.stores.queries import migrations, queries

SQL = queries("sqlite")
# These are meant to see everything: figures, health, and a move of the whole state.
WHOLE = re.compile(r"check_|integrity$|weeks_needed$")
# What is not over, range rows and open attempts have small indexes of their own, read from end to end.
SMALL = re.compile(r"USING INDEX (runs_live|attempts_open)\b")
IN_ORDER = re.compile(r"rows_|events$|live_runs|range_over|prunable|newest_of_jobs")
PLANNED = sorted(name for name in SQL if re.match("SELECT|WITH|DELETE|UPDATE|INSERT", SQL[name]))


@pytest.fixture(scope="module")
def database():
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        for script in migrations("sqlite"):
            connection.executescript(script)
        yield connection


def plan_of(database, name: str) -> list[str]:
    named = dict.fromkeys(re.findall(r":(\w+)", SQL[name]), 1)
    parameters = named or (1,) * SQL[name].count("?")
    return [line for *_, line in database.execute(f"EXPLAIN QUERY PLAN {SQL[name]}", parameters)]


@pytest.mark.parametrize("name", [name for name in PLANNED if not WHOLE.match(name)])
def test_a_query_does_not_scan_the_ledger_or_the_log(database, name):
    scans = [line for line in plan_of(database, name) if re.match(r"SCAN (runs|attempts|events)\b", line)]
    assert [line for line in scans if not SMALL.search(line)] == []


@pytest.mark.parametrize("name", [name for name in PLANNED if IN_ORDER.search(name)])
def test_an_ordered_query_is_read_in_order_and_never_sorted(database, name):
    assert [line for line in plan_of(database, name) if "TEMP B-TREE" in line] == []


def test_the_newest_rows_are_found_by_job_and_tick(database):
    assert "SEARCH runs USING INDEX sqlite_autoindex_runs_1 (job=? AND tick=?)" in plan_of(database, "newest_runs")


def test_a_scan_would_be_noticed(database):
    plan = database.execute("EXPLAIN QUERY PLAN SELECT * FROM runs WHERE reason = 'x'").fetchall()
    assert re.match(r"SCAN runs\b", plan[0][-1])


def test_each_statement_has_a_name_of_its_own_and_every_fragment_is_filled_in():
    assert all("{" not in sql for sql in SQL.values())
    assert len(SQL) == (resources.files("dagsched.stores") / "sql/sqlite/queries.sql").read_text().count("-- name: ")


def test_each_statement_is_used():
    sources = "".join(path.read_text() for path in Path(stores.__file__).parent.glob("*.py"))
    parts = ("rows_",)
    unused = [name for name in SQL if f'"{name}"' not in sources and not any(part in name for part in parts)]
    assert unused == []
