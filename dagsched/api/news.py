"""Live events for many readers: each commit is read from the store once, and every reader takes it at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from dagsched.api.client import watch
from dagsched.errors import DagschedError
from dagsched.model import EventRow
from dagsched.stores.contract import Store

log = logging.getLogger("dagsched.api")

KEPT = 5000
PAGE = 500
AGAIN_S = 0.5


class News:
    """The event log of one state as it grows. The newest KEPT rows are at hand, older ones are read again."""

    def __init__(self, home: Path, store: Store) -> None:
        self._home, self._store = home, store
        self._kept: deque[EventRow] = deque(maxlen=KEPT)
        self._from = 0  # every event with a greater number is kept
        self._newest = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._started: asyncio.Lock = asyncio.Lock()
        self._is_over = False

    async def newest(self) -> int:
        """Return the number of the newest event."""
        await self._start()
        return self._newest

    async def follow(
        self, since: int, job: str | None = None, pause_s: float = 15.0
    ) -> AsyncIterator[Sequence[EventRow]]:
        """Yield events after number `since` as they come, and nothing (an empty page) after each quiet `pause_s`."""
        await self._start()
        while not self._is_over:
            changed = self._changed
            if since < self._newest:
                page = await self._page(since)
                since = page[-1].seq if page else self._newest
                wanted = [row for row in page if job in (None, row.job)]
                if wanted:
                    yield wanted
                continue
            try:
                await asyncio.wait_for(changed.wait(), pause_s)
            except TimeoutError:
                yield ()

    def end(self) -> None:
        """End every reading."""
        self._is_over = True
        self._changed.set()

    async def close(self) -> None:
        """Stop watching the daemon."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _page(self, since: int) -> Sequence[EventRow]:
        if since < self._from:
            return await self._store.events(since=since, limit=PAGE)
        found = []
        for row in reversed(self._kept):
            if row.seq <= since:
                break
            found.append(row)
        return found[::-1][:PAGE]

    async def _start(self) -> None:
        async with self._started:
            if self._task is None:
                self._newest = self._from = (await self._store.snapshot({})).last_event
                self._task = asyncio.ensure_future(self._watch())

    async def _watch(self) -> None:
        while not self._is_over:
            try:
                async with contextlib.aclosing(watch(self._home)) as numbers:
                    async for _ in numbers:
                        await self._read()
            except (DagschedError, OSError) as error:
                log.warning("live events stop for a moment: %s", error)
            await asyncio.sleep(AGAIN_S)
            await self._read()

    async def _read(self) -> None:
        while page := await self._store.events(since=self._newest, limit=PAGE):
            for row in page:
                if len(self._kept) == KEPT:
                    self._from = self._kept[0].seq
                self._kept.append(row)
            self._newest = page[-1].seq
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
