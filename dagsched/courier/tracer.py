"""Sends traces of the runs that have ended, as far behind as the collector makes it; tells nobody else to wait."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dagsched.model import EventRow
from dagsched.stores.contract import Store
from dagsched.stores.notices import Notices
from dagsched.tracing import Span, spans_of

log = logging.getLogger("dagsched.courier")

READER = "traces"
PAGE = 200
PAUSE = timedelta(seconds=2)
PAUSE_AFTER_FAILURE = timedelta(seconds=30)
_ENDS = frozenset({"run.succeeded", "run.failed", "run.cancelled"})


class Sends(Protocol):
    """What takes spans: whether it has them."""

    def send(self, spans: Sequence[Span]) -> bool: ...


class Tracer:
    """Reads the event log by its own cursor. `after`: the event it begins behind if it has never read any."""

    def __init__(self, store: Store, notices: Notices, sender: Sends, now: Callable[[], datetime], after: int) -> None:
        self._store, self._notices, self._sender, self._now = store, notices, sender, now
        known = notices.cursor(READER)
        self.cursor = after if known is None else known
        self.next_try = datetime.min.replace(tzinfo=UTC)
        self._is_ailing = False

    async def work(self) -> None:
        """Send all that has ended until now, or as much as the collector takes."""
        while rows := await self._store.events(since=self.cursor, limit=PAGE):
            spans = await self._spans(rows)
            # The library waits and tries again by itself for a while; that is no time for the loop.
            if spans and not await asyncio.to_thread(self._sender.send, spans):
                self._ail()
                self.next_try = self._now() + PAUSE_AFTER_FAILURE
                return
            self._is_ailing = False
            self.cursor = rows[-1].seq
            with self._notices.transaction():
                self._notices.move(READER, self.cursor)
        self.next_try = self._now() + PAUSE

    async def _spans(self, rows: Sequence[EventRow]) -> list[Span]:
        found: list[Span] = []
        for row in rows:
            if row.type in _ENDS and row.tick is not None:
                run = await self._store.run(row.job, row.tick)
                if run is not None and run.tick == row.tick:
                    found += spans_of(run, await self._store.attempts(row.job, row.tick))
        return found

    def _ail(self) -> None:
        if not self._is_ailing:
            log.warning("the collector takes no traces at present; they are sent later")
        self._is_ailing = True
