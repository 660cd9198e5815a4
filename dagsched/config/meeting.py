"""Whether two schedules ever fire at one instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from dagsched.declaration import Schedule
from dagsched.errors import ScheduleError
from dagsched.triggers import trigger_of

SECOND = timedelta(seconds=1)
# Day, month and weekday meet within 40 years if ever (28, and 12 more when a century drops a leap day).
HORIZON = timedelta(days=41 * 366)
# What fires daily has by then shown every date of a leap cycle.
LONG_ENOUGH = timedelta(days=4 * 366)
LEAPS_MAX = 10_000


@lru_cache(maxsize=16_384)
def ever_meet(first: Schedule, second: Schedule, now: datetime) -> bool:
    """Return False when no common tick was found although one would have shown.

    The two take turns leaping to the other's next tick, for HORIZON, or LEAPS_MAX leaps that took
    LONG_ENOUGH. For denser schedules only fixed minutes that differ are an answer; else they may meet.
    """
    if first.event or second.event:
        return not set(first.event).isdisjoint(second.event)
    try:
        one, other = trigger_of(first), trigger_of(second)
    except ScheduleError:
        return True  # reported where it stands
    if _fixed_minutes(first).isdisjoint(_fixed_minutes(second)) and first.timezone == second.timezone:
        return False
    tick = one.next(now)
    for _ in range(LEAPS_MAX):
        if tick is None or tick > now + HORIZON:
            return False
        reached = other.next(tick - SECOND)
        if reached == tick:
            return True
        one, other, tick = other, one, reached
    return tick is not None and tick < now + LONG_ENOUGH


def _fixed_minutes(schedule: Schedule) -> set[int]:
    """Return the minutes of the hour a cron schedule fires at, as its first ticks show; all when unsure."""
    if not schedule.cron:
        return set(range(60))
    return set().union(*(_minutes(text) for text in schedule.cron))


def _minutes(text: str) -> set[int]:
    first = text.split(maxsplit=1)[0]
    return {int(first)} if first.isdecimal() and first.isascii() else set(range(60))
