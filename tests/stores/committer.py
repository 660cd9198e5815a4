"""Commit batches for ever and say on stdout which are durable; the crash test kills it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from dagsched.model import RunState
from dagsched.stores import Batch, SqliteStore
from tests.stores.make import attempt, daemon, event, row

RUNS_PER_BATCH = 20


def batch(number: int) -> Batch:
    """Return batch `number` (from 1): its runs, attempts and events all say which it is."""
    hours = [number * RUNS_PER_BATCH + index for index in range(RUNS_PER_BATCH)]
    return Batch(
        runs=[row("a", hour, RunState.RUNNING, reason=str(number), attempts=1) for hour in hours],
        new_attempts=[attempt("a", hour, reason=str(number)) for hour in hours],
        events=[event(hour - RUNS_PER_BATCH + 1, job="a", reason=str(number)) for hour in hours],
    )


async def main(path: Path) -> None:
    async with daemon(SqliteStore(path)) as store:
        number = (await store.snapshot({})).last_event // RUNS_PER_BATCH
        while True:
            number += 1
            await store.commit(batch(number))
            print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
