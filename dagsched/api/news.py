"""Live events for many readers: each commit is read from the store once, and every reader takes it at its own pace."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dagsched.api.client import watch
from dagsched.errors import DagschedError
from dagsched.model import EventRow
from dagsched.stores.contract import Store
from dagsched.views.rows import event_row

log = logging.getLogger("dagsched.api")

KEPT = 5000
PAGE = 500
AGAIN_S = 0.5


@dataclass(frozen=True)
class Told:
    """An event that is put into words once, however many readers it has, and not at all when it has none."""

    row: EventRow

    @cached_property
    def text(self) -> str:
        """The event as compact JSON, which is what a WebSocket sends."""
        return json.dumps(event_row(self.row), separators=(",", ":"))

    @cached_property
    def message(self) -> bytes:
        """The event as a server-sent one."""
        return f"id: {self.row.seq}\nevent: {self.row.type}\ndata: {self.text}\n\n".encode()


class News:
    """The event log of one state as it grows. The newest KEPT rows are at hand, older ones are read again."""

    def __init__(self, home: Path, store: Store) -> None:
        self._home, self._store = home, store
        self._kept: deque[Told] = deque(maxlen=KEPT)
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

    async def follow(self, since: int, job: str | None = None, pause_s: float = 15.0) -> AsyncIterator[Sequence[Told]]:
        """Yield events after number `since` as they come, and nothing (an empty page) after each quiet `pause_s`."""
        await self._start()
        while not self._is_over:
            changed = self._changed
            if since < self._newest:
                page = await self._page(since)
                since = page[-1].row.seq if page else self._newest
                wanted = [told for told in page if job in (None, told.row.job)]
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

    async def _page(self, since: int) -> Sequence[Told]:
        if since < self._from:
            return [Told(row) for row in await self._store.events(since=since, limit=PAGE)]
        found = []
        for told in reversed(self._kept):
            if told.row.seq <= since:
                break
            found.append(told)
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
                    self._from = self._kept[0].row.seq
                self._kept.append(Told(row))
            self._newest = page[-1].seq
            changed, self._changed = self._changed, asyncio.Event()
            changed.set()
