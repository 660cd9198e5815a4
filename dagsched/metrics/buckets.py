"""Lengths counted in buckets, as Prometheus wants them: cumulative, by upper bound."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

WAITS_S = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
LENGTHS_S = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)


class Buckets:
    """Counts by upper bound in seconds, ascending."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self.sum_s = 0.0

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Buckets:
        """Return the buckets that a daemon tells in its status."""
        made = cls(said["bounds_s"])
        made._counts, made.sum_s = list(said["counts"]), float(said["sum_s"])
        return made

    def add(self, length_s: float) -> None:
        """Count one; a clock that was set back makes no length negative."""
        length_s = max(0.0, length_s)
        self._counts[bisect_left(self._bounds, length_s)] += 1
        self.sum_s += length_s

    def cumulative(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many were at most that), the last bound being +Inf."""
        names = [*(str(bound) for bound in self._bounds), "+Inf"]
        return list(zip(names, map(float, accumulate(self._counts)), strict=True))
