"""Hands a plan what it needs of history for its backfills, ahead of its asking for it.

The plan says after each turn which backfill soon has nothing left to make; what its next ticks need is read beside the
loop, on the store's other connection, and given to it as one event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from dagsched.backfill import rows_for_want
from dagsched.daemon.loop import Loop, PlanBroken
from dagsched.engine import events
from dagsched.errors import StoreError
from dagsched.stores.contract import Store

log = logging.getLogger("dagsched.daemon")

RETRY_S = 1.0


class Feeder:
    """Reads for the backfills of one daemon; `soon` has a coroutine done beside the loop."""

    def __init__(self, store: Store, soon: Callable[[Coroutine[Any, Any, None]], object]) -> None:
        self._store, self._soon = store, soon
        self._under_way: set[int] = set()

    def look(self, loop: Loop) -> None:
        """Begin to read what is wanted and not being read yet."""
        for id in loop.plan.filling.hungry():
            if id not in self._under_way:
                self._under_way.add(id)
                self._soon(self._feed(loop, id))

    async def _feed(self, loop: Loop, id: int) -> None:
        try:
            await feed(loop, self._store, id)
        except (StoreError, PlanBroken) as error:
            log.warning("backfill %d goes on in a moment: %s", id, error)
            await asyncio.sleep(RETRY_S)
        finally:
            self._under_way.discard(id)
            loop.wake()


async def feed(loop: Loop, store: Store, id: int) -> None:
    """Read the next slice of a backfill and give it to the loop; raises StoreError."""
    filling = loop.plan.filling
    want = filling.want(id)
    if want is not None:
        with loop.plan.keeping_rows():
            rows = await rows_for_want(store, loop.plan.book.jobs, want, filling.again_of(id))
            await loop.ask(lambda now: events.BackfillFed(now, want, rows))
