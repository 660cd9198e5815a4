"""How long something takes, counted in buckets: a bisection and three additions for each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from typing import Any

COMMIT_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class Histogram:
    """Counts by upper bound in seconds, ascending; what is longer than the last is counted beyond it."""

    __slots__ = ("bounds", "counts", "sum_s")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(self.bounds) + 1)
        self.sum_s = 0.0

    def took(self, length_s: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, length_s)] += 1
        self.sum_s += length_s

    def as_json(self) -> Mapping[str, Any]:
        """Return bounds, counts (one more than bounds) and the sum, JSON-able."""
        return {"bounds_s": list(self.bounds), "counts": list(self.counts), "sum_s": round(self.sum_s, 6)}
