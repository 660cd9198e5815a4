"""Elapsed time: a tick each so many seconds, counted from a fixed instant.

The instant is the Unix epoch, or the schedule's `start`; never a daemon's start or an edit, so that every
replica and every restart finds the same ticks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dagsched.errors import InvalidSchedule
from dagsched.triggers.base import ceil_s, floor_s
from dagsched.triggers.zones import EPOCH

LENGTH_MAX = timedelta(days=36_525)


class Every:
    """A tick at `start` (else the Unix epoch) and each `length` after it; none before `start`.

    `length` is a whole number of seconds from one second to a hundred years; another raises InvalidSchedule.
    """

    __slots__ = ("_start_s", "_step_s", "length", "start")

    def __init__(self, length: timedelta, start: datetime | None = None) -> None:
        if length < timedelta(seconds=1) or length > LENGTH_MAX or length.microseconds:
            raise InvalidSchedule(
                f"every {length} is no usable period",
                why="ticks are whole seconds, and a period lasts from one second to a hundred years",
                fix="write a length such as 90s, 15m or 2h",
            )
        self.length, self.start = length, start
        self._step_s = length.days * 86_400 + length.seconds
        self._start_s = None if start is None else ceil_s(start)

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Yield the ticks in (after, until], oldest first; without `until`, to the end of the year 9999."""
        anchor = self._start_s or 0
        low = floor_s(after) + 1
        if self._start_s is not None:
            low = max(low, self._start_s)
        first = anchor + -((anchor - low) // self._step_s) * self._step_s
        return self._count_from(first, None if until is None else floor_s(until))

    def next(self, after: datetime) -> datetime | None:
        """Return the first tick after `after`."""
        return next(self.ticks(after), None)

    def _count_from(self, first: int, last: int | None) -> Iterator[datetime]:
        end = _END_S if last is None else min(last, _END_S)
        for second in range(first, end + 1, self._step_s):
            yield EPOCH + timedelta(seconds=second)

    def __repr__(self) -> str:
        return f"Every({self.length!r}, {self.start!r})"


_END_S = floor_s(datetime(9999, 12, 31, 23, 59, 59, tzinfo=EPOCH.tzinfo))
