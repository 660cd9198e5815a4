"""`events -f` beside a daemon hears of news at once, however long it would wait otherwise."""

from __future__ import annotations

import argparse
import asyncio
import time
from pathlib import Path

from dagsched.api.socket import ControlServer
from dagsched.cli.events import _waiting
from dagsched.daemon.audience import Audience
from dagsched.model import EventRow, utc


def test_a_wait_ends_with_the_next_event(tmp_path: Path) -> None:
    audience = Audience()

    async def nothing(*_: object) -> dict[str, object]:
        return {}

    async def play() -> None:
        server = ControlServer(tmp_path, nothing, nothing, watch=audience.watch)  # type: ignore[arg-type]
        await server.start()
        args = argparse.Namespace(follow=True, state_dir=tmp_path, paths=[], url=None, token=None)
        async with _waiting(args) as wait:
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
        async with _waiting(args) as wait:
            await wait(0.01)

    asyncio.run(play())
