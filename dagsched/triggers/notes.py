"""What a person is shown beside a tick: its wall time, and what a clock change did to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dagsched.declaration import Schedule
from dagsched.triggers.base import floor_s
from dagsched.triggers.cron import Cron
from dagsched.triggers.schedule import crons_of
from dagsched.triggers.zones import Span, clock_changes, zone

SHOWN_MAX = 3


def local(tick: datetime, timezone: str) -> datetime:
    """Return the tick on that zone's wall clock: aware, with `fold=1` for the second of two equal times.

    Raises UnknownTimezone.

    >>> from dagsched.declaration import utc
    >>> local(utc(2026, 11, 1, 6, 30), "America/New_York").isoformat()
    '2026-11-01T01:30:00-05:00'
    """
    return tick.astimezone(zone(timezone))


def dst_note(schedule: Schedule, tick: datetime) -> str:
    """Return what a clock change did to this tick of the schedule, "" when nothing.

    `moved from 02:30 by DST`: the wall time was skipped, the tick stands at the end of the gap. `first of two
    01:30 by DST`, `second of ...`: the wall clock shows this time twice. `every` and instants have no note.
    """
    if schedule.cron:
        return _moved(tick, list(_moved_from(schedule, tick)), schedule.timezone) or _repeated(schedule, tick)
    if schedule.at is not None and schedule.at.tzinfo is None:
        wall = local(tick, schedule.timezone).replace(tzinfo=None)
        return _moved(tick, [schedule.at] if wall != schedule.at else [], schedule.timezone) or _repeated(
            schedule, tick
        )
    return ""


def cause_of(timezone: str, change: int | datetime) -> str:
    """Return "DST", or "a zone change" when the jump at that instant has another cause (Apia's lost day)."""
    instant = datetime.fromtimestamp(change, UTC) if isinstance(change, int) else change
    before, after = (local(instant - timedelta(seconds=ago), timezone).dst() for ago in (1, 0))
    return "DST" if before != after else "a zone change"


def clock_text(wall: datetime) -> str:
    """Return `02:30`, with seconds only when there are any."""
    return f"{wall:%H:%M:%S}" if wall.second else f"{wall:%H:%M}"


def _moved_from(schedule: Schedule, tick: datetime) -> Iterator[datetime]:
    """Yield the wall times that were moved to this tick, ascending per expression."""
    instant = floor_s(tick)
    for span in clock_changes(schedule.timezone, instant, instant + 1):
        for cron in crons_of(schedule):
            yield from moved_by(cron, span)


def moved_by(cron: Cron, span: Span) -> Iterator[datetime]:
    """Yield the wall times (marked UTC) that this jump moves to its end."""
    return cron.skipped(span) if cron.runs_gap else iter(())


def _moved(tick: datetime, walls: list[datetime], timezone: str) -> str:
    if not walls:
        return ""
    ordered = sorted(set(walls))
    same_day = all(wall.date() == local(tick, timezone).date() for wall in ordered)
    texts = [clock_text(wall) if same_day else f"{wall:%Y-%m-%d} {clock_text(wall)}" for wall in ordered]
    more = f" and {len(texts) - SHOWN_MAX} more" if len(texts) > SHOWN_MAX else ""
    return f"moved from {', '.join(texts[:SHOWN_MAX])}{more} by {cause_of(timezone, tick)}"


def _repeated(schedule: Schedule, tick: datetime) -> str:
    wall = local(tick, schedule.timezone)
    if wall.replace(fold=0).utcoffset() == wall.replace(fold=1).utcoffset():
        return ""
    which = "second" if wall.fold else "first"
    return f"{which} of two {clock_text(wall)} by {_cause_of_fold(schedule.timezone, tick)}"


def _cause_of_fold(timezone: str, tick: datetime) -> str:
    """Return the cause of the fold that this ambiguous instant lies in: its jump is within a day of it."""
    instant, day_s = floor_s(tick), 86_400
    folds = [
        span
        for span in clock_changes(timezone, instant - day_s, instant + day_s)
        if span.start + span.offset < span.shown
    ]
    return cause_of(timezone, folds[0].start) if folds else "DST"
