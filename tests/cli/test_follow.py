"""`events -f` beside a daemon hears of news at once, however long it would wait otherwise."""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import AsyncGenerator
from pathlib import Path

from dagsched.api.socket import ControlServer
from dagsched.cli.events import _waiting
from dagsched.cli.hearing import hearing
from dagsched.daemon.audience import Audience
from dagsched.errors import NoDaemon
from dagsched.model import EventRow, utc
from dagsched.stores import MemoryStore


def test_a_wait_ends_with_the_next_event(tmp_path: Path) -> None:
    audience = Audience()

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    async def play() -> None:
        server = ControlServer(tmp_path, nothing, nothing, watch=audience.watch)  # type: ignore[arg-type]
        await server.start()
        args = argparse.Namespace(follow=True, state_dir=tmp_path, paths=[], url=None, token=None)
        async with _waiting(args, MemoryStore()) as wait:
            await wait(20)  # told at once how far the log has come
            waiting = asyncio.ensure_future(wait(20))
            await asyncio.sleep(0)
            audience.on_events([EventRow(1, utc(2026, 11, 26), "daemon.started")])
            began = time.monotonic()
            await waiting
            assert time.monotonic() - began < 10
        await server.close()

    asyncio.run(play())


def test_without_a_daemon_a_wait_is_a_pause(tmp_path: Path) -> None:
    async def play() -> None:
        args = argparse.Namespace(follow=True, state_dir=tmp_path, paths=[], url=None, token=None)
        async with _waiting(args, MemoryStore()) as wait:
            await wait(0.01)

    asyncio.run(play())


def test_while_the_stream_of_a_daemon_elsewhere_stands_a_wait_lasts_until_there_is_news() -> None:
    async def play() -> None:
        told: asyncio.Queue[int] = asyncio.Queue()

        async def listen() -> AsyncGenerator[int]:
            yield 0
            while True:
                yield await told.get()

        async with hearing(listen, longest_s=60) as wait:
            await wait(60)  # told at once that it stands
            waiting = asyncio.ensure_future(wait(0.001))
            done, _ = await asyncio.wait([waiting], timeout=0.2)
            assert not done, "nothing is asked for while nothing happens"
            told.put_nowait(7)
            await asyncio.wait_for(waiting, 10)

    asyncio.run(play())


def test_a_stream_that_breaks_off_or_has_no_place_leaves_a_wait_a_pause() -> None:
    async def play() -> None:
        begun = 0

        async def listen() -> AsyncGenerator[int]:
            nonlocal begun
            begun += 1
            if begun > 1:
                raise NoDaemon("no place")
            yield 0

        async with hearing(listen, longest_s=60) as wait:
            for _ in range(4):
                await asyncio.wait_for(wait(0.01), 10)

    asyncio.run(play())
