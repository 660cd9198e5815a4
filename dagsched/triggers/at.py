"""One instant, given as such or as wall time of a zone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dagsched.errors import InvalidSchedule
from dagsched.triggers.base import ceil_s, floor_s
from dagsched.triggers.zones import EPOCH, YEAR_LAST, reached, zone


class At:
    """A single tick.

    A naive `moment` is wall time of `timezone`: the first of two equal ones, and the first instant after a
    gap that skips it. Raises InvalidSchedule for parts of a second and for years outside 1900-9997.
    """

    __slots__ = ("moment", "tick", "timezone")

    def __init__(self, moment: datetime, timezone: str = "UTC") -> None:
        zone(timezone)
        if moment.microsecond:
            raise InvalidSchedule(
                f"at {moment.isoformat()} has parts of a second",
                why="ticks are whole seconds",
                fix="leave them out",
            )
        if not 1900 <= moment.year < YEAR_LAST:
            raise InvalidSchedule(
                f"at {moment.isoformat()} is too far away",
                why=f"years run from 1900 to {YEAR_LAST - 1}",
                fix="check the year",
            )
        self.moment, self.timezone = moment, timezone
        self.tick = _instant(moment, timezone)

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Yield the tick if it lies in (after, until]."""
        if floor_s(after) < floor_s(self.tick) and (until is None or ceil_s(self.tick) <= floor_s(until)):
            yield self.tick

    def next(self, after: datetime) -> datetime | None:
        """Return the tick, or None when it is over."""
        return next(self.ticks(after), None)

    def __repr__(self) -> str:
        return f"At({self.moment!r}, {self.timezone!r})"


def _instant(moment: datetime, timezone: str) -> datetime:
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return EPOCH + timedelta(seconds=reached(timezone, floor_s(moment.replace(tzinfo=UTC))))
