"""What only the event log tells: how long runs wait and take, counted as events come.

Each event is looked at once. What is remembered between them is one instant for each run that is queued or running.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from dagsched.metrics.buckets import LENGTHS_S, WAITS_S, Buckets
from dagsched.model import EventRow, is_schedule_tick

_ENDS = frozenset({"success", "failed", "skipped", "upstream_failed", "missed", "cancelled"})


class Meter:
    """Counts from the event after `since` on."""

    def __init__(self, since: int) -> None:
        self.cursor = since
        self.events: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.attempts: Counter[str] = Counter()
        self.lag, self.wait, self.length = Buckets(WAITS_S), Buckets(WAITS_S), Buckets(LENGTHS_S)
        self._queued: dict[tuple[str, datetime], datetime] = {}
        self._started: dict[tuple[str, datetime], datetime] = {}

    def take(self, rows: Iterable[EventRow]) -> None:
        """Count these, oldest first."""
        for row in rows:
            self.cursor = row.seq
            self.events[row.type] += 1
            if row.tick is not None and row.to_state:
                self._take((row.job, row.tick), row)

    def _take(self, key: tuple[str, datetime], row: EventRow) -> None:
        if row.to_state == "queued":
            self._queued[key] = row.time
        elif row.type == "run.started":
            self._start(key, row)
        elif row.from_state == "running" and row.to_state != "running":
            self._end_attempt(key, row)
        if row.to_state in _ENDS and row.from_state != row.to_state:
            self._queued.pop(key, None)
            self.ended[row.to_state] += 1

    def _start(self, key: tuple[str, datetime], row: EventRow) -> None:
        queued = self._queued.pop(key, None)
        self._started[key] = row.time
        if row.attempt == 1 and queued is not None:
            self.wait.add((row.time - queued).total_seconds())
        if row.attempt == 1 and is_schedule_tick(key[1]):
            self.lag.add((row.time - key[1]).total_seconds())

    def _end_attempt(self, key: tuple[str, datetime], row: EventRow) -> None:
        started = self._started.pop(key, None)
        self.attempts["success" if row.to_state == "success" else "failure"] += 1
        if started is not None:
            self.length.add((row.time - started).total_seconds())
