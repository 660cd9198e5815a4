"""The cgroup around the spawner, where one may be made, is gone with it, whoever waits for its end."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dagsched.spawner import cgroups
from tests.executor.harness import Hand, dies, order


@pytest.fixture(autouse=True)
def may_make_one() -> None:
    folder = cgroups.own_cgroup()
    if not folder or not os.access(f"{folder}/cgroup.procs", os.W_OK):
        pytest.skip("this needs a cgroup (v2) in which one may be made")


def group_of(state_dir: Path) -> Path:
    found = os.stat(state_dir)
    return Path(cgroups.own_cgroup()) / f"dagsched-{found.st_dev:x}-{found.st_ino:x}-1"


def test_the_daemon_that_waits_for_its_end_removes_it(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            await hand.run(order("j", "true"))
            assert group_of(tmp_path).is_dir()

    asyncio.run(main())
    assert not group_of(tmp_path).exists()


def test_a_spawner_that_nobody_waits_for_leaves_it_and_removes_it_itself(tmp_path):
    async def main():
        hand = Hand(tmp_path)
        await hand.executor.connect()
        spawner = hand.executor.spawner_pid
        assert group_of(tmp_path).is_dir()
        # Handed over to nobody: with nothing to do it ends by itself.
        await hand.hand_over()
        await dies(spawner)

    asyncio.run(main())
    assert not group_of(tmp_path).exists()
