"""systemd's OnCalendar= as systemd reads it, and when it elapses: a second opinion beside `triggers/`.

Weekday and date must both fit. A wall time that a clock change skips never comes; of two equal ones the first counts.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from dagsched.importers.cronfields import Unreadable
from dagsched.importers.draft import Fire

SHORT = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
}
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PART = r"[\d*.,/]+"
_DATE = re.compile(rf"(?:({_PART})-)?({_PART})([-~])({_PART})")
_TIME = re.compile(rf"({_PART}):({_PART})(?::({_PART}))?")


class Spec(NamedTuple):
    """Sets of numbers; weekdays: 0 is Monday. `years` None: each. `from_end`: days count from the month's last, 1."""

    weekdays: frozenset[int]
    years: frozenset[int] | None
    months: frozenset[int]
    days: frozenset[int]
    from_end: bool
    hours: frozenset[int]
    minutes: frozenset[int]
    seconds: frozenset[int]
    timezone: str | None


def read_spec(text: str) -> Spec:
    """Return what an expression says; raises Unreadable."""
    words, timezone = _split_zone(text.split())
    if len(words) == 1 and words[0].lower() in SHORT:
        words = SHORT[words[0].lower()].split()
    weekdays = frozenset(range(7))
    if words and words[0][:1].isalpha():
        weekdays = _weekdays(words.pop(0))
    date: tuple[str | None, str | None, str, str | None] = (None, None, "-", None)
    time = ("0", "0", "0")
    if words and (match := _DATE.fullmatch(words[0])):
        date = (match[1], match[2], match[3], match[4])
        words.pop(0)
    if words and (found := _TIME.fullmatch(words[0])):
        time = (found[1], found[2], found[3] or "0")
        words.pop(0)
    if words or not text.strip():
        raise Unreadable(f"'{' '.join(words)}' in OnCalendar={text} is not understood")
    year, month, dash, day = date
    return Spec(
        weekdays,
        None if year in (None, "*") else _numbers(year, 1970, 2199),
        _numbers(month or "*", 1, 12),
        _numbers(day or "*", 1, 31, dash == "~"),
        dash == "~",
        _numbers(time[0], 0, 23),
        _numbers(time[1], 0, 59),
        _numbers(time[2], 0, 59),
        timezone,
    )


def _split_zone(words: list[str]) -> tuple[list[str], str | None]:
    last = words[-1] if words else ""
    if last != "UTC" and "/" not in last.strip("0123456789*.,/:~-"):
        is_zone = last[:1].isalpha() and len(words) > 1 and last.lower() not in SHORT and ".." not in last
        if not is_zone or last[:3].lower() in {day[:3] for day in WEEKDAYS}:
            return words, None
    try:
        ZoneInfo(last)
    except (KeyError, ValueError, OSError):
        raise Unreadable(f"there is no time zone {last!r}") from None
    return words[:-1], last


def _weekdays(text: str) -> frozenset[int]:
    found: set[int] = set()
    for item in text.rstrip(",").lower().split(","):
        first, dots, last = item.partition("..")
        if not dots:
            first, dots, last = item.partition("-")
        low = _weekday(first)
        high = _weekday(last) if dots else low
        found |= {each % 7 for each in range(low, high + 1 if high >= low else high + 8)}
    return frozenset(found)


def _weekday(text: str) -> int:
    for place, name in enumerate(WEEKDAYS):
        if text in (name, name[:3]):
            return place
    raise Unreadable(f"{text!r} is no weekday")


def _numbers(text: str, low: int, high: int, from_end: bool = False) -> frozenset[int]:
    """Return the numbers of a field; days that count from the end step towards the end."""
    found: set[int] = set()
    for item in text.split(","):
        match = re.fullmatch(r"(?:\*|(\d{1,4})(?:\.\.(\d{1,4}))?)(?:/(\d{1,4}))?", item)
        if match is None:
            raise Unreadable(f"{item!r} is no number, range or *")
        first = low if match[1] is None else int(match[1])
        is_open = match[1] is None or (match[3] and match[2] is None)
        last = int(match[2]) if match[2] else high if is_open else first
        if not low <= first <= last <= high or match[3] == "0":
            raise Unreadable(f"{item!r} does not lie in {low} to {high}")
        step = int(match[3] or 1)
        found |= set(range(first, 0, -step) if from_end and match[1] and is_open else range(first, last + 1, step))
    return frozenset(found)


def elapses(
    specs: list[Spec],
    timezone: str,
    after: datetime,
    until: datetime,
    left_out: Mapping[int, str] | None = None,
    near: Mapping[int, str] | None = None,
) -> Iterator[Fire]:
    """Yield when a timer with these expressions elapses in (after, until]; equal instants are one.

    `left_out`: place of an expression that could not be carried over → why, which is the reason of its instants;
    `near`: place of one whose seconds were → by how much it is late.
    """
    found: dict[datetime, Fire] = {}
    for place, spec in enumerate(specs):
        late = (near or {}).get(place, "")
        why = late or (left_out or {}).get(place, "")
        for tick in _ticks(spec, spec.timezone or timezone, after, until):
            if tick not in found or found[tick].why:
                found[tick] = Fire(tick, 1, why, bool(late))
    yield from (found[tick] for tick in sorted(found))


