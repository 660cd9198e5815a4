"""What several events want together becomes one batch that the store takes."""

from __future__ import annotations

import asyncio

from dagsched.daemon.outbox import Outbox
from dagsched.engine import events
from dagsched.model import Catchup
from dagsched.stores import Batch, MemoryStore
from tests.engine.bench_of_one import job, plan_of


def test_a_range_row_that_one_commit_splits_twice_is_split_once_in_the_store() -> None:
    bench = plan_of(job("a at 0 * * * *", catchup=Catchup.NONE))
    bench.sleep_to("09:30")
    stored, outbox = list(bench.kept.values()), Outbox()
    for hour in ("04", "01", "08"):
        outbox.take(bench.plan.apply(events.RerunRequested(bench.now, f"job:a:2026-03-02T{hour}:00:00Z")))
    batch = outbox.sealed()
    assert batch.split == [stored[0].key]
    batch.events = []

    async def rows() -> list[tuple[int, int, str]]:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("a test")
        await store.commit(Batch(runs=stored))
        await store.commit(batch)
        found = await store.rows("a", newest_first=False)
        return [(row.tick.hour, (row.until or row.tick).hour, str(row.state)) for row in found]

    assert asyncio.run(rows()) == [
        (1, 1, "queued"), (2, 3, "missed"), (4, 4, "running"), (5, 7, "missed"), (8, 8, "queued"), (9, 9, "missed"),
    ]  # fmt: skip
