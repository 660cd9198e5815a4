"""Deadlines: by when a run should be over, and who is not.

A run is late at its tick plus `deadline`, if it is not terminal then. That is told once, by one event and a mark on the
row, both in one commit; so a restart tells it no second time, and one that comes later than the deadline tells it then.
"""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush

from dagsched.engine.book import Book
from dagsched.engine.ledger import Key
from dagsched.model import LIVE, Origin, Run, format_length


class Deadlines:
    """The live runs that have a deadline before them."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._due: dict[Key, datetime] = {}
        self._heap: list[tuple[datetime, str, datetime]] = []

    def watch(self, run: Run) -> None:
        """Take a live run whose job has a deadline, unless it is known, or was late before."""
        deadline = self._book.jobs[run.job].deadline
        # A tick of the past that a person asks for now cannot be in time.
        is_new = not run.late and run.key not in self._due and run.origin is not Origin.BACKFILL
        if deadline is not None and is_new:
            self._due[run.key] = run.tick + deadline
            heappush(self._heap, (self._due[run.key], *run.key))

    def leave(self, key: Key) -> None:
        """Forget a run that is over."""
        self._due.pop(key, None)

    def wake_at(self) -> datetime | None:
        """Return the next instant at which a run will be late, None without one."""
        while self._heap and self._due.get((self._heap[0][1], self._heap[0][2])) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def tell(self) -> None:
        """Mark the runs that are late by now, and say so."""
        while (at := self.wake_at()) is not None and at <= self._book.now:
            _, job, tick = heappop(self._heap)
            del self._due[job, tick]
            run, deadline = self._book.ledger.get((job, tick)), self._book.jobs[job].deadline
            if run is not None and run.state in LIVE and deadline is not None:
                reason = f"{run.state} {format_length(deadline)} after its tick"
                self._book.amend(run, "run.late", reason, late=True)
