"""Windows: the stretches of local time in which runs may start.

A window opens when the zone's wall clock first shows `opens` on one of its days, and closes when it next first shows
`closes`; a window that goes over midnight belongs to the day on which it opens. So a time that a clock change skips is
the end of the gap, one that comes twice is its first pass, and a window that lies inside a gap does not open that day.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

from dagsched.declaration import Window
from dagsched.triggers.base import Trigger
from dagsched.triggers.notes import local
from dagsched.triggers.zones import DAY_S, reached

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
DAY_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# A window of one weekday opens within a week, unless a clock change swallows it; twice in a row is unheard of.
LOOK_DAYS = 22
LEAPS_MAX = 2_000


class Opening(NamedTuple):
    """A window is open in [opens, closes), both UTC."""

    opens: datetime
    closes: datetime


def opening(windows: Sequence[Window], timezone: str, at: datetime) -> Opening | None:
    """Return the stretch in which a window is open at `at`, else the next one; None when there is none.

    Windows that overlap or touch are told one by one: what counts is whether `opens` is after `at`.
    """
    return _opening(tuple(windows), timezone, local(at, timezone).date().toordinal(), at)


def is_open(windows: Sequence[Window], timezone: str, at: datetime) -> bool:
    """Whether any of the windows is open at that instant."""
    found = opening(windows, timezone, at)
    return found is not None and found.opens <= at


def first_tick_inside(
    windows: Sequence[Window], timezone: str, trigger: Trigger, after: datetime, until: datetime
) -> datetime | None:
    """Return the first tick in (after, until] at which a window is open, None without one.

    Ticks and windows take turns leaping to each other; after LEAPS_MAX leaps the tick reached then is the answer,
    because nothing is known against it.
    """
    tick = trigger.next(after)
    for _ in range(LEAPS_MAX):
        if tick is None or tick > until:
            return None
        found = opening(windows, timezone, tick)
        if found is None:
            return None
        if found.opens <= tick:
            return tick
        tick = trigger.next(found.opens - timedelta(seconds=1))
    return tick


def _opening(windows: tuple[Window, ...], timezone: str, today: int, at: datetime) -> Opening | None:
    for day in range(today - 1, today + LOOK_DAYS):
        found = [each for each in _of_day(windows, timezone, day) if each.closes > at]
        open_now = [each for each in found if each.opens <= at]
        if open_now:
            return max(open_now, key=lambda each: each.closes)
        if found and day >= today:
            return min(found)
    return None


@lru_cache(maxsize=4096)
def _of_day(windows: tuple[Window, ...], timezone: str, day: int) -> tuple[Opening, ...]:
    return tuple(_openings(windows, timezone, day))


def _openings(windows: tuple[Window, ...], timezone: str, day: int) -> Iterator[Opening]:
    weekday = DAY_NAMES[date.fromordinal(day).weekday()]
    midnight = (day - EPOCH_ORDINAL) * DAY_S
    for window in windows:
        if window.days and weekday not in window.days:
            continue
        start, end = _seconds(window.opens), _seconds(window.closes)
        opens = reached(timezone, midnight + start)
        closes = reached(timezone, midnight + (end if end > start else end + DAY_S))
        if opens < closes:
            yield Opening(datetime.fromtimestamp(opens, UTC), datetime.fromtimestamp(closes, UTC))


def _seconds(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 3600 + int(minute) * 60
