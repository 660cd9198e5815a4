"""The week ahead: how many runs begin in each quarter of an hour, what they add up to, and where they get in each
other's way.

Counted are the ticks of schedules, and for jobs without one those of the nearest schedules above them, as if each run
began at its tick and took as long as the job's newest successes did. That is no rehearsal (`dagsched simulate` is one):
it does not know that a run waits for its upstream or for a pool. But it takes a moment for a thousand jobs.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate, islice, pairwise
from typing import NamedTuple

from dagsched.model import Config, Job, JobMark
from dagsched.triggers import local, trigger_of
from dagsched.triggers.calendars import days_off
from dagsched.triggers.lint import clock_remarks
from dagsched.views.coming import Ahead

DAYS = 7
QUARTER = timedelta(minutes=15)
QUARTER_S = 900
TICKS_MAX = 7 * 24 * 60 + 60
"""A schedule that fires more often than each minute is counted as far as that."""
HERDS, HERD_LEAST = 5, 3
STEADY = 0.95
"""A job that is due in that part of all hours is steady."""
Ticks = tuple[int, ...]
"""Seconds since the epoch, increasing."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """A job that is due again before its run is over: `times` of its `ticks`, if runs take `usual_s`."""

    job: Job
    usual_s: float
    times: int
    ticks: int


@dataclass(frozen=True, slots=True)
class Short:
    """A pool of which more is asked for than it has: `need` slots on average in the quarter from `at`, its worst."""

    pool: str
    slots: int
    need: float
    at: datetime


class Herd(NamedTuple):
    """So many jobs begin at a moment; as many do `again` times at the same minute of another hour."""

    at: datetime
    jobs: int
    again: int


@dataclass(slots=True)
class Week:
    """What is to come in [begin, end). `starts` and `load` by quarter: runs that begin, and the mean number under way.

    `fewer`: runs that begin but for those of `steady` jobs, which are due in about every hour and make all hours look
    alike. `herds`: moments at which most jobs begin. `remarks`: what clock changes do, with the jobs.
    `cut`: jobs that fire too often to be counted to the end. `ticks`: those of each job that has any.
    """

    begin: datetime
    end: datetime
    starts: list[int]
    load: list[float]
    fewer: list[int] = field(default_factory=list)
    steady: list[str] = field(default_factory=list)
    herds: list[Herd] = field(default_factory=list)
    overlaps: list[Overlap] = field(default_factory=list)
    short: list[Short] = field(default_factory=list)
    remarks: list[tuple[str, str, list[str]]] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    ticks: dict[str, Ticks] = field(default_factory=dict)

    def jobs_in(self, begin: datetime, end: datetime) -> list[tuple[int, str]]:
        """Return (second, job) of each tick in [begin, end), in order."""
        low, high = int(begin.timestamp()), int(end.timestamp())
        found = []
        for job, ticks in self.ticks.items():
            place = bisect_left(ticks, low)
            while place < len(ticks) and ticks[place] < high:
                found.append((ticks[place], job))
                place += 1
        return sorted(found)


def week_of(
    config: Config,
    ahead: Ahead,
    marks: Mapping[str, JobMark],
    usual_s: Mapping[str, float],
    begin: datetime,
    end: datetime,
) -> Week:
    """Return the week of a configuration; `begin` and `end` are whole quarters of an hour."""
    quarters = int((end - begin) / QUARTER)
    week = Week(begin, end, [0] * quarters, [0.0] * quarters)
    counter = _Ticks(config, ahead, marks, week)
    minutes: Counter[int] = Counter()
    load = _Load(quarters)
    pools: dict[str, _Load] = defaultdict(lambda: _Load(quarters))
    first = int(begin.timestamp())
    for id, job in config.jobs.items():
        mark = marks.get(id)
        if not job.enabled or (mark is not None and mark.paused is not None):
            continue
        ticks = counter.of(id)
        if not ticks:
            continue
        week.ticks[id] = ticks
        minutes.update(ticks)
        if len(ticks) >= STEADY * quarters / 4:
            week.steady.append(id)
        usual = usual_s.get(id, 0.0)
        for tick in ticks:
            week.starts[(tick - first) // QUARTER_S] += 1
        if usual:
            for tick in ticks:
                load.add(tick - first, usual)
                if job.pool is not None:
                    pools[job.pool].add(tick - first, usual, job.slots)
            times = sum(later - tick < usual for tick, later in pairwise(ticks))
            if times:
                week.overlaps.append(Overlap(job, usual, times, len(ticks)))
    week.load = load.sums()
    week.fewer = list(week.starts)
    for id in week.steady:
        for tick in week.ticks[id]:
            week.fewer[(tick - first) // QUARTER_S] -= 1
    week.herds = list(_herds(minutes))
    week.overlaps.sort(key=lambda each: (-each.times, each.job.id))
    week.short = list(_short(config, {pool: each.sums() for pool, each in pools.items()}, begin))
    week.remarks = _remarks(config, begin, end)
    return week


def _herds(jobs_at: Mapping[int, int]) -> Iterator[Herd]:
    """Yield the minutes with a moment at which most jobs begin, those that are alike but for the hour once."""
    most: dict[int, int] = defaultdict(int)
    for tick, count in jobs_at.items():
        minute = tick - tick % 60
        most[minute] = max(most[minute], count)
    alike: dict[tuple[int, int], list[int]] = defaultdict(list)
    for minute, count in most.items():
        if count >= HERD_LEAST:
            alike[-count, minute % 3600].append(minute)
    for (count, _), ticks in sorted(alike.items())[:HERDS]:
        yield Herd(datetime.fromtimestamp(min(ticks), UTC), -count, len(ticks) - 1)


class _Load:
    """How much is under way in each quarter, on average; what runs cover whole is added up at the end, in one pass."""

    def __init__(self, quarters: int) -> None:
        self._edges, self._steps = [0.0] * (quarters + 1), [0.0] * (quarters + 1)

    def add(self, begin: int, length_s: float, slots: int = 1) -> None:
        """Count a run from a second of the week on."""
        end = min(begin + length_s, (len(self._edges) - 1) * float(QUARTER_S))
        first, last = begin // QUARTER_S, int(end // QUARTER_S)
        if first == last:
            self._edges[first] += (end - begin) / QUARTER_S * slots
            return
        self._edges[first] += (first + 1 - begin / QUARTER_S) * slots
        self._edges[last] += (end / QUARTER_S - last) * slots
        self._steps[first + 1] += slots
        self._steps[last] -= slots

    def sums(self) -> list[float]:
        """Return it by quarter."""
        return [edge + step for edge, step in zip(self._edges, accumulate(self._steps), strict=True)][:-1]


class _Ticks:
    """The ticks of jobs; those of each schedule are worked out once, however many jobs have them."""

    def __init__(self, config: Config, ahead: Ahead, marks: Mapping[str, JobMark], week: Week) -> None:
        self._config, self._ahead, self._marks, self._week = config, ahead, marks, week
        self._known: dict[tuple[str, ...], Ticks] = {}

    def of(self, id: str) -> Ticks:
        """Return the ticks of a job without its days off."""
        sources = self._ahead.sources_of(id)
        if sources not in self._known:
            if len(sources) == 1:
                self._known[sources] = self._own(sources[0])
            else:
                self._known[sources] = tuple(sorted({tick for each in sources for tick in self._one(each)}))
        ticks = self._known[sources]
        off = days_off(self._config.jobs[id], self._config.calendars)
        if off is None or not ticks:
            return ticks
        return tuple(tick for tick in ticks if not off.reason(datetime.fromtimestamp(tick, UTC)))

    def _one(self, source: str) -> Ticks:
        if (source,) not in self._known:
            self._known[source,] = self._own(source)
        return self._known[source,]

    def _own(self, source: str) -> Ticks:
        job, mark = self._config.jobs[source], self._marks.get(source)
        assert job.schedule is not None, "only scheduled jobs are sources of ticks"
        if not job.enabled or (mark is not None and mark.paused is not None):
            return ()
        left = TICKS_MAX
        if job.schedule.max_runs is not None:
            left = min(left, max(0, job.schedule.max_runs - (mark.started_runs if mark else 0)))
        before, last = self._week.begin - timedelta(seconds=1), self._week.end - timedelta(seconds=1)
        ticks = tuple(int(tick.timestamp()) for tick in islice(trigger_of(job.schedule).ticks(before, last), left))
        if len(ticks) == TICKS_MAX:
            self._week.cut.append(source)
        off = days_off(job, self._config.calendars)
        if off is None:
            return ticks
        return tuple(tick for tick in ticks if not off.reason(datetime.fromtimestamp(tick, UTC)))


def _short(config: Config, pools: Mapping[str, Sequence[float]], begin: datetime) -> list[Short]:
    found = []
    for pool, load in pools.items():
        worst = max(range(len(load)), key=load.__getitem__)
        if load[worst] > config.pools.get(pool, 0) > 0:
            found.append(Short(pool, config.pools[pool], load[worst], begin + worst * QUARTER))
    return found


def _remarks(config: Config, begin: datetime, end: datetime) -> list[tuple[str, str, list[str]]]:
    """Return (code, message, jobs) of what clock changes in the week do to schedules."""
    found: dict[tuple[str, str], list[str]] = {}
    for id, job in config.jobs.items():
        if job.schedule is not None and job.schedule.cron:
            for remark in clock_remarks(job.schedule, begin, end):
                found.setdefault((remark.code, remark.message), []).append(id)
    return [(code, message, jobs) for (code, message), jobs in found.items()]


# ---------------------------------------------------------------- by the hours of a zone


@dataclass(slots=True)
class Hour:
    """One hour of a local day. `begin`: its first instant, None when the clocks skip it. `is_twice`: they repeat it."""

    begin: datetime | None = None
    starts: int = 0
    load: float = 0.0
    quarters: int = 0

    @property
    def is_twice(self) -> bool:
        return self.quarters > 4


@dataclass(slots=True)
class Day:
    """A local day with its 24 hours; `is_short`: the clocks skip some of it."""

    date: date
    hours: list[Hour]
    is_short: bool = False


def by_hour(week: Week, zone: str, *, with_steady: bool = True) -> list[Day]:
    """Return the days of the week as the clocks of a zone have them; hours before its begin have no quarters."""
    counts = week.starts if with_steady else week.fewer
    found: dict[date, Day] = {}
    for place, (starts, load) in enumerate(zip(counts, week.load, strict=True)):
        at = week.begin + place * QUARTER
        there = local(at, zone)
        day = found.setdefault(there.date(), Day(there.date(), [Hour() for _ in range(24)]))
        hour = day.hours[there.hour]
        hour.begin = hour.begin or at
        hour.starts += starts
        hour.load += load / 4
        hour.quarters += 1
    days = list(found.values())
    for day in days[1:-1]:
        day.is_short = any(hour.quarters < 4 for hour in day.hours)
    return days
