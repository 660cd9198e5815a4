"""Durable transitions a second, in group commits of 1, 64 and 1,000, against statements awaited one by one.

A transition is what the daemon writes for it: the run's row and its event. Measured: `SqliteStore.commit` at
`synchronous=FULL`. Yardsticks, in turns on the same disk: the same rows into the same tables through aiosqlite,
with one `await` for each statement and transactions of the same size; and what the disk can do, durable
appends of one page a second (each commit needs at least one).
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta
from pathlib import Path

import aiosqlite
from yard import Report, options, scratch, sync_seconds

from dagsched.model import EventRow, Run, RunState, utc
from dagsched.stores import Batch, SqliteStore, codec
from dagsched.stores.queries import queries

GROUPS = {1: 300, 64: 60, 1000: 8}
SYNCS = 200
GOALS = {64: 5}
DAY = utc(2026, 11, 21)
SQL = queries("sqlite")


def main() -> None:
    args = options(__doc__).parse_args()
    report = Report("store: durable transitions a second")
    with scratch() as folder:
        asyncio.run(measure(report, folder, args.runs))
    report.print(as_json=args.json)


async def measure(report: Report, folder: Path, runs: int) -> None:
    grouped: dict[int, list[float]] = {size: [] for size in GROUPS}
    single: dict[int, list[float]] = {size: [] for size in GROUPS}
    syncs: list[float] = []
    for number in range(runs):
        for size, commits in GROUPS.items():
            grouped[size].append(await through_store(folder / f"grouped-{number}-{size}.db", size, commits))
            single[size].append(await through_aiosqlite(folder / f"single-{number}-{size}.db", size, commits))
        syncs.append(SYNCS / sync_seconds(folder, SYNCS))
    disk = report.add("durable appends of a page", "1/s", syncs)
    for size in GROUPS:
        ours = report.add(f"group commits of {size}", "transitions/s", grouped[size])
        theirs = report.add(f"an await per statement, commits of {size}", "transitions/s", single[size])
        report.ratio(f"groups of {size} / an await per statement", ours, theirs, GOALS.get(size), "at least")
        if size == 1:
            report.ratio("groups of 1 / durable appends", ours, disk)


async def through_store(path: Path, size: int, commits: int) -> float:
    """Return transitions a second through the store's own contract."""
    store = await opened(path)
    try:
        batches = [batch(number * size, size) for number in range(commits)]
        start = time.perf_counter()
        for each in batches:
            await store.commit(each)
        return size * commits / (time.perf_counter() - start)
    finally:
        await store.close()


async def through_aiosqlite(path: Path, size: int, commits: int) -> float:
    """Return transitions a second when each of the store's statements is awaited by itself."""
    await (await opened(path)).close()
    connection = await aiosqlite.connect(path, isolation_level=None)
    try:
        await connection.execute(SQL["sync_every_commit"])
        batches = [batch(number * size, size) for number in range(commits)]
        start = time.perf_counter()
        for each in batches:
            await write_singly(connection, each)
        return size * commits / (time.perf_counter() - start)
    finally:
        await connection.close()


async def write_singly(connection: aiosqlite.Connection, batch: Batch) -> None:
    await connection.execute(SQL["begin_write"])
    for run in batch.runs:
        await connection.execute(SQL["put_run"], codec.run_columns(run))
    for event in batch.events:
        await connection.execute(SQL["new_event"], codec.event_columns(event))
    await connection.execute(SQL["commit"])


async def opened(path: Path) -> SqliteStore:
    """Return a new store with its tables, held by this process."""
    store = SqliteStore(path)
    await store.open(write=True)
    await store.acquire("bench")
    return store


def batch(first: int, size: int) -> Batch:
    numbers = range(first, first + size)
    return Batch(runs=[run_of(number) for number in numbers], events=[event_of(number) for number in numbers])


def run_of(number: int) -> Run:
    tick = tick_of(number)
    return Run(job_of(number), tick, RunState.QUEUED, created=tick)


def event_of(number: int) -> EventRow:
    tick = tick_of(number)
    return EventRow(number + 1, tick, "RunQueued", job_of(number), tick, from_state="waiting", to_state="queued")


def job_of(number: int) -> str:
    return f"load-{number % 1000:05}"


def tick_of(number: int) -> datetime:
    return DAY + timedelta(hours=number // 1000)


if __name__ == "__main__":
    main()
