"""When clocks change next, from the time zone rules that the scheduler itself uses."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

HORIZON = timedelta(days=400)


def coming(zones: list[str]) -> dict[str, str]:
    """Return `clocks`: a JSON list of [zone, instant of its next change, offset before, offset after].

    Counted from the run's tick, so that a repeated attempt says the same. A zone without a change has "" there.
    """
    now = datetime.fromisoformat(os.environ["DAGSCHED_TICK"])
    rows = []
    for zone in zones:
        change = next_change(ZoneInfo(zone), now)
        after = change or now
        rows.append([zone, change.isoformat() if change else "", offset(zone, now), offset(zone, after)])
        print(*rows[-1])
    return {"clocks": json.dumps(rows)}


def next_change(zone: ZoneInfo, now: datetime) -> datetime | None:
    """Return the first second, within HORIZON after `now`, at which the zone's offset is another; None if it stays."""
    before = now.replace(microsecond=0)
    while before < now + HORIZON:
        after = before + timedelta(days=1)
        if is_change_between(zone, before, after):
            return _second_of_change(zone, before, after)
        before = after
    return None


def is_change_between(zone: ZoneInfo, before: datetime, after: datetime) -> bool:
    """Whether the zone's offset differs between the two instants."""
    return before.astimezone(zone).utcoffset() != after.astimezone(zone).utcoffset()


def _second_of_change(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        before, after = (before, middle) if is_change_between(zone, before, middle) else (middle, after)
    return after.astimezone(UTC)


def offset(zone: str, moment: datetime) -> str:
    """Return the zone's offset at that moment as +hh:mm."""
    return moment.astimezone(ZoneInfo(zone)).isoformat()[-6:]
