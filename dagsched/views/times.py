"""Times as people type them, on a command line or in a query, and as they read them: lengths and instants.

An instant typed without an offset is UTC, as everything in JSON is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from dagsched.errors import UsageError
from dagsched.model import cut_to_ms, format_instant

_STARTS_LIKE_A_LENGTH = re.compile(r"[0-9.]+[a-z]")
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)


def parse_length(text: str) -> timedelta:
    """Return the length of `90s`, `15m`, `2h`, `1d` or `1h30m`, as in job files; raises UsageError."""
    from dagsched.config import BadLength
    from dagsched.config import parse_length as parse

    try:
        return parse(text)
    except BadLength as error:
        raise UsageError(f"{error}; write it with its unit: 90s, 15m, 2h, 1d") from None


def parse_moment(text: str) -> datetime:
    """Return the UTC instant of an ISO 8601 date (its midnight) or time, UTC unless it says else."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        examples = "2026-11-23, 2026-11-23T14:00 or 2026-11-23T09:00-05:00"
        raise UsageError(f"{text!r} is no instant; write {examples}") from None
    return cut_to_ms(moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC))


def parse_since(text: str, now: datetime) -> datetime:
    """Return the instant a length ago (`2h`), or the one that is written; raises UsageError."""
    if _STARTS_LIKE_A_LENGTH.match(text):
        return max(now - parse_length(text), _EARLIEST)
    return parse_moment(text)


def instant_or_none(moment: datetime | None) -> str | None:
    """Return the instant for JSON, None for none."""
    return None if moment is None else format_instant(moment)


# ---------------------------------------------------------------- for people


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


def wall(moment: datetime) -> str:
    """Return a local time for a person, `Mon 2026-11-23 09:00 EST`; seconds when there are any."""
    clock = f"{moment:%H:%M}"
    if moment.second or moment.microsecond:
        clock = f"{moment:%H:%M:%S}"
    if moment.microsecond:
        clock += f".{moment.microsecond // 1000:03}"
    return f"{moment:%a %Y-%m-%d} {clock} {moment:%Z}"
