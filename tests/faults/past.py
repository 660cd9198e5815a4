"""A state in which much has happened already."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from dagsched.model import Attempt, EventRow, Outcome, Run, RunState, utc
from dagsched.stores import Address, Batch, open_store, shared_store

JOB = "past"
FIRST = utc(2025, 1, 1)
MINUTE = timedelta(minutes=1)


def lay_down(state_dir: Path, rows: int, address: Address | None = None) -> None:
    """Make a state of that many finished runs of the job `past`, each with one attempt and two events.

    `address`: where on a server, None for the file in the state directory.
    """
    state_dir.mkdir(mode=0o700, exist_ok=True)
    asyncio.run(_lay_down(state_dir, rows, address))


async def _lay_down(state_dir: Path, rows: int, address: Address | None) -> None:
    store = open_store(state_dir) if address is None else shared_store(address, state_dir)
    await store.open(write=True)
    try:
        await store.acquire("the past")
        await store.commit(_finished(rows))
    finally:
        await store.close()


def _finished(rows: int) -> Batch:
    batch = Batch()
    for number in range(rows):
        tick = FIRST + number * MINUTE
        ended = tick + MINUTE / 2
        batch.runs.append(Run(JOB, tick, RunState.SUCCESS, created=tick, started=tick, ended=ended, attempts=1))
        batch.new_attempts.append(Attempt(JOB, tick, 1, tick, ended, Outcome.SUCCESS, 0))
        batch.events.append(EventRow(2 * number + 1, tick, "run.started", JOB, tick, 1, "", "running"))
        batch.events.append(EventRow(2 * number + 2, ended, "run.succeeded", JOB, tick, 1, "running", "success"))
    return batch
