"""Times for people: lengths and ticks in the zone of their job; how they are typed stands in `views/times.py`."""

from __future__ import annotations

from datetime import datetime, timedelta

from dagsched.views.times import instant_or_none, parse_length, parse_moment, parse_since

__all__ = [
    "distance",
    "instant_or_none",
    "length_text",
    "parse_length",
    "parse_moment",
    "parse_since",
    "wall",
]


def length_text(length: timedelta | None) -> str:
    """Return a length as a person says it: `42ms`, `1.5s`, `12s`, `3m 12s`, `2h 5m`, `3d 4h`; "" for None.

    >>> [length_text(timedelta(seconds=s)) for s in (0.042, 1.5, 12.3, 192, 7500, 273600)]
    ['42ms', '1.5s', '12s', '3m 12s', '2h 5m', '3d 4h']
    """
    if length is None:
        return ""
    seconds = length.total_seconds()
    if seconds < 1:
        return f"{round(seconds * 1000)}ms"
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for size, unit, below, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s")):
        if whole >= size:
            rest = whole % size // below
            return f"{whole // size}{unit} {rest}{small}" if rest else f"{whole // size}{unit}"
    return f"{whole}s"


def distance(moment: datetime, now: datetime) -> str:
    """Return `in 3m 12s` or `3m 12s ago`."""
    if moment >= now:
        return f"in {length_text(moment - now)}"
    return f"{length_text(now - moment)} ago"


def wall(moment: datetime) -> str:
    """Return a local time for a person, `Mon 2026-11-23 09:00 EST`; seconds when there are any."""
    clock = f"{moment:%H:%M}"
    if moment.second or moment.microsecond:
        clock = f"{moment:%H:%M:%S}"
    if moment.microsecond:
        clock += f".{moment.microsecond // 1000:03}"
    return f"{moment:%a %Y-%m-%d} {clock} {moment:%Z}"
