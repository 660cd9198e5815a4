"""Which days of the calendar a cron expression names.

A month is fully described by its length and the weekday of its first day, so there are only 28 kinds of
month. The days a rule picks are worked out once per kind, with one bit per day, and looked up ever after.

Day-of-month and weekday together mean *either* (POSIX crontab), unless the schedule says `days: all`. A field
that names every day (`*`, `?`, `*/1`) restricts nothing and leaves the choice to the other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import NamedTuple

EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
SATURDAY, SUNDAY = 6, 0
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)

# A month's length and first weekday repeat within 28 years as long as no century year interferes.
EVERY_KIND_OF_YEAR = range(2000, 2028)


class DayFields(NamedTuple):
    """The month, day-of-month and weekday fields, ready to be matched.

    `days` has bit n set for day n; `weekdays` bit n for weekday n, 0 = Sunday. `nearest`: the n of `nW`;
    `nth`: (weekday, which) of `n#k`; `last_weekdays`: the k of `Lk`. `both`: a day must satisfy day-of-month
    and weekday at once.
    """

    months: tuple[int, ...]
    days: int
    has_last_day: bool
    nearest: tuple[int, ...]
    weekdays: int
    nth: tuple[tuple[int, int], ...]
    last_weekdays: tuple[int, ...]
    restricts_days: bool
    restricts_weekdays: bool
    both: bool


class DayRule:
    """Which days those fields pick. `is_possible`: some date of the calendar matches."""

    def __init__(self, fields: DayFields) -> None:
        self._fields, self.months = fields, fields.months
        self._known: dict[tuple[int, int], tuple[int, ...]] = {}
        self.is_possible = self._finds_a_date()

    def of_month(self, year: int, month: int) -> tuple[int, ...]:
        """Return the days of that month that match, ascending; empty when none does."""
        if month not in self.months:
            return ()
        kind = _kind_of_month(year, month)
        found = self._known.get(kind)
        if found is None:
            found = self._known[kind] = _bits(self._mask(*kind))
        return found

    def between(self, first: int, last: int) -> Iterator[int]:
        """Yield the matching days from `first` to `last`, both included, counted from 1 January 1970."""
        start = date.fromordinal(first + EPOCH_ORDINAL)
        year, month = start.year, start.month
        before = first - start.day
        while before < last:
            for day in self.of_month(year, month):
                if before + day > last:
                    return
                if before + day >= first:
                    yield before + day
            before += _kind_of_month(year, month)[1]
            year, month = (year, month + 1) if month < 12 else (year + 1, 1)

    def touches(self, year: int) -> bool:
        """Whether any day of that year or of its two neighbours matches."""
        return any(self.of_month(near, month) for near in (year, year - 1, year + 1) for month in self.months)

    def _finds_a_date(self) -> bool:
        # Exact, since these years hold every kind of year there is.
        return any(self.of_month(year, month) for year in EVERY_KIND_OF_YEAR for month in self.months)

    def _mask(self, first_weekday: int, length: int) -> int:
        whole = (1 << (length + 1)) - 2
        if self._fields.restricts_days and self._fields.restricts_weekdays:
            days, weekdays = (
                self._days_mask(first_weekday, length),
                self._weekdays_mask(first_weekday, length),
            )
            return whole & (days & weekdays if self._fields.both else days | weekdays)
        if self._fields.restricts_days:
            return whole & self._days_mask(first_weekday, length)
        if self._fields.restricts_weekdays:
            return whole & self._weekdays_mask(first_weekday, length)
        return whole

    def _days_mask(self, first_weekday: int, length: int) -> int:
        mask = self._fields.days
        if self._fields.has_last_day:
            mask |= 1 << length
        for day in self._fields.nearest:
            if day <= length:
                mask |= 1 << _nearest_workday(day, first_weekday, length)
        return mask

    def _weekdays_mask(self, first_weekday: int, length: int) -> int:
        mask = 0
        for day in range(1, length + 1):
            weekday = (first_weekday + day - 1) % 7
            named = self._fields.weekdays >> weekday & 1
            counted = (weekday, (day + 6) // 7) in self._fields.nth
            last = day + 7 > length and weekday in self._fields.last_weekdays
            if named or counted or last:
                mask |= 1 << day
        return mask


def _nearest_workday(day: int, first_weekday: int, length: int) -> int:
    """Return the Monday-to-Friday day nearest to `day` inside the same month, as Quartz reads `nW`."""
    weekday = (first_weekday + day - 1) % 7
    if weekday == SATURDAY:
        return day - 1 if day > 1 else day + 2
    if weekday == SUNDAY:
        return day + 1 if day < length else day - 2
    return day


@lru_cache(maxsize=4096)
def _kind_of_month(year: int, month: int) -> tuple[int, int]:
    """Return (weekday of the 1st with 0 = Sunday, number of days)."""
    # Not `calendar.monthrange`: it loads `locale` with its thousand names, for which every command would wait.
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return date(year, month, 1).isoweekday() % 7, 29 if month == 2 and is_leap else MONTH_DAYS[month - 1]


def _bits(mask: int) -> tuple[int, ...]:
    return tuple(day for day in range(1, 32) if mask >> day & 1)
