"""Figures and how they are told: a table for people, one JSON document for programs."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal

RUNS = 5

Bound = Literal["at most", "at least"]


def options(description: str, *, runs: int = RUNS) -> argparse.ArgumentParser:
    """Return a parser with what every measurement takes; the first line of `description` is its help."""
    parser = argparse.ArgumentParser(description=description.strip().splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--runs", type=int, default=runs, metavar="N", help=f"samples of each figure (default: {runs})")
    return parser


@dataclass(frozen=True, slots=True)
class Figure:
    """Samples of one quantity."""

    label: str
    unit: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.samples)

    def quantile(self, share: float) -> float:
        return quantile(self.samples, share)


def quantile(samples: Sequence[float], share: float) -> float:
    """Return the smallest sample that at least this share of all samples does not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """What was measured over its yardstick, by medians. `bound` says on which side of its goal it should be."""

    label: str
    value: float
    goal: float | None
    bound: Bound

    @property
    def verdict(self) -> str:
        if self.goal is None:
            return ""
        met = self.value <= self.goal if self.bound == "at most" else self.value >= self.goal
        return f"goal: {self.bound} {self.goal:g}, {'met' if met else 'MISSED'}"


class Report:
    """Figures and ratios in the order they are told."""

    def __init__(self, title: str) -> None:
        self.title = title
        self._figures: list[Figure] = []
        self._ratios: list[Ratio] = []
        self._missing: list[str] = []

    def add(self, label: str, unit: str, samples: Sequence[float]) -> Figure:
        """Take a figure."""
        figure = Figure(label, unit, tuple(samples))
        self._figures.append(figure)
        return figure

    def ratio(
        self,
        label: str,
        measured: Figure,
        yardstick: Figure,
        goal: float | None = None,
        bound: Bound = "at most",
    ) -> None:
        """Take the ratio of two figures' medians; rates have goals that it should be "at least"."""
        self.limit(label, measured.median / yardstick.median, goal, bound)

    def limit(self, label: str, value: float, goal: float | None = None, bound: Bound = "at most") -> None:
        """Take a value that is judged by itself, such as megabytes against a limit."""
        self._ratios.append(Ratio(label, value, goal, bound))

    def missing(self, what: str, why: str) -> None:
        """Take that something could not be measured: a table that is silent about it would look complete."""
        self._missing.append(f"{what} ({why})")

    def print(self, *, as_json: bool) -> None:
        print(json.dumps(self._document(), indent=1) if as_json else self._table(), flush=True)

    def _document(self) -> dict[str, Any]:
        return {
            "title": self.title,
            "machine": {"system": platform.system(), "python": platform.python_version(), "cores": os.cpu_count()},
            "figures": [
                {
                    "label": each.label,
                    "unit": each.unit,
                    "samples": len(each.samples),
                    "min": min(each.samples),
                    "median": each.median,
                    "p95": each.quantile(0.95),
                    "max": max(each.samples),
                }
                for each in self._figures
            ],
            "ratios": [asdict(each) for each in self._ratios],
            "not measured": self._missing,
        }

    def _table(self) -> str:
        wide = max((len(each.label) for each in [*self._figures, *self._ratios]), default=0)
        lines = [self.title, f"  {'':{wide}}  {'min':>10}  {'median':>10}  {'p95':>10}  {'max':>10}"]
        for each in self._figures:
            values = (min(each.samples), each.median, each.quantile(0.95), max(each.samples))
            numbers = "  ".join(f"{_short(value):>10}" for value in values)
            lines.append(f"  {each.label:{wide}}  {numbers}  {each.unit} (of {len(each.samples)})")
        for ratio in self._ratios:
            lines.append(f"  {ratio.label:{wide}}  {_short(ratio.value):>10}  {ratio.verdict}".rstrip())
        lines += [f"  not measured: {each}" for each in self._missing]
        return "\n".join(lines)


def _short(value: float) -> str:
    """Return three digits that count: 0.00123, 1.23, 1,230."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
