"""Calendars: the local days on which a job's schedule is not meant.

A calendar names single dates, weekdays, and the public holidays of a country or a part of it (by the `holidays`
library, asked only when a calendar names a country). Days are those of the job's time zone. A tick on a day off is left
out with the name of the day as its reason, so nothing of it is missed or caught up.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from dagsched.declaration import Calendar, Job
from dagsched.reasons import DAY_OFF
from dagsched.triggers.base import Trigger
from dagsched.triggers.notes import local
from dagsched.triggers.windows import DAY_NAMES, EPOCH_ORDINAL
from dagsched.triggers.zones import DAY_S, reached

SECOND = timedelta(seconds=1)
# A calendar that leaves no day for so long leaves none; `validate` says so.
DAYS_OFF_MAX = 400


class DaysOff:
    """The days off of one job, in its zone: the first calendar of `names` that has a day tells why."""

    def __init__(self, names: Sequence[str], calendars: Mapping[str, Calendar], timezone: str) -> None:
        self._calendars = [(name, calendars[name]) for name in names if name in calendars]
        self._timezone = timezone

    def reason(self, tick: datetime) -> str:
        """Return why the day of this tick is off, `calendar bank: 2026-12-25 Christmas Day`; "" if it is not."""
        day = local(tick, self._timezone).date()
        for name, calendar in self._calendars:
            words = day_off(calendar, day)
            if words:
                return DAY_OFF(name, words)
        return ""

    def end_of_day(self, tick: datetime) -> datetime:
        """Return the last second of the local day of this tick, never before the tick."""
        following = local(tick, self._timezone).date().toordinal() + 1
        midnight = reached(self._timezone, (following - EPOCH_ORDINAL) * DAY_S)
        return max(datetime.fromtimestamp(midnight, UTC) - SECOND, tick)


class Working:
    """A trigger without its ticks on days off."""

    def __init__(self, trigger: Trigger, off: DaysOff) -> None:
        self._trigger, self._off = trigger, off

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        days = 0
        tick = self._trigger.next(after)
        while tick is not None and (until is None or tick <= until) and days <= DAYS_OFF_MAX:
            if self._off.reason(tick):
                days += 1
                tick = self._trigger.next(self._off.end_of_day(tick))
            else:
                days = 0
                yield tick
                tick = self._trigger.next(tick)

    def next(self, after: datetime) -> datetime | None:
        return next(self.ticks(after), None)


def days_off(job: Job, calendars: Mapping[str, Calendar]) -> DaysOff | None:
    """Return the days off of a job, None if it has no calendar."""
    return DaysOff(job.calendar, calendars, job.timezone) if job.calendar else None


def day_off(calendar: Calendar, day: date) -> str:
    """Return what makes this day one of the calendar's, "" if nothing does."""
    if day in calendar.days:
        return day.isoformat()
    if calendar.country is not None:
        name = holidays_of(calendar.country, calendar.subdivision, day.year).get(day)
        if name is not None:
            return f"{day.isoformat()} {name}"
    weekday = DAY_NAMES[day.weekday()]
    return weekday if weekday in calendar.weekdays else ""


@lru_cache(maxsize=256)
def holidays_of(country: str, subdivision: str | None, year: int) -> Mapping[date, str]:
    """Return the public holidays of that year by name; raises ImportError without the library."""
    import holidays  # an extra, and a large one

    return dict(holidays.country_holidays(country, subdiv=subdivision, years=year, language=_language(country)))


@lru_cache(maxsize=256)
def _language(country: str) -> str | None:
    """Return English where the library knows the country's holidays in English, None for its own tongue."""
    import holidays

    known = getattr(holidays.country_holidays(country), "supported_languages", ())
    return "en_US" if "en_US" in known else None


def supported() -> Mapping[str, Sequence[str]]:
    """Return the countries that there are holidays of, each with its parts; raises ImportError without the library."""
    import holidays

    found: Mapping[str, Sequence[str]] = holidays.list_supported_countries()
    return found
