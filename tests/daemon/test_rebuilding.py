"""A daemon that makes its plan anew while the state cannot be read."""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta

import pytest

from dagsched.daemon import Daemon
from dagsched.errors import StoreUnavailable
from dagsched.stores import SqliteStore
from tests.daemon.heard import Seen, heard, served
from tests.daemon.served import PATIENCE_S

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "true", overlap: allow}
"""


def unreadable(monkeypatch):
    """Let no state be read from here on until what is returned is set."""
    is_back, read = asyncio.Event(), SqliteStore.snapshot

    async def snapshot(store, horizons):
        if not is_back.is_set():
            raise StoreUnavailable("the disk is away")
        return await read(store, horizons)

    monkeypatch.setattr(SqliteStore, "snapshot", snapshot)
    return is_back


async def broken(folder, monkeypatch):
    """Begin a daemon, and break its plan where nothing can be read; return it and what it says and does."""
    (folder / "jobs.yaml").write_text(FILE)
    said, seen = heard(), Seen()
    daemon = Daemon([folder / "jobs.yaml"], folder / "state", observer=seen, grace=timedelta(0))
    running = asyncio.ensure_future(served(daemon))
    await seen.until("run.succeeded")
    is_back = unreadable(monkeypatch)
    monkeypatch.setattr(daemon.loop.plan, "apply", lambda event: {}["a defect"])
    await said.until("waits until the state can be read: the disk is away")
    return daemon, running, seen, is_back


def test_it_waits_until_the_state_can_be_read_and_goes_on(tmp_path, monkeypatch):
    async def play():
        daemon, running, seen, is_back = await broken(tmp_path, monkeypatch)
        assert daemon.health == "the state cannot be read"
        is_back.set()
        seen.types.clear()
        await seen.until("run.succeeded")
        assert daemon.health == "ok"
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(running, 4 * PATIENCE_S) == 0

    asyncio.run(play())


def test_it_waits_no_longer_than_the_grace_once_it_is_told_to_stop(tmp_path, monkeypatch):
    async def play():
        _, running, _, _ = await broken(tmp_path, monkeypatch)
        os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(running, 4 * PATIENCE_S)

    asyncio.run(play())