def without_second(spec: Spec) -> tuple[Spec, int]:
    """Return the expression at the minute before, and the one second at which it elapses; 0 if it has several."""
    if len(spec.seconds) != 1 or spec.years is not None:
        return spec, 0
    return spec._replace(seconds=frozenset([0])), min(spec.seconds)


def _ticks(spec: Spec, timezone: str, after: datetime, until: datetime) -> Iterator[datetime]:
    zone = ZoneInfo(timezone)
    day = after.astimezone(zone).date() - timedelta(days=1)
    while day <= until.astimezone(zone).date() + timedelta(days=1):
        month_days = monthrange(day.year, day.month)[1]
        number = month_days - day.day + 1 if spec.from_end else day.day
        fits = number in spec.days and day.month in spec.months and day.weekday() in spec.weekdays
        if fits and (spec.years is None or day.year in spec.years):
            for hour in spec.hours:
                for minute in spec.minutes:
                    for second in spec.seconds:
                        wall = datetime(day.year, day.month, day.day, hour, minute, second)
                        tick = wall.replace(tzinfo=zone).astimezone(UTC)
                        exists = tick.astimezone(zone).replace(tzinfo=None) == wall
                        if exists and after < tick <= until:
                            yield tick
        day += timedelta(days=1)


def schedule_of(spec: Spec, timezone: str) -> tuple[dict[str, Any], bool]:
    """Return keys of a schedule with the same ticks, and whether both day fields must fit; raises Unreadable.

    `timezone`: that of the expression. Only in UTC are evenly spaced seconds elapsed time; elsewhere an hour comes
    twice.
    """
    if (instant := _instant_of(spec)) is not None:
        return {"at": instant}, False
    if timezone in ("UTC", "Etc/UTC") and (length := _seconds_between(spec)):
        return {"every": f"{length}s"}, False
    cron, wants_both = cron_of(spec._replace(years=None))
    found: dict[str, Any] = {"cron": cron}
    if spec.years is not None:
        first, last = min(spec.years), max(spec.years)
        if len(spec.years) != last - first + 1:
            raise Unreadable("a schedule here has `start` and `end`, but no years in between that are left out")
        found |= {"start": f"{first}-01-01", "end": f"{last}-12-31"}
    return found, wants_both


def _instant_of(spec: Spec) -> str | None:
    parts = (spec.years, spec.months, spec.days, spec.hours, spec.minutes, spec.seconds)
    if spec.from_end or any(part is None or len(part) != 1 for part in parts):
        return None
    year, month, day, hour, minute, second = (min(part) for part in parts if part)
    try:
        found = datetime(year, month, day, hour, minute, second)
    except ValueError:
        raise Unreadable("there is no such date") from None
    return found.isoformat() if found.weekday() in spec.weekdays else None


def _seconds_between(spec: Spec) -> int | None:
    """Return the seconds between two starts that come all day, several a minute; else None."""
    is_whole = len(spec.hours) == 24 and len(spec.minutes) == 60 and len(spec.months) == 12 and len(spec.weekdays) == 7
    step = 60 // len(spec.seconds)
    evenly = spec.seconds == set(range(0, 60, step)) and 60 % step == 0
    return step if is_whole and len(spec.days) == 31 and spec.years is None and evenly and step < 60 else None


def cron_of(spec: Spec) -> tuple[str, bool]:
    """Return a cron expression with the same ticks, and whether both day fields must fit; raises Unreadable."""
    if spec.seconds != {0}:
        raise Unreadable(
            "a schedule here has no seconds: only second 00, and in UTC evenly all day, can be carried over"
        )
    if spec.years is not None:
        raise Unreadable("a schedule here has no years")
    days = _field(spec.days, 1, 31)
    weekdays = _field(frozenset((each + 1) % 7 for each in spec.weekdays), 0, 6)
    if spec.from_end and spec.days == set(range(1, 8)) and len(spec.weekdays) == 1:
        days, weekdays = "*", f"L{weekdays}"
    elif spec.from_end and spec.days == {1}:
        days = "L"
    elif spec.from_end:
        raise Unreadable(
            "of days that count from the end of a month only the last one, and the last of a weekday, can be said"
        )
    fields = (_field(spec.minutes, 0, 59), _field(spec.hours, 0, 23), days, _field(spec.months, 1, 12), weekdays)
    return " ".join(fields), days != "*" and weekdays != "*"


def _field(values: frozenset[int], low: int, high: int) -> str:
    if len(values) == high - low + 1:
        return "*"
    ordered = sorted(values)
    if len(ordered) > 2 and ordered[-1] - ordered[0] == len(ordered) - 1:
        return f"{ordered[0]}-{ordered[-1]}"
    steps = {later - earlier for earlier, later in pairwise(ordered)}
    if len(ordered) > 2 and len(steps) == 1 and ordered[0] == low and (step := steps.pop()) and (high + 1) % step == 0:
        return f"*/{step}" if ordered[-1] + step > high and low == 0 else ",".join(map(str, ordered))
    return ",".join(map(str, ordered))
