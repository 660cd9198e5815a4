"""Commands that were left in a shared store, for the scheduler that is active.

Who gives a command on a machine whose own scheduler stands by, or is dead, can reach nobody and leaves it in the
store. There it must not wait for the next start, which may be weeks away.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from dagsched.errors import DagschedError
from dagsched.stores.contract import Store

log = logging.getLogger("dagsched.api")

LOOK_S = 1.0


class Inbox:
    """Has `take` carry out what lies there: all of it at the start, and what comes later from other machines."""

    def __init__(self, store: Store, take: Callable[[], Awaitable[None]]) -> None:
        self._store, self._take = store, take
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._take()
        if self._store.fleet is not None:
            self._task = asyncio.ensure_future(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if await self._store.inbox():
                    await self._take()
            except DagschedError as error:
                # The server is away, or the lease is: the loop says so, and what lies there stays.
                log.debug("what others left cannot be looked at: %s", error)
