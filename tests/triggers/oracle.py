"""An independent reading of the rules: look at every minute of UTC, and at what the wall clock shows.

It shares nothing with the code under test but `zoneinfo`. A case is drawn as sets of numbers together with
the text that means them, so no parser is needed to know what should match.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

AWKWARD_ZONES = (
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Europe/Dublin",
    "Pacific/Apia",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "America/Havana",
    "America/St_Johns",
)


@dataclass(frozen=True)
class Case:
    """An expression and what it means. `days` and `weekdays` None: not restricted; 0 = Sunday."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int] | None
    months: frozenset[int]
    weekdays: frozenset[int] | None
    wildcard: bool

    def names(self, wall: datetime, both: bool) -> bool:
        if wall.minute not in self.minutes or wall.hour not in self.hours or wall.month not in self.months:
            return False
        day = None if self.days is None else wall.day in self.days
        weekday = None if self.weekdays is None else wall.isoweekday() % 7 in self.weekdays
        said = [answer for answer in (day, weekday) if answer is not None]
        return all(said) if both or len(said) < 2 else any(said)


@lru_cache(maxsize=512)
def wall_clock(zone: str, start: datetime, end: datetime) -> tuple[tuple[datetime, datetime, int], ...]:
    """Return (instant, naive wall time, fold) for every minute in [start, end]."""
    where = ZoneInfo(zone)
    rows = []
    for number in range(int((end - start) / MINUTE) + 1):
        instant = start + number * MINUTE
        wall = instant.astimezone(where)
        rows.append((instant, wall.replace(tzinfo=None, fold=0), wall.fold))
    return tuple(rows)


def scan(
    case: Case,
    zone: str,
    after: datetime,
    until: datetime,
    *,
    gap: str | None = None,
    fold: str | None = None,
    both_days: bool = False,
) -> Iterator[datetime]:
    """Yield the ticks in (after, until], minute by minute; both bounds are whole minutes."""
    runs_gap = gap == "run" or (gap is None and not case.wildcard)
    runs_both = fold == "both" or (fold is None and case.wildcard)
    rows = wall_clock(zone, after, until)
    previous = rows[0][1]
    for instant, wall, second_pass in rows[1:]:
        skipped = [previous + n * MINUTE for n in range(1, int((wall - previous) / MINUTE))]
        moved = runs_gap and any(case.names(time, both_days) for time in skipped)
        shown = case.names(wall, both_days) and (runs_both or not second_pass)
        if moved or shown:
            yield instant
        previous = wall


@lru_cache(maxsize=64)
def changes(zone: str, first: int = 2010, last: int = 2030) -> tuple[datetime, ...]:
    """Return the UTC days (their start) on which the zone's offset changes in those years."""
    where = ZoneInfo(zone)
    found = []
    day, end = datetime(first, 1, 1, tzinfo=UTC), datetime(last, 12, 31, tzinfo=UTC)
    while day < end:
        if day.astimezone(where).utcoffset() != (day + DAY).astimezone(where).utcoffset():
            found.append(day)
        day += DAY
    return tuple(found)
