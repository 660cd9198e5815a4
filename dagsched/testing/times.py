"""Times as tests write them: local text in the world's zone, lengths with units, days and days of the week."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from dagsched.config import BadLength, parse_length
from dagsched.model import cut_to_ms
from dagsched.triggers import local

Moment = str | date | datetime
Length = str | timedelta | float

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def moment_of(when: Moment, timezone: str) -> datetime:
    """Return an instant (aware, UTC) from a datetime, a date (its midnight) or ISO 8601 text; local without an offset.

    Raises ValueError for other text.
    """
    if isinstance(when, str):
        try:
            when = datetime.fromisoformat(when)
        except ValueError:
            raise ValueError(f"{when!r} is no instant; write 2026-11-24 or 2026-11-24T02:00") from None
    elif not isinstance(when, datetime):
        when = datetime(when.year, when.month, when.day)
    if when.tzinfo is None:
        when = when.replace(tzinfo=local(datetime(2000, 1, 1, tzinfo=UTC), timezone).tzinfo)
    return cut_to_ms(when.astimezone(UTC))


def length_of(length: Length) -> timedelta:
    """Return a length from `90s`, `5m`, `2h`, `1d`, a timedelta, or a number of seconds; raises ValueError."""
    if isinstance(length, timedelta):
        return length
    if isinstance(length, str):
        sign, text = (-1, length[1:]) if length.startswith("-") else (1, length.removeprefix("+"))
        try:
            return sign * parse_length(text)
        except BadLength as error:
            raise ValueError(f"{error}; write it with its unit: 90s, 15m, 2h, 1d") from None
    return timedelta(seconds=length)


def is_day(when: Moment) -> bool:
    """Whether a whole day is meant, and no instant."""
    if isinstance(when, str):
        return len(when) == len("2026-11-24") and when.count("-") == 2
    return not isinstance(when, datetime)


def matcher(on: Moment, timezone: str) -> Callable[[datetime], bool]:
    """Return what says whether a tick is meant by a day, a day of the week (`tue`, `tuesday`) or an instant."""
    if isinstance(on, str) and len(on) >= 3:
        days = [number for number, name in enumerate(WEEKDAYS) if name.startswith(on.lower())]
        if days:
            return lambda tick: local(tick, timezone).weekday() == days[0]
    moment = moment_of(on, timezone)
    if is_day(on):
        day = local(moment, timezone).date()
        return lambda tick: local(tick, timezone).date() == day
    return lambda tick: tick == moment
