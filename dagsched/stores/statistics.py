"""Figures about a job's runs, computed alike for every store.

A store counts and collects; mean and percentiles are worked out here, so that two stores never disagree
about what "p95" means. Percentiles are nearest-rank: always a value that occurred.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dagsched.model import Origin, RunState

# Lengths are those of a job's newest runs: enough for a p95, and a long history is never read for them.
RUNS_MEASURED = 50
TIMELY_ORIGINS = frozenset({Origin.SCHEDULE, Origin.CATCHUP, Origin.UPSTREAM})


@dataclass(slots=True)
class Facts:
    """What a store collects about one job; `durations_ms` and `lateness_ms` in any order."""

    states: Counter[str] = field(default_factory=Counter)
    durations_ms: list[int] = field(default_factory=list)
    lateness_ms: list[int] = field(default_factory=list)
    last_success: datetime | None = None
    last_failure: datetime | None = None


def figures(job: str, facts: Facts) -> Mapping[str, Any]:
    """Return the statistics of one job as `Store.statistics` promises them."""
    return {
        "job": job,
        "total": facts.states.total(),
        **{state.value: facts.states[state.value] for state in RunState},
        "success_rate": success_rate(facts.states),
        "duration_mean_s": mean_s(facts.durations_ms),
        "duration_p50_s": percentile_s(facts.durations_ms, 50),
        "duration_p95_s": percentile_s(facts.durations_ms, 95),
        "lateness_mean_s": mean_s(facts.lateness_ms),
        "lateness_p95_s": percentile_s(facts.lateness_ms, 95),
        "last_success": facts.last_success,
        "last_failure": facts.last_failure,
    }


def success_rate(states: Counter[str]) -> float | None:
    """Return successes as a part of the runs that were tried to their end, None when there are none."""
    tried = states[RunState.SUCCESS.value] + states[RunState.FAILED.value]
    return states[RunState.SUCCESS.value] / tried if tried else None


def mean_s(values_ms: Sequence[int]) -> float | None:
    """Return the mean in seconds, None of nothing."""
    return sum(values_ms) / len(values_ms) / 1000 if values_ms else None


def percentile_s(values_ms: Sequence[int], percent: int) -> float | None:
    """Return the nearest-rank percentile in seconds, None of nothing."""
    if not values_ms:
        return None
    return sorted(values_ms)[math.ceil(len(values_ms) * percent / 100) - 1] / 1000
