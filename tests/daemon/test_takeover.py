"""A scheduler that takes over just when the PostgreSQL server goes away: it has waited before, and waits on."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

import pytest

from dagsched.daemon import Daemon
from dagsched.errors import FencedOut, StoreUnavailable
from dagsched.stores import Address
from dagsched.stores import address as addresses
from dagsched.stores.postgres import PostgresStore
from dagsched.stores.postgres_fleet import PostgresFleet
from tests.daemon.served import PATIENCE_S
from tests.postgres import own_server

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "true", overlap: allow}
"""
WAITS = "waits until the state can be read"


class Seen:
    """An observer that can be waited for."""

    def __init__(self):
        self.types = []
        self._came = asyncio.Event()

    def on_config(self, config):
        pass

    def on_events(self, events):
        self.types += [event.type for event in events]
        self._came.set()

    async def until(self, type):
        while type not in self.types:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 4 * PATIENCE_S)


class Said(logging.Handler):
    """What is logged, as something that can be waited for."""

    def __init__(self):
        super().__init__()
        self.words = []
        self._came = asyncio.Event()

    def emit(self, record):
        self.words.append(record.getMessage())
        self._came.set()

    async def until(self, words):
        while not any(words in each for each in self.words):
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 4 * PATIENCE_S)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "jobs.yaml").write_text(FILE)
    return tmp_path


@pytest.fixture
def server():
    found = own_server()
    yield found
    found.stop()


def crash_at(monkeypatch, server, kind, name):
    """Have the server die at the first call of a method of the store after the state was acquired."""
    is_ours, is_over = [], []
    acquire, method = PostgresStore.acquire, getattr(kind, name)

    async def acquired(store, holder):
        epoch = await acquire(store, holder)
        is_ours.append(epoch)
        return epoch

    async def dying(self, *args, **more):
        if is_ours and not is_over:
            is_over.append(True)
            server.crash()
        return await method(self, *args, **more)

    monkeypatch.setattr(PostgresStore, "acquire", acquired)
    monkeypatch.setattr(kind, name, dying)


async def taking_over(folder, server, crash):
    """Begin a scheduler that takes over from another one; return it under way, what it said and what it did."""
    there = Address(server.url)
    other = PostgresStore(there, None)
    await other.open(write=True)
    await other.acquire("process 1 on elsewhere")
    home = folder / "state"
    home.mkdir()
    addresses.note(home, there)
    said, seen = Said(), Seen()
    logging.getLogger("dagsched.daemon").addHandler(said)
    running = asyncio.ensure_future(served(Daemon([folder / "jobs.yaml"], home, observer=seen)))
    await said.until("standing by: process 1 on elsewhere is active")
    crash()
    await other.close()
    return running, said, seen


async def served(daemon):
    try:
        return await daemon.run()
    finally:
        # In a process of its own the connection to the spawner would end with that.
        await daemon.executor.close(handover=True)


POINTS = [
    pytest.param(PostgresStore, "configs", id="at the configuration"),
    pytest.param(PostgresStore, "snapshot", id="at the runs"),
    pytest.param(PostgresFleet, "left", id="at what others have"),
]


@pytest.mark.parametrize(("kind", "name"), POINTS)
def test_one_that_takes_over_waits_for_a_server_that_dies_meanwhile(folder, server, monkeypatch, kind, name):
    async def play():
        running, said, seen = await taking_over(folder, server, lambda: crash_at(monkeypatch, server, kind, name))
        waits = asyncio.ensure_future(said.until(WAITS))
        await asyncio.wait([waits, running], return_when=asyncio.FIRST_COMPLETED)
        assert not running.done(), running.exception()
        await asyncio.to_thread(server.start)
        await seen.until("run.succeeded")
        assert "the state can be read again" in said.words
        assert seen.types.count("daemon.started") == seen.types.count("config.applied") == 1
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(running, 4 * PATIENCE_S) == 0

    asyncio.run(play())


def test_one_that_waits_for_the_server_after_its_takeover_ends_at_the_first_signal(folder, server, monkeypatch):
    async def play():
        dies = lambda: crash_at(monkeypatch, server, PostgresStore, "snapshot")  # noqa: E731
        running, said, _ = await taking_over(folder, server, dies)
        await said.until(WAITS)
        os.kill(os.getpid(), signal.SIGTERM)
        assert await asyncio.wait_for(running, 4 * PATIENCE_S) == 0

    asyncio.run(play())


def test_one_that_was_cut_off_for_so_long_that_another_one_leads_ends(folder, server, monkeypatch):
    import psycopg

    is_back, read = asyncio.Event(), PostgresStore.configs

    async def cut_off(store, **asked):
        if not is_back.is_set():
            raise StoreUnavailable("cut off")
        return await read(store, **asked)

    async def play():
        cut = lambda: monkeypatch.setattr(PostgresStore, "configs", cut_off)  # noqa: E731
        running, said, seen = await taking_over(folder, server, cut)
        await said.until(f"{WAITS}: cut off")
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute(f"UPDATE {Address(server.url).schema}.ledger SET epoch = epoch + 1")
        is_back.set()
        with pytest.raises(FencedOut):
            await asyncio.wait_for(running, 4 * PATIENCE_S)
        assert seen.types == []

    asyncio.run(play())
