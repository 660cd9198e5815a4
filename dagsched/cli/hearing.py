"""Followers that wait to be told: `events -f` and `logs -f` look again when a daemon says that something happened.

Nothing is taken from what is told but that there is news: the follower reads on from where it is, so a stream that
breaks off, or that the daemon has no place for, costs time and never an event.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager, suppress

from dagsched.errors import DagschedError

AGAIN_S = 1.0

Wait = Callable[[float], Awaitable[object]]
Listen = Callable[[], AsyncGenerator[object]]


@asynccontextmanager
async def hearing(listen: Listen, longest_s: float | None = None) -> AsyncIterator[Wait]:
    """Give a wait that ends early when there is news; `listen` begins a stream whose first word is that it stands.

    `longest_s`: how long it waits, whatever it is asked for, while the stream stands; without one, as long as it is
    asked for.
    """
    news, stands = asyncio.Event(), asyncio.Event()
    task = asyncio.ensure_future(_hear(listen, news, stands))

    async def wait(pause_s: float) -> None:
        longest = longest_s if longest_s is not None and stands.is_set() else pause_s
        with suppress(TimeoutError):
            await asyncio.wait_for(news.wait(), longest)
        news.clear()

    try:
        yield wait
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _hear(listen: Listen, news: asyncio.Event, stands: asyncio.Event) -> None:
    while True:
        with suppress(DagschedError, OSError):
            async with aclosing(listen()) as words:
                async for _ in words:
                    stands.set()
                    news.set()
        stands.clear()
        # Whoever waits for a stream that has ended looks by itself.
        news.set()
        await asyncio.sleep(AGAIN_S)
