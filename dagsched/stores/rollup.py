"""Figures of a job's runs by day, small enough to be kept for ever and to be added up to weeks and months.

Counts, sums and extremes are exact. Percentiles come from a histogram whose bins grow by a fifth: what it says is at
most a tenth off. Two of these can be added, and one that is part of another taken away again, so that runs which
retention deletes can move from what is counted in the ledger to what is remembered without being counted twice.
A day is one of UTC, and a row counts on that of its last tick.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple

from dagsched.model import RunState
from dagsched.stores.statistics import success_rate

DAY_MS = 86_400_000
PERIODS = ("day", "week", "month")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BINS_PER_DOUBLING = 4


class RowFacts(NamedTuple):
    """What one row that is over adds to its day; `day_ms`: its beginning. None: never tried, or by a person."""

    job: str
    day_ms: int
    state: str
    duration_ms: int | None
    lateness_ms: int | None


@dataclass(slots=True)
class Spread:
    """How some lengths are spread, in ms: how many, their sum, extremes and histogram."""

    count: int = 0
    total_ms: int = 0
    least_ms: int | None = None
    most_ms: int | None = None
    bins: Counter[int] = field(default_factory=Counter)

    def take(self, value_ms: int) -> None:
        """Add one length."""
        self.count += 1
        self.total_ms += value_ms
        self.bins[_bin_of(value_ms)] += 1
        if self.least_ms is None or value_ms < self.least_ms:
            self.least_ms = value_ms
        if self.most_ms is None or value_ms > self.most_ms:
            self.most_ms = value_ms

    def merge(self, other: Spread) -> None:
        """Add all of another."""
        self.count += other.count
        self.total_ms += other.total_ms
        self.bins.update(other.bins)
        for value in (other.least_ms, other.most_ms):
            if value is not None:
                self.least_ms = value if self.least_ms is None else min(self.least_ms, value)
                self.most_ms = value if self.most_ms is None else max(self.most_ms, value)

    def without(self, other: Spread) -> Spread:
        """Return this less what `other` had brought; the extremes stay."""
        bins = +(self.bins - other.bins)
        count = max(0, self.count - other.count)
        if not count:
            return Spread()
        return Spread(count, max(0, self.total_ms - other.total_ms), self.least_ms, self.most_ms, bins)

    def mean_s(self) -> float | None:
        """Return the mean in seconds, None of nothing."""
        return self.total_ms / self.count / 1000 if self.count else None

    def percentile_s(self, percent: int) -> float | None:
        """Return a percentile in seconds, at most a tenth off, None of nothing."""
        wanted = math.ceil(self.bins.total() * percent / 100)
        for number in sorted(self.bins):
            wanted -= self.bins[number]
            if wanted <= 0 and self.least_ms is not None and self.most_ms is not None:
                return min(max(_middle_of(number), self.least_ms), self.most_ms) / 1000
        return None

    def as_list(self) -> list[Any]:
        """Return it as JSON-able data."""
        return [self.count, self.total_ms, self.least_ms, self.most_ms, sorted(self.bins.items())]

    @classmethod
    def of(cls, data: Sequence[Any]) -> Spread:
        """Return what `as_list` returned."""
        count, total, least, most, bins = data
        return cls(count, total, least, most, Counter(dict(map(tuple, bins))))


@dataclass(slots=True)
class Rollup:
    """The figures of some rows that are over."""

    states: Counter[str] = field(default_factory=Counter)
    duration: Spread = field(default_factory=Spread)
    lateness: Spread = field(default_factory=Spread)

    def take(self, facts: RowFacts) -> None:
        """Add one row."""
        self.states[facts.state] += 1
        if facts.duration_ms is not None:
            self.duration.take(facts.duration_ms)
        if facts.lateness_ms is not None:
            self.lateness.take(facts.lateness_ms)

    def merge(self, other: Rollup) -> None:
        """Add all of another."""
        self.states.update(other.states)
        self.duration.merge(other.duration)
        self.lateness.merge(other.lateness)

    def without(self, other: Rollup) -> Rollup:
        """Return this less what `other` had brought."""
        states = +(self.states - other.states)
        return Rollup(states, self.duration.without(other.duration), self.lateness.without(other.lateness))

    def as_text(self) -> str:
        """Return it as compact JSON."""
        body = [sorted(self.states.items()), self.duration.as_list(), self.lateness.as_list()]
        return json.dumps(body, separators=(",", ":"))

    @classmethod
    def of(cls, text: str) -> Rollup:
        """Return what `as_text` returned; raises ValueError or TypeError on anything else."""
        states, duration, lateness = json.loads(text)
        return cls(Counter(dict(map(tuple, states))), Spread.of(duration), Spread.of(lateness))


Days = dict[tuple[str, int], Rollup]
"""By job and the beginning of the day, in ms since the epoch."""


def rolled_up(rows: Iterable[RowFacts]) -> Days:
    """Return the figures of these rows by job and day."""
    found: Days = {}
    for facts in rows:
        found.setdefault((facts.job, facts.day_ms), Rollup()).take(facts)
    return found


def add_days(to: Days, more: Days) -> None:
    """Add figures to others."""
    for key, rollup in more.items():
        to.setdefault(key, Rollup()).merge(rollup)


def day_of(ms: int) -> int:
    """Return the beginning of the day of an instant, both in ms since the epoch."""
    return ms - ms % DAY_MS


def period_of(day_ms: int, by: str) -> datetime:
    """Return the first instant of the day, the week (from Monday) or the month that a day lies in."""
    day = _EPOCH + timedelta(milliseconds=day_ms)
    if by == "week":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if by == "month" else day


def trends(days: Days, by: str) -> list[Mapping[str, Any]]:
    """Return the figures per job and period, as `Store.statistics` promises them, in order of job and period."""
    found: dict[tuple[str, datetime], Rollup] = {}
    for (job, day_ms), rollup in days.items():
        found.setdefault((job, period_of(day_ms, by)), Rollup()).merge(rollup)
    return [_figures(job, start, by, found[job, start]) for job, start in sorted(found)]


def _figures(job: str, start: datetime, by: str, rollup: Rollup) -> Mapping[str, Any]:
    states = rollup.states
    return {
        "job": job,
        by: start,
        "total": states.total(),
        **{state.value: states[state.value] for state in RunState if state.is_terminal},
        "success_rate": success_rate(states),
        "duration_mean_s": rollup.duration.mean_s(),
        "duration_p50_s": rollup.duration.percentile_s(50),
        "duration_p95_s": rollup.duration.percentile_s(95),
        "duration_max_s": None if rollup.duration.most_ms is None else rollup.duration.most_ms / 1000,
        "lateness_mean_s": rollup.lateness.mean_s(),
        "lateness_p95_s": rollup.lateness.percentile_s(95),
    }


@lru_cache(maxsize=4096)
def _bin_of(value_ms: int) -> int:
    return math.floor(math.log2(max(value_ms, 0) + 1) * _BINS_PER_DOUBLING)


def _middle_of(number: int) -> int:
    return round(2 ** ((number + 0.5) / _BINS_PER_DOUBLING) - 1)
