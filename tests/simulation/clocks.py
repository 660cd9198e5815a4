"""What a wall clock on the wall shows: the auditor's own reading of windows, from `zoneinfo` alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from dagsched.model import Calendar, Job, Window

DAY = timedelta(days=1)


def shows_open(window: Window, timezone: str, at: datetime) -> bool:
    """Whether the clock shows a time inside the window; in a night when clocks change also by the hour before."""
    zone = ZoneInfo(timezone)
    moments = [at]
    if len({(at + DAY * days).astimezone(zone).utcoffset() for days in (-1, 0, 1)}) > 1:
        moments += [at - timedelta(hours=1), at + timedelta(hours=1)]
    return any(_is_inside(window, moment.astimezone(zone)) for moment in moments)


def is_day_off(job: Job, calendars: Mapping[str, Calendar], tick: datetime) -> bool:
    """Whether one of the job's calendars has the day that its zone's clock shows."""
    shown = tick.astimezone(ZoneInfo(job.timezone))
    return any(
        shown.date() in calendars[name].days or f"{shown:%a}".lower() in calendars[name].weekdays
        for name in job.calendar
    )


def _is_inside(window: Window, shown: datetime) -> bool:
    clock, opens, closes = f"{shown:%H:%M}", window.opens, window.closes
    if opens < closes:
        return opens <= clock < closes and _opens_on(window, shown)
    if clock >= opens:
        return _opens_on(window, shown)
    return clock < closes and _opens_on(window, shown - DAY)


def _opens_on(window: Window, day: datetime) -> bool:
    return not window.days or f"{day:%a}".lower() in window.days
