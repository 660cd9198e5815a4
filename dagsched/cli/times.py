"""Times for people: lengths and ticks in the zone of their job; how they are typed stands in `views/times.py`."""

from __future__ import annotations

from datetime import datetime

from dagsched.views.times import instant_or_none, length_text, parse_length, parse_moment, parse_since, wall

__all__ = [
    "distance",
    "instant_or_none",
    "length_text",
    "parse_length",
    "parse_moment",
    "parse_since",
    "wall",
]


def distance(moment: datetime, now: datetime) -> str:
    """Return `in 3m 12s` or `3m 12s ago`."""
    if moment >= now:
        return f"in {length_text(moment - now)}"
    return f"{length_text(now - moment)} ago"
