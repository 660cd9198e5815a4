"""*Upcoming*: the coming seven days hour by hour, what is due in one of them, and what will get in each other's way."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import islice
from statistics import median
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from dagsched.api.answers import Turned
from dagsched.api.desk import Desk
from dagsched.api.table import Query
from dagsched.errors import UnknownTimezone
from dagsched.model import Config, RunState
from dagsched.rehearsal.report import timezone_of
from dagsched.triggers import local
from dagsched.views.coming import Coming
from dagsched.web.table import Look, Page
from dagsched.web.week import DAYS, Day, Week, by_hour, week_of

USUAL_OF = 3
JOBS_MAX = 200
ROWS_MAX = 20
LEVELS = 5
HOUR = timedelta(hours=1)


class Kept(NamedTuple):
    """A week that was worked out, and what it was worked out of."""

    config: Config
    begin: datetime
    paused: frozenset[str]
    usual_s: Mapping[str, float]
    week: Week


_kept: WeakKeyDictionary[Desk, Kept] = WeakKeyDictionary()
_working: WeakKeyDictionary[Desk, asyncio.Lock] = WeakKeyDictionary()


async def data(look: Look) -> Mapping[str, Any]:
    """Return the hours of the week; the week is worked out once an hour, and when jobs change or are paused."""
    config = await look.config()
    zones = Counter(job.schedule.timezone for job in config.jobs.values() if job.schedule is not None)
    zone = look.query["zone"] or timezone_of(config)
    try:
        here = local(look.now, zone)
    except UnknownTimezone as error:
        raise Turned(400, "malformed", f"'zone': {error}") from None
    kept = await _week(look, config)
    week = kept.week
    # Where all jobs are steady, there is nothing else to show.
    with_steady = look.query["steady"] or len(week.steady) == len(week.ticks)
    days = await asyncio.to_thread(by_hour, week, zone, with_steady=with_steady)
    at = look.query["at"]
    return {
        "zone": zone,
        "here": here,
        "zones": sorted({*zones, "UTC"}, key=lambda name: (-zones[name], name))[:ROWS_MAX],
        "days": days[: DAYS + 1],
        "levels": _levels(days),
        "week": week,
        "with_steady": with_steady,
        "rows_max": ROWS_MAX,
        "at": at,
        "due": await _due(look, kept, at, with_steady) if at is not None else None,
        "local_of": lambda moment: local(moment, zone),
        "query": {
            name: "true" if value is True else value for name, value in look.query.items() if value and name != "at"
        },
    }


async def _week(look: Look, config: Config) -> Kept:
    begin = look.now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    async with _working.setdefault(look.desk, asyncio.Lock()):
        marks = await look.marks()
        paused = frozenset(id for id, mark in marks.items() if mark.paused is not None)
        known = _kept.get(look.desk)
        if known is not None and known.config is config and (known.begin, known.paused) == (begin, paused):
            return known
        usual_s = await _usual_s(look, config)
        ahead = await look.ahead()
        end = begin + timedelta(days=DAYS)
        week = await asyncio.to_thread(week_of, config, ahead, marks, usual_s, begin, end)
        _kept[look.desk] = kept = Kept(config, begin, paused, usual_s, week)
        return kept


async def _usual_s(look: Look, config: Config) -> dict[str, float]:
    newest = await look.desk.store.newest(list(config.jobs), USUAL_OF)
    found = {}
    for job, runs in newest.items():
        took = [
            (run.ended - run.started).total_seconds()
            for run in runs
            if run.state is RunState.SUCCESS and run.ended and run.started
        ]
        if took:
            found[job] = median(took)
    return found


def _levels(days: list[Day]) -> dict[datetime, int]:
    """Return how full each hour is, from 0 (nothing begins) to LEVELS (the fullest of the week)."""
    most = max((hour.starts for day in days for hour in day.hours), default=0)
    return {
        hour.begin: -(-hour.starts * LEVELS // most)
        for day in days
        for hour in day.hours
        if hour.begin is not None and most
    }


async def _due(look: Look, kept: Kept, at: datetime, with_steady: bool) -> Mapping[str, Any]:
    """Return what is due in the hour that begins at an instant, with local times and what a clock change does."""
    left_out = frozenset() if with_steady else frozenset(kept.week.steady)
    ticks = [tick for tick in kept.week.jobs_in(at, at + HOUR) if tick[1] not in left_out]
    ahead = await look.ahead()

    def told() -> list[tuple[Coming, float | None]]:
        found = []
        for second, job in ticks[:JOBS_MAX]:
            tick = datetime.fromtimestamp(second, UTC)
            for coming in islice(ahead.of(job, tick - timedelta(seconds=1)), 1):
                found.append((coming, kept.usual_s.get(job)))
        return found

    return {"rows": await asyncio.to_thread(told), "number": len(ticks)}


PAGE = Page(
    "/upcoming",
    "Upcoming",
    "upcoming.html",
    data,
    in_menu=True,
    query=[
        Query("zone", "text", "The time zone of days and hours."),
        Query("steady", "flag", "Whether jobs are counted that are due in every hour.", False),
        Query("at", "instant", "The begin of an hour whose jobs are listed."),
    ],
)
