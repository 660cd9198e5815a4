"""Each day's finish, and the chain of runs that determined it.

A day is finished when the last of the jobs that are due once that day has ended; where every job is due more often, all
of them count. The chain leads back from that run: from a start to the end it had waited for, whether of an upstream, of
a run that held the pool or the turn, until one that started because it was due.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from dagsched.engine.ledger import Key
from dagsched.model import Link, Run
from dagsched.rehearsal.rehearse import Rehearsed
from dagsched.rehearsal.waits import FOR_CAPACITY, Cause
from dagsched.triggers import local

LINKS_MAX = 1000


@dataclass(frozen=True, slots=True)
class Step:
    """One run on the chain. `started` is its first attempt's, `waited` its own time between ready and that.

    `because`: what it started after: "due", "upstream", "pool", "slots", "turn", or what else it waited for.
    """

    run: Run
    started: datetime
    ended: datetime
    waited: timedelta
    because: str


@dataclass(frozen=True, slots=True)
class Day:
    """One local day, `is_whole` if all of it was simulated; `runs` were started, and `finish` is None without any."""

    date: date
    is_whole: bool
    runs: int
    finish: datetime | None
    chain: tuple[Step, ...]


def days_of(rehearsed: Rehearsed, timezone: str) -> list[Day]:
    """Return the days in order, as the clocks of `timezone` count them."""
    looking = _Looking(rehearsed)
    by_date: dict[date, list[Run]] = defaultdict(list)
    for run in rehearsed.rows:
        by_date[local(max(run.tick, rehearsed.start), timezone).date()].append(run)
    first, last = local(rehearsed.start, timezone), local(rehearsed.until, timezone)
    found = []
    day = first.date()
    while day <= last.date():
        is_whole = _midnight(day, first) >= first and _midnight(day + timedelta(days=1), last) <= last
        if day < last.date() or last > _midnight(day, last):
            found.append(_day(day, is_whole, by_date.get(day, []), looking))
        day += timedelta(days=1)
    return found


def _midnight(day: date, like: datetime) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=like.tzinfo)


def _day(day: date, is_whole: bool, runs: list[Run], looking: _Looking) -> Day:
    started = [run for run in runs if run.attempts and run.ended is not None]
    ticks = Counter(run.job for run in started)
    rare = [run for run in started if ticks[run.job] == 1] or started
    last = max(rare, key=lambda run: (run.ended, run.job), default=None)
    return Day(day, is_whole, len(started), last.ended if last else None, looking.chain(last) if last else ())


class _Looking:
    """What leads from a run to the one before it on the chain."""

    def __init__(self, rehearsed: Rehearsed) -> None:
        self._rehearsed = rehearsed
        self._first_starts: dict[Key, datetime] = {}
        self._ends: Mapping[datetime, list[Run]] = defaultdict(list)
        for attempt in rehearsed.attempts:
            if attempt.number == 1:
                self._first_starts[attempt.job, attempt.tick] = attempt.started
        for attempt in rehearsed.attempts:
            run = rehearsed.virtual.row(attempt.job, attempt.tick)
            if run is not None and attempt.ended is not None:
                self._ends[attempt.ended].append(run)

    def chain(self, run: Run) -> tuple[Step, ...]:
        """Return the runs that determined when this one ended, first to last."""
        found: list[Step] = []
        seen: set[Key] = set()
        current: Run | None = run
        while current is not None and current.key not in seen and len(found) < LINKS_MAX:
            seen.add(current.key)
            before, because = self._before(current)
            started = self._first_starts.get(current.key) or current.started or current.tick
            ready = current.ready or started
            found.append(Step(current, started, current.ended or started, max(timedelta(0), started - ready), because))
            current = before
        return tuple(reversed(found))

    def _before(self, run: Run) -> tuple[Run | None, str]:
        started = self._first_starts.get(run.key)
        if started is None:
            return None, "due"
        causes = self._rehearsed.waits.spent.get(run.key, {})
        held = max((cause for cause in causes if cause is not Cause.BACKOFF), key=causes.__getitem__, default=None)
        if held is not None:
            return self._freed(run, started, held), str(held)
        above = self._upstream(run)
        if above is not None and above.ended is not None and above.ended > run.tick and above.ended >= started:
            return above, "upstream"
        return None, "due"

    def _freed(self, run: Run, started: datetime, cause: Cause) -> Run | None:
        """Return the run whose end let this one start, None if it was the time."""
        jobs = self._rehearsed.config.jobs
        for other in self._ends.get(started, ()):
            if other.key == run.key or other.job not in jobs:
                continue
            if cause is Cause.TURN and other.job == run.job:
                return other
            if cause is Cause.POOL and jobs[other.job].pool == jobs[run.job].pool:
                return other
            if cause in FOR_CAPACITY and cause is not Cause.POOL:
                return other
        return None

    def _upstream(self, run: Run) -> Run | None:
        """Return the upstream run that ended last of those it was joined with."""
        rows = [self._row_of(link) for link in run.links]
        ended = [row for row in rows if row is not None and row.ended is not None and row.attempts]
        return max(ended, key=lambda row: (row.ended, row.job), default=None)

    def _row_of(self, link: Link) -> Run | None:
        """Return the run that a link led to: the matched one, or what stood in for it."""
        row = self._rehearsed.virtual.row(link.job, link.tick) if link.tick is not None else None
        for _ in range(LINKS_MAX):
            if row is None or row.stand_in is None or link.exact:
                break
            row = self._rehearsed.virtual.row(link.job, row.stand_in)
        return row
