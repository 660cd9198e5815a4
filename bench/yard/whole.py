"""Whole graphs run by dagsched, and what is told of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from yard.graphs import Edges
from yard.processes import Took, time_process
from yard.report import Figure, Report

SLOTS = 8


@dataclass(frozen=True, slots=True)
class Ran:
    """One run of a whole graph: the process, and the seconds of its work without its start and end."""

    took: Took
    inner_s: float


def run_dagsched(folder: Path, edges: Edges, work: Mapping[str, Mapping[str, Any]]) -> Ran:
    """Run the graph once on a new state, with 8 slots; `work` has the keys of each job that say what it does."""
    path = folder / "jobs.yaml"
    # JSON is YAML, and what it writes needs no second look at quoting.
    jobs = {id: {**work[id], **({"depends_on": upstream} if upstream else {})} for id, upstream in edges.items()}
    path.write_text(json.dumps({"version": 1, "jobs": jobs}, indent=1))
    words = ["run", str(path), "--once", "--slots", str(SLOTS), "--state-dir", str(folder / "state")]
    took = time_process([sys.executable, "-m", "dagsched", *words], cwd=folder)
    return Ran(took, inner_seconds(folder / "state", len(edges)))


def inner_seconds(state: Path, jobs: int) -> float:
    """Return the seconds from the first start to the last end in the store; all must have succeeded."""
    words = ["history", "--json", "--limit", "0", "--state-dir", str(state)]
    done = subprocess.run([sys.executable, "-m", "dagsched", *words], check=True, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["state"] for row in rows] == ["success"] * jobs
    started = min(datetime.fromisoformat(row["started"]) for row in rows)
    return (max(datetime.fromisoformat(row["ended"]) for row in rows) - started).total_seconds()


def run_program(program: Sequence[str], folder: Path, edges: Edges, *words: str, **more: Any) -> Ran:
    """Run the graph once with a program of bench/peers/, which tells the seconds of the run alone."""
    path = folder / "graph.json"
    path.write_text(json.dumps({"edges": edges, "slots": SLOTS, **more}))
    took = time_process([*program, str(path), *words], cwd=folder)
    return Ran(took, float((folder / "seconds").read_text()))


def add_rates(
    report: Report, label: str, jobs: int, runs: Sequence[Ran], unit: str = "job"
) -> tuple[Figure, Figure, Figure]:
    """Add jobs a second of the whole process and without its start, and processor time a job."""
    return (
        report.add(label, f"{unit}s/s", [jobs / each.took.wall_s for each in runs]),
        report.add(f"{label}, without start and end", f"{unit}s/s", [jobs / each.inner_s for each in runs]),
        report.add(f"{label}, processor a {unit}", "ms", [each.took.cpu_s / jobs * 1000 for each in runs]),
    )
