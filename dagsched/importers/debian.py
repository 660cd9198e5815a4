"""When Debian's cron starts a line, minute by minute: the yardstick an imported crontab is held against.

The main loop of cron(8) keeps a virtual clock that should equal the wall clock and asks once a minute how far it is
behind. One minute: everything due runs. Up to five: each missed minute is run. Up to three hours (spring): wildcard
lines run for the present minute, the others for every minute that was jumped over, at once. Behind by less than
three hours (autumn): only wildcard lines run until the wall clock has caught up. More than that is a corrected clock:
the virtual clock follows and nothing is made up for.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Protocol
from zoneinfo import ZoneInfo

from dagsched.importers.cronfields import Fields
from dagsched.importers.draft import Fire


class Times(Protocol):
    """Sets of numbers, and which dates fit."""

    @property
    def hours(self) -> frozenset[int]: ...
    @property
    def minutes(self) -> frozenset[int]: ...
    def fits(self, day: int, month: int, weekday: int) -> bool: ...


MINUTE_S = 60
DAY = 24 * 60
FOREIGN = 3 * 60
"""Minutes; a jump beyond is no change to or from summer time."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def fires(fields: Fields, timezone: str, after: datetime, until: datetime) -> Iterator[Fire]:
    """Yield when cron starts a line with these fields in (after, until], oldest first."""
    start, end = minute_of(after), minute_of(until)
    for low, high, offset, jump in stretches(timezone, start, end):
        for minute in _of_stretch(fields, low, high, offset, jump):
            if minute[0] > start:
                yield Fire(_EPOCH + timedelta(minutes=minute[0]), minute[1], minute[2])


def minute_of(moment: datetime) -> int:
    """Return whole minutes since the epoch, rounded down."""
    return int(moment.timestamp() // MINUTE_S)


@lru_cache(maxsize=64)
def stretches(timezone: str, start: int, end: int) -> tuple[tuple[int, int, int, int], ...]:
    """Return (first minute, last minute, offset, jump of the wall clock before it) of [start, end] in UTC minutes."""
    zone, found = ZoneInfo(timezone), []
    low, offset, jump = start, _offset(zone, start), 0
    for minute in range(start, end + 1, 15):
        now = _offset(zone, minute)
        if now == offset:
            continue
        first = next(each for each in range(minute - 14, minute + 1) if _offset(zone, each) != offset)
        found.append((low, first - 1, offset, jump))
        low, jump, offset = first, now - offset, now
    return (*found, (low, end, offset, jump))


def _offset(zone: ZoneInfo, minute: int) -> int:
    shown = (_EPOCH + timedelta(minutes=minute)).astimezone(zone).utcoffset()
    assert shown is not None, "the instant is aware"
    return int(shown.total_seconds() // MINUTE_S)


def _of_stretch(fields: Fields, low: int, high: int, offset: int, jump: int) -> Iterator[tuple[int, int, str]]:
    first = low + offset
    if 5 < jump + 1 <= FOREIGN:
        yield from _after_gap(fields, low, first, jump)
        first += 1
    elif jump + 1 > FOREIGN or jump + 1 <= -FOREIGN:
        if _due(fields, first):
            yield low, 1, "a jump of three hours and more: cron takes it for a corrected clock"
        first += 1
    elif jump > 0:
        times = sum(_due(fields, each) for each in range(first - jump, first + 1))
        if times:
            yield low, times, "a jump of a few minutes: cron runs each of them"
        first += 1
    elif jump < 0 and not fields.is_wildcard:
        first -= jump  # the wall clock must catch up first
    yield from ((wall - offset, 1, "") for wall in walls(fields, first, high + offset))


def _after_gap(fields: Fields, low: int, first: int, jump: int) -> Iterator[tuple[int, int, str]]:
    if fields.is_wildcard:
        if _due(fields, first):
            yield low, 1, ""
        return
    times = sum(_due(fields, each) for each in range(first - jump, first + 1))
    if times:
        why = f"cron starts it {times} times in that minute, for each time the clock jumped over" if times > 1 else ""
        yield low, times, why


def _due(fields: Fields, wall: int) -> bool:
    return next(walls(fields, wall, wall), None) is not None


def walls(fields: Times, low: int, high: int) -> Iterator[int]:
    """Yield the minutes of the wall clock in [low, high] that fit."""
    for day in range(low // DAY, high // DAY + 1):
        date = _EPOCH + timedelta(days=day)
        if not fields.fits(date.day, date.month, date.isoweekday() % 7):
            continue
        for hour in sorted(fields.hours):
            for minute in sorted(fields.minutes):
                wall = day * DAY + hour * 60 + minute
                if low <= wall <= high:
                    yield wall
