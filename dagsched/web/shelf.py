"""What several pages need and that takes a while: worked out once, and kept for as long as it is true."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from datetime import datetime
from statistics import median
from typing import Any

from dagsched.api.desk import Desk
from dagsched.errors import DagschedError
from dagsched.model import Config, JobMark, Run, RunState
from dagsched.views.coming import Ahead, Coming

DAEMON_S = 0.25
USUAL_OF = 20
EVENTS_MAX = 2000


class Shelf:
    """Kept answers about one desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._daemon: Mapping[str, Any] | None = None
        self._daemon_at = float("-inf")
        self._asking = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._newest: dict[str, Run | None] = {}
        self._seq: int | None = None
        self._future: Future | None = None
        self._looking_ahead = asyncio.Lock()

    async def daemon(self) -> Mapping[str, Any] | None:
        """Return the daemon's word on itself, at most DAEMON_S old: many pages at a time are one question to it."""
        async with self._asking:
            if time.monotonic() - self._daemon_at > DAEMON_S:
                try:
                    self._daemon = await self._desk.status()
                except DagschedError:
                    self._daemon = None
                self._daemon_at = time.monotonic()
            return self._daemon

    def forget_daemon(self) -> None:
        """Ask the daemon anew: something was just changed."""
        self._daemon_at = float("-inf")

    async def newest(self, jobs: Collection[str]) -> Mapping[str, Run]:
        """Return the newest row of each of these jobs that has any; only those with news are read again."""
        store = self._desk.store
        async with self._reading:
            seq = await self._desk.news.newest()
            news = await store.events(since=self._seq, limit=EVENTS_MAX) if self._seq is not None else ()
            if self._seq is None or len(news) == EVENTS_MAX:
                self._newest = {}
            changed = {row.job for row in news} | (set(jobs) - self._newest.keys())
            found = await store.newest(sorted(changed), 1)
            self._newest |= {job: next(iter(found.get(job, ())), None) for job in changed}
            self._seq = max([seq, *(row.seq for row in news)])
            return {job: run for job in jobs if (run := self._newest[job]) is not None}

    async def upcoming(
        self, now: datetime, number: int, config: Config, marks: Mapping[str, JobMark]
    ) -> Mapping[str, Coming | None]:
        """Return the next tick of each job of the configuration of a number, None for one that nothing makes due."""
        async with self._looking_ahead:
            return await asyncio.to_thread(self._future_of(number, config).seen_from, now, marks)

    async def ahead(self, now: datetime, number: int, config: Config, marks: Mapping[str, JobMark]) -> Ahead:
        """Return the future of the configuration of a number."""
        async with self._looking_ahead:
            future = self._future_of(number, config)
            await asyncio.to_thread(future.seen_from, now, marks)
            return future.ahead

    def _future_of(self, number: int, config: Config) -> Future:
        if self._future is None or self._future.number != number:
            self._future = Future(number, config)
        return self._future

    async def usual_s(self, jobs: Collection[str]) -> Mapping[str, float]:
        """Return how long a run of each of these jobs takes, the median of its newest successes, where it has any."""
        if not jobs:
            return {}
        newest = await self._desk.store.newest(sorted(jobs), USUAL_OF)
        found: dict[str, float] = {}
        for job, runs in newest.items():
            lengths = [
                (run.ended - run.started).total_seconds()
                for run in runs
                if run.state is RunState.SUCCESS and run.ended and run.started
            ]
            if lengths:
                found[job] = median(lengths)
        return found


class Future:
    """The next tick of every job of one configuration: only those that have passed are worked out again."""

    def __init__(self, number: int, config: Config) -> None:
        self.number, self._config = number, config
        self.ahead = Ahead(config)
        self._known: dict[str, Coming | None] = {}
        self._seen: dict[str, tuple[object, ...]] = {}

    def seen_from(self, now: datetime, marks: Mapping[str, JobMark]) -> Mapping[str, Coming | None]:
        """Return the first tick after `now` of each job."""
        stale = [id for id in self._config.jobs if self._is_stale(id, now, marks)]
        if stale:
            # What it says of a job hangs on that job's own mark, and, of one without a schedule, on its sources'.
            self.ahead = self.ahead.with_marks(marks)
            for id in stale:
                self._known[id] = self.ahead.next(id, now)
        return dict(self._known)

    def _is_stale(self, id: str, now: datetime, marks: Mapping[str, JobMark]) -> bool:
        schedule, mark = self._config.jobs[id].schedule, marks.get(id)
        is_counted = schedule is not None and schedule.max_runs is not None
        seen = (mark.paused, mark.started_runs if is_counted else 0) if mark else (None, 0)
        coming = self._known.get(id)
        givers = (marks.get(each) for each in self.ahead.sources_of(id) if each != id)
        pauses = tuple(giver.paused if giver else None for giver in givers)
        is_same = self._seen.get(id) == (*seen, pauses)
        self._seen[id] = (*seen, pauses)
        return not is_same or id not in self._known or (coming is not None and coming.tick <= now)
