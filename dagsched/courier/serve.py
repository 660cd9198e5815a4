"""The courier's loop: read the event log, gather, make messages, deliver them, and end when idle."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from dagsched.clock import Clock
from dagsched.config import load_texts
from dagsched.config.lengths import parse_length
from dagsched.courier.compose import ENDS, Composer
from dagsched.courier.deliver import deliver
from dagsched.courier.rules import mending, wanted
from dagsched.courier.tracer import Tracer
from dagsched.model import Config, EventRow
from dagsched.stores.contract import Store
from dagsched.stores.notices import Notices

log = logging.getLogger("dagsched.courier")

READER = "notices"
TRACES = "\0traces"  # no notifier has this name
PAGE = 500
GROUP = "10s"
IDLE_S = 5.0
LINGER = timedelta(seconds=60)
"""What comes due within this time is waited for; the daemon starts the courier again for what comes later."""


class Ended(NamedTuple):
    """How far the event log was read, and in how many seconds the next courier is to start (None: not by time)."""

    cursor: int
    wake_s: float | None


class Courier:
    """One courier over one state. `after`: the event it begins behind if it has never read any.

    `look`: set by whoever knows of news. `is_last`: whether nobody will say so any more.
    """

    def __init__(
        self,
        store: Store,
        notices: Notices,
        source: str,
        clock: Clock,
        environ: Mapping[str, str],
        after: int = 0,
        tracer: Tracer | None = None,
    ) -> None:
        self.look = asyncio.Event()
        self.is_last = False
        self._store, self._notices, self._source = store, notices, source
        self._clock, self._environ = clock, environ
        self._config: Config | None = None
        self._sent_last = False
        self._tracer = tracer
        self._tasks: dict[str, asyncio.Task[None]] = {}
        known = notices.cursor(READER)
        self._cursor = after if known is None else known

    async def run(self, idle_s: float = IDLE_S, linger: timedelta = LINGER) -> Ended:
        """Serve until nothing was to do for `idle_s` and nothing comes due within `linger`, or for the last time."""
        while True:
            await self._read()
            await self._compose()
            await self._deliver()
            self._trace()
            if self.is_last and not self._tasks:
                return Ended(self._cursor, None)
            has_news = await self._pause(idle_s)
            if not has_news and not self._tasks and not self._comes_within(linger):
                return Ended(self._cursor, self._wake_s())

    # ------------------------------------------------------------ reading

    async def _read(self) -> None:
        while rows := await self._store.events(since=self._cursor, limit=PAGE):
            with self._notices.transaction():
                for row in rows:
                    if row.type == "config.applied":
                        self._config = None
                    await self._gather(await self._config_in_force(), row)
                self._notices.move(READER, rows[-1].seq)
            self._cursor = rows[-1].seq

    async def _config_in_force(self) -> Config:
        if self._config is None:
            newest = await self._store.configs(limit=1)
            found = load_texts(newest[0].files, newest[0].applied).config if newest else None
            self._config = found or Config({})
        return self._config

    async def _gather(self, config: Config, row: EventRow) -> None:
        asked = wanted(config, row)
        for kind, notifier in dict.fromkeys([*asked, *mending(config, row)]):
            if kind in ENDS and not self._may_end(notifier, ENDS[kind], row.job):
                continue
            if kind == "in_time" and await self._was_late(row):
                continue
            if kind == "success" and ("recovered", notifier) in asked and self._may_end(notifier, "failure", row.job):
                continue  # told as what it is
            due = self._clock.now() + parse_length(config.notifiers[notifier].get("group", GROUP))
            self._notices.gather(notifier, kind, row, due)

    def _may_end(self, notifier: str, trouble: str, job: str) -> bool:
        """Whether the notifier knows of the job's trouble, or will when what is being gathered is told."""
        return self._notices.is_troubled(notifier, trouble, job) or self._notices.is_gathered(notifier, trouble, job)

    async def _was_late(self, row: EventRow) -> bool:
        run = None if row.tick is None else await self._store.run(row.job, row.tick)
        return run is not None and run.late

    # ------------------------------------------------------------ messages

    async def _compose(self) -> None:
        """Make messages of the groups that are complete; of all of them when nobody is there later to do it."""
        now = self._clock.now()
        groups = [group for group in self._notices.groups() if group.due <= now or self.is_last]
        config = await self._config_in_force()
        # What ends was told as trouble first, and is known as such then.
        for group in sorted(groups, key=lambda each: (each.kind in ENDS, each.due)):
            news = self._notices.news(group.notifier, group.kind)
            composer = Composer(self._store, self._notices, config, self._source, now)
            composed = await composer.message(group.notifier, group.kind, news)
            with self._notices.transaction():
                self._notices.drop(group.notifier, group.kind, news[-1].seq)
                message = composed.message
                if message is not None:
                    self._notices.queue(message.id, group.notifier, group.kind, message.title, message.as_json(), now)
                for job, tick in composed.broken:
                    self._notices.tell(group.notifier, job, tick, news[-1].seq)
                for job in composed.broke:
                    self._notices.troubled(group.notifier, group.kind, job, now)
                for job in composed.spared:
                    self._notices.spare(group.notifier, group.kind, job)
                for job in composed.mended:
                    self._notices.mended(group.notifier, ENDS[group.kind], job)

    async def _deliver(self) -> None:
        """Begin a try of each notifier's oldest message, if it is due and none is under way."""
        now, config = self._clock.now(), await self._config_in_force()
        for waiting in self._notices.waiting():
            if waiting.notifier not in self._tasks and waiting.next_try <= now:
                work = deliver(waiting, config, self._notices, self._environ, self._clock.now)
                self._begin(waiting.notifier, work)
        for name in [name for name, task in self._tasks.items() if task.done()]:
            self._tasks.pop(name).result()

    def _trace(self) -> None:
        """Send traces beside all else, if there may be any."""
        tracer = self._tracer
        if tracer is None or TRACES in self._tasks or not self._has_traces():
            return
        if tracer.next_try <= self._clock.now() or (self.is_last and not self._sent_last):
            self._sent_last = self.is_last
            self._begin(TRACES, tracer.work())

    def _has_traces(self) -> bool:
        return self._tracer is not None and self._tracer.cursor < self._cursor

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = self._tasks[name] = asyncio.create_task(work)
        task.add_done_callback(lambda _: self.look.set())

    # ------------------------------------------------------------ waiting

    async def _pause(self, idle_s: float) -> bool:
        """Wait for news, for what comes due, or until idle; return whether there is something to do."""
        due_s = self._wake_s()
        timeout_s = idle_s if due_s is None else min(idle_s, due_s)
        try:
            await asyncio.wait_for(self.look.wait(), timeout_s)
        except TimeoutError:
            return due_s is not None and due_s <= timeout_s
        self.look.clear()
        return True

    def _wake_s(self) -> float | None:
        """Return in how many seconds something comes due, None when nothing will."""
        now = self._clock.now()
        dues = self._dues()
        return max(0.0, (min(dues) - now).total_seconds()) if dues else None

    def _dues(self) -> Sequence[datetime]:
        waiting = [each.next_try for each in self._notices.waiting() if each.notifier not in self._tasks]
        traces = [self._tracer.next_try] if self._tracer and self._has_traces() and TRACES not in self._tasks else []
        return [*(group.due for group in self._notices.groups()), *waiting, *traces]

    def _comes_within(self, length: timedelta) -> bool:
        wake_s = self._wake_s()
        return wake_s is not None and wake_s <= length.total_seconds()


