"""Times, lengths and states as pages say them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from dagsched.model import format_instant
from dagsched.triggers import local

STATES = {
    "waiting": "waiting",
    "queued": "queued",
    "running": "running",
    "retrying": "retrying",
    "success": "success",
    "failed": "failed",
    "skipped": "skipped",
    "upstream_failed": "upstream failed",
    "missed": "missed",
    "cancelled": "cancelled",
    "paused": "paused",
    "disabled": "disabled",
    "removed": "removed",
    "": "never ran",
}
"""Every state a page shows; the style sheet has a shape for each."""

_STEPS: Sequence[tuple[int, str]] = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def state_words(state: str) -> str:
    """Return a state as people read it."""
    return STATES.get(state, state.replace("_", " "))


def instant(moment: datetime) -> str:
    """Return an instant for programs."""
    return format_instant(moment)


def moment(at: datetime, now: datetime) -> str:
    """Return an instant in UTC, as short as it can be told: the day is left out today, the year this year."""
    at, now = at.astimezone(UTC), now.astimezone(UTC)
    if at.date() == now.date():
        return f"{at:%H:%M:%S}" if at.second else f"{at:%H:%M}"
    return f"{at:%d %b %H:%M}" if at.year == now.year else f"{at:%Y-%m-%d %H:%M}"


def here(at: datetime, now: datetime, zone: str) -> str:
    """Return an instant as `moment` does, by the clock of a zone and with its name; "" where that clock shows UTC."""
    at, there = at.astimezone(UTC), local(at, zone)
    if not there.utcoffset():
        return ""
    clock = f"{there:%H:%M:%S}" if at.second and at.date() == now.astimezone(UTC).date() else f"{there:%H:%M}"
    return f"{clock if there.date() == at.date() else f'{there:%d %b} {clock}'} {there.tzname()}"


def stamp(at: datetime) -> str:
    """Return an instant in full: local time with its zone when it has one, else UTC."""
    zone = at.tzname() or ""
    name = "UTC" if at.utcoffset() == timedelta() and zone in ("", "UTC", "UTC+00:00") else zone
    return f"{at:%Y-%m-%d %H:%M:%S} {name}"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was."""
    seconds = (now - at).total_seconds()
    if seconds >= 60:
        seconds -= seconds % 60
    return "just now" if seconds < 1 else f"{length(seconds)} ago"


def ahead(at: datetime, now: datetime) -> str:
    """Return in how long something will be."""
    seconds = (at - now).total_seconds()
    return "due" if seconds < 1 else f"in {length(seconds)}"


def length(seconds: float | timedelta | None) -> str:
    """Return a length in at most two units, `1 h 20 min`: below 10 s with a fraction, from 10 min on in minutes."""
    if seconds is None:
        return "–"
    if isinstance(seconds, timedelta):
        seconds = seconds.total_seconds()
    if seconds < 10:
        return f"{seconds:.1f} s" if seconds >= 0.9995 else f"{seconds * 1000:.0f} ms"
    left, parts = round(seconds), list[str]()
    if left >= 600:
        left -= left % 60  # nobody counts the seconds of an hour
    for unit_s, name in _STEPS:
        if left >= unit_s and len(parts) < 2:
            parts.append(f"{left // unit_s} {name}")
        elif parts:
            break
        left %= unit_s
    return " ".join(parts)


def size(count: int) -> str:
    """Return a number of bytes."""
    if count < 1000:
        return f"{count} B"
    for power, name in ((1, "kB"), (2, "MB"), (3, "GB")):
        if count < 1000 ** (power + 1) or name == "GB":
            return f"{count / 1000**power:.1f} {name}"
    raise AssertionError("the last unit takes everything")
