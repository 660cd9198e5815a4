"""kill -9 in the middle of commits: what was acknowledged is there, nothing is there in part."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

from dagsched.stores import SqliteStore
from tests.stores.committer import RUNS_PER_BATCH
from tests.stores.make import daemon, reader

ROOT = Path(__file__).parents[2]


def killed_after(path: Path, acknowledged: int) -> int:
    """Let a process commit, kill it after so many acknowledgements, return the last one it gave."""
    command = [sys.executable, "-m", "tests.stores.committer", str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        lines = [process.stdout.readline() for _ in range(acknowledged)]
        process.kill()
        # It went on until the signal came: the last whole line counts.
        lines += process.stdout
    *_, last = [line for line in lines if line.endswith("\n")]
    return int(last)


async def batches_found(store: SqliteStore) -> Counter[str]:
    """Return per batch how many of its rows, attempts and events are there."""
    found: Counter[str] = Counter()
    for run in await store.rows():
        found[run.reason] += 1
        found.update(attempt.reason for attempt in await store.attempts(*run.key))
    found.update(event.reason for event in await store.events())
    return found


def test_every_acknowledged_batch_survives_kill_9_and_none_is_there_in_part(tmp_path):
    path, rng, acknowledged = tmp_path / "dagsched.db", random.Random(2026), 0

    async def audit() -> None:
        async with reader(SqliteStore(path)) as store:
            before = await batches_found(store)
        async with daemon(SqliteStore(path)) as store:
            assert await batches_found(store) == before
            assert await store.check() == []
        assert set(before.values()) == {3 * RUNS_PER_BATCH}
        assert sorted(map(int, before)) == list(range(1, len(before) + 1))
        assert len(before) >= acknowledged

    for _ in range(4):
        acknowledged = max(acknowledged, killed_after(path, rng.randrange(1, 40)))
        asyncio.run(audit())
    assert acknowledged > 0


def test_a_killed_daemon_no_longer_holds_the_state(tmp_path):
    path = tmp_path / "dagsched.db"
    killed_after(path, 1)
    assert path.with_name("daemon.lock").read_text() == "the test\n"

    async def main() -> None:
        async with daemon(SqliteStore(path)) as store:
            assert await store.rows(limit=1)

    asyncio.run(main())
