"""Gates: what else a seated run waits for, once its turn has come, before an attempt may start.

A run that finds a gate closed leaves its pool's line, so that it holds up nobody, and comes back to its old place at
the instant the gate is known to open. A pool's own rate is no gate of a run: it closes the whole line.
"""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush
from typing import NamedTuple

from dagsched.engine.book import Book
from dagsched.engine.ledger import Key
from dagsched.engine.rates import Rates
from dagsched.model import Job, Run, format_instant


class Closed(NamedTuple):
    """A gate that is closed until the instant `opens`; `words` say which and why."""

    opens: datetime
    words: str


class Gates:
    """All runs that stand before a closed gate, and when each is to be looked at again."""

    def __init__(self, book: Book, rates: Rates) -> None:
        self._book = book
        self.rates = rates
        self._waits: dict[Key, datetime] = {}
        self._timers: list[tuple[datetime, str, datetime]] = []

    def closed(self, run: Run, job: Job) -> Closed | None:
        """Return the gate that keeps the run from starting now, None when all are open."""
        now = self._book.now
        if job.rate_limit is not None:
            at = self.rates.job_opens(job, now)
            if at is not None:
                return Closed(at, f"rate_limit {job.rate_limit} allows its next start at {format_instant(at)}")
        return None

    def turn_away(self, run: Run, gate: Closed) -> None:
        """Remember to look at a run again when its gate opens."""
        self._waits[run.key] = gate.opens
        heappush(self._timers, (gate.opens, *run.key))

    def leave(self, key: Key) -> None:
        """Forget a run that waits here no more."""
        self._waits.pop(key, None)

    def opened(self) -> list[Key]:
        """Return, once, the runs whose gates are to be looked at again by now."""
        found = []
        while self._timers and self._timers[0][0] <= self._book.now:
            at, job, tick = heappop(self._timers)
            if self._waits.get((job, tick)) == at:
                del self._waits[job, tick]
                found.append((job, tick))
        return found

    def open_all(self) -> list[Key]:
        """Return, once, every run that waits here: the wall clock was set."""
        waits, self._waits, self._timers = self._waits, {}, []
        return list(waits)

    def wake_at(self) -> datetime | None:
        """Return when the next gate opens, None without one."""
        while self._timers and self._waits.get((self._timers[0][1], self._timers[0][2])) != self._timers[0][0]:
            heappop(self._timers)
        return self._timers[0][0] if self._timers else None
