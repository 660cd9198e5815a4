"""Lengths of time as job files write them: numbers with units, largest mistakes caught.

A bare number is refused everywhere: `timeout: 30` is half a minute to some schedulers and half an hour to
others.
"""

from __future__ import annotations

import re
from datetime import timedelta
from functools import lru_cache

LENGTH_MAX = timedelta(days=3650)
_PART = re.compile(r"([0-9]+(?:[.][0-9]+)?)(ms|s|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


class BadLength(ValueError):
    """Text that is no length; `is_range` when it is one that is too long."""

    def __init__(self, message: str, *, is_range: bool = False) -> None:
        self.is_range = is_range
        super().__init__(message)


@lru_cache(maxsize=4096)
def parse_length(text: str) -> timedelta:
    """Return the length of `90s`, `1h30m`, `500ms`, `1.5h`: parts are summed, milliseconds the finest.

    Raises BadLength when it is no length, finer than a millisecond, names a unit twice, or exceeds
    LENGTH_MAX.
    """
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise BadLength(f"'{text}' is no length of time")
    units = [unit for _, unit in parts]
    if len(set(units)) < len(units):
        raise BadLength(f"'{text}' names a unit twice")
    total_ms = sum(float(number) * _UNIT_MS[unit] for number, unit in parts)
    if total_ms > LENGTH_MAX.total_seconds() * 1000:
        raise BadLength(f"'{text}' is longer than {LENGTH_MAX.days}d", is_range=True)
    whole = round(total_ms)
    if abs(total_ms - whole) > 1e-6:
        raise BadLength(f"'{text}' is finer than a millisecond")
    return timedelta(milliseconds=whole)
