"""Whether two schedules ever fire at one instant."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import lru_cache

from dagsched.errors import ScheduleError
from dagsched.model import Schedule
from dagsched.triggers import trigger_of

SECOND = timedelta(seconds=1)
# Two schedules of the calendar that meet at all meet within a leap cycle; leaps bound the work for dense ones.
HORIZON = timedelta(days=4 * 366)
LEAPS_MAX = 3_000


@lru_cache(maxsize=16_384)
def ever_meet(first: Schedule, second: Schedule, now: datetime) -> bool:
    """Return False only when no common tick was found in four years after `now`.

    The two take turns leaping to the other's next tick. After LEAPS_MAX leaps the answer is True: too dense to
    be sure, and a warning must be right.
    """
    try:
        one, other = trigger_of(first), trigger_of(second)
    except ScheduleError:
        return True  # reported where it stands
    end = now + HORIZON
    tick = one.next(now)
    for _ in range(LEAPS_MAX):
        if tick is None or tick > end:
            return False
        reached = other.next(tick - SECOND)
        if reached == tick:
            return True
        one, other, tick = other, one, reached
    return _same_minute(first, second)


def _same_minute(first: Schedule, second: Schedule) -> bool:
    """Whether two dense schedules may meet after all: not if their minutes are disjoint for ever."""
    return not _fixed_minutes(first).isdisjoint(_fixed_minutes(second))


def _fixed_minutes(schedule: Schedule) -> set[int]:
    """Return the minutes of the hour a cron schedule fires at, as its first ticks show; all when unsure."""
    if not schedule.cron:
        return set(range(60))
    return set().union(*(_minutes(text) for text in schedule.cron))


def _minutes(text: str) -> set[int]:
    first = text.split(maxsplit=1)[0]
    return {int(first)} if first.isdecimal() and first.isascii() else set(range(60))
