"""How many attempts run in each hour of each day: the mean over the hour."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from dagsched.model import Attempt
from dagsched.triggers import local

HOUR = timedelta(hours=1)


def heat_of(attempts: Iterable[Attempt], start: datetime, until: datetime, timezone: str) -> dict[date, list[float]]:
    """Return for each local day 24 numbers: how many attempts were under way at a time, on average.

    Of attempts that were under way in [start, until). An hour that the clocks repeat holds what ran in both of them,
    one that they skip nothing.
    """
    seconds: dict[datetime, float] = defaultdict(float)
    for attempt in attempts:
        _add(seconds, max(attempt.started, start), min(attempt.ended or until, until))
    found: dict[date, list[float]] = {}
    hour = _floor(start)
    while hour < until:
        # A zone may be half an hour or a quarter off: the hour of UTC counts as that in which it begins.
        there = local(hour, timezone)
        found.setdefault(there.date(), [0.0] * 24)[there.hour] += seconds.get(hour, 0.0) / HOUR.total_seconds()
        hour += HOUR
    return found


def _add(seconds: dict[datetime, float], begin: datetime, end: datetime) -> None:
    hour = _floor(begin)
    while begin < end:
        following = hour + HOUR
        seconds[hour] += (min(end, following) - begin).total_seconds()
        begin = hour = following


def _floor(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
