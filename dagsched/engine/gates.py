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
from dagsched.model import Job, Origin, Run, format_instant
from dagsched.reasons import OUTSIDE, At
from dagsched.triggers.windows import opening


class Hold(NamedTuple):
    """What keeps a live run from going on: the gate, in words, and until when, if that is known."""

    at: At
    words: str
    until: datetime | None = None


class Closed(NamedTuple):
    """A gate that is closed until the instant `opens`; `words` say why.

    `skip`: the run does not wait for that but is left out, for this reason; empty when it waits.
    """

    at: At
    opens: datetime
    words: str
    skip: str = ""


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
        if job.window and run.attempts == 0:
            gate = closed_window(run, job, now)
            if gate is not None:
                return gate
        if job.rate_limit is not None:
            at = self.rates.job_opens(job, now)
            if at is not None:
                return Closed(At.RATE, at, f"rate_limit {job.rate_limit} allows its next start at {format_instant(at)}")
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


def closed_window(run: Run, job: Job, now: datetime) -> Closed | None:
    """Return the windows of a run that has not started as a gate, None if one is open or it does not look at them.

    What a person asked for does not. Left out are only runs that their schedule, or a catch-up, made as it stands:
    what a person's tick reaches, a backfill and a run that was opened again wait, whatever `outside` says.
    """
    if run.origin in (Origin.MANUAL, Origin.ONCE):
        return None
    found = opening(job.window, job.timezone, now)
    if found is not None and found.opens <= now:
        return None
    hours = ", ".join(map(str, job.window))
    if job.window[0].outside == "skip" and (not run.patient or run.origin is Origin.CATCHUP):
        return Closed(At.WINDOW, now, f"window {hours} is closed", OUTSIDE(hours))
    assert found is not None, "a window opens within weeks"
    return Closed(At.WINDOW, found.opens, f"window {hours} opens at {format_instant(found.opens)}")
