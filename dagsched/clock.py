"""The one source of "now".

Ticks come from wall time, lengths (timeouts, backoff inside one process) from a clock that nobody sets.
Everything that needs either is given a `Clock`, so that tests and simulations move time by hand.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

from dagsched.declaration import cut_to_ms


def boottime_s() -> float:
    """Return seconds since the machine was started, those in which it was suspended included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class Clock(Protocol):
    """Where the time comes from."""

    def now(self) -> datetime:
        """Return wall time as an aware UTC instant, cut to milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that only moves forward."""
        ...


class SystemClock:
    """The machine's clocks."""

    def now(self) -> datetime:
        return cut_to_ms(datetime.now(UTC))

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is told to move; wall time may also step backwards."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._monotonic = 0.0

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def advance(self, by: timedelta) -> datetime:
        """Move both clocks forward and return the new wall time."""
        self._monotonic += by.total_seconds()
        self._now += by
        return self._now

    def set_wall(self, now: datetime) -> None:
        """Set wall time alone, as an administrator or NTP would."""
        self._now = now
