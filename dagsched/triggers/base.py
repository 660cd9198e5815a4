"""What every trigger can do, and how triggers are narrowed and joined."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

SECOND = timedelta(seconds=1)


class Trigger(Protocol):
    """Time → ticks."""

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Yield the instants this trigger fires in (after, until], oldest first.

        Both bounds are aware; without `until` the iterator may have no end. Ticks are aware UTC instants of
        whole seconds and strictly increasing. A naive bound raises ValueError.
        """
        ...

    def next(self, after: datetime) -> datetime | None:
        """Return the first tick after `after`, or None when there is none any more."""
        ...


class Window:
    """A trigger cut to [start, end]; None leaves that side open."""

    def __init__(self, trigger: Trigger, start: datetime | None, end: datetime | None) -> None:
        self._trigger = trigger
        # Ticks are whole seconds, so a tick at `start` itself lies after the second before it.
        self._after = None if start is None else _from_second(ceil_s(start) - 1)
        self._until = None if end is None else _from_second(floor_s(end))

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        low = after if self._after is None else max(after, self._after)
        high = self._until if until is None else until if self._until is None else min(until, self._until)
        return self._trigger.ticks(low, high)

    def next(self, after: datetime) -> datetime | None:
        return next(self.ticks(after), None)


class Union:
    """Several triggers as one; an instant at which two of them fire is one tick."""

    def __init__(self, triggers: Sequence[Trigger]) -> None:
        self._triggers = tuple(triggers)

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        newest: datetime | None = None
        for tick in heapq.merge(*(trigger.ticks(after, until) for trigger in self._triggers)):
            if tick != newest:
                newest = tick
                yield tick

    def next(self, after: datetime) -> datetime | None:
        return min((tick for trigger in self._triggers if (tick := trigger.next(after))), default=None)


def floor_s(moment: datetime) -> int:
    """Return whole seconds since the Unix epoch, rounded down; a naive datetime raises ValueError."""
    if moment.utcoffset() is None:
        raise ValueError(f"{moment!r} has no time zone; give an aware datetime")
    return math.floor(moment.timestamp())


def ceil_s(moment: datetime) -> int:
    """Return whole seconds since the Unix epoch, rounded up."""
    return floor_s(moment) + (moment.microsecond > 0)


def _from_second(second: int) -> datetime:
    return datetime.fromtimestamp(second, UTC)
