"""Whole pipelines of commands that do nothing, against ninja running the same graph.

Measured: `dagsched run --once --slots 8` from start to end, durable record included: jobs a second, and processor
time a job, commands included. Yardstick: `ninja -j8`, which keeps no durable record, on the same graph and the same
commands, in turns. Graphs: fan-out 1 -> 1000 -> 1, 20 layers of 100 jobs with 1-3 upstreams each, a chain of 200.
Commands: the program `true`, which dagsched executes directly, and the shell's builtin of that name; ninja takes a
shell for both.

On the chain also: the gap between the end of an upstream and the start of its downstream as the store has them
(both are decided in one step, so it is the time until the end was heard of), and the whole step from end to end.
Yardstick: one durable append of a page and one process started and waited for, as each step needs both.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from yard import Report, Took, options, scratch, time_process, write_and_sync

SLOTS = 8
COMMANDS = {"direct": shutil.which("true") or "/usr/bin/true", "sh": "true"}
STEPS = 100

Edges = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when a run went on, in seconds."""

    started: float
    ended: float


def fan() -> Edges:
    """1 -> 1000 -> 1."""
    middle = [f"shard-{number:04}" for number in range(1000)]
    return {"split": [], **{id: ["split"] for id in middle}, "join": middle}


def layers() -> Edges:
    """20 layers of 100; each job waits for 1-3 of the layer before."""
    dice = random.Random(20)
    edges: dict[str, list[str]] = {}
    before: list[str] = []
    for layer in range(20):
        ids = [f"layer-{layer:02}-{number:03}" for number in range(100)]
        edges |= {id: sorted(dice.sample(before, dice.randint(1, 3))) if before else [] for id in ids}
        before = ids
    return edges


def chain() -> Edges:
    """200 jobs, each after the one before."""
    ids = [f"link-{number:03}" for number in range(200)]
    return {ids[0]: [], **{id: [before] for before, id in pairwise(ids)}}


GRAPHS: dict[str, Callable[[], Edges]] = {"fan": fan, "layers": layers, "chain": chain}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--graph", choices=GRAPHS, action="append", help="only this one (default: all)")
    args = parser.parse_args()
    ninja = find_ninja()
    report = Report(f"pipeline: no-op jobs a second, whole process, {SLOTS} at a time")
    for name in args.graph or GRAPHS:
        for kind, command in COMMANDS.items():
            compare(report, f"{name}, {kind}", GRAPHS[name](), command, ninja, args.runs)
    report.print(as_json=args.json)


def find_ninja() -> str:
    """Return the ninja of this environment, else the one on PATH."""
    found = shutil.which("ninja", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if found is None:
        raise SystemExit("there is no ninja; fix: python -m pip install ninja")
    return found


def compare(report: Report, label: str, edges: Edges, command: str, ninja: str, runs: int) -> None:
    """Add the figures of one graph with one kind of command."""
    ours: list[Took] = []
    theirs: list[Took] = []
    walks: list[list[Span]] = []
    least: list[float] = []
    for _ in range(runs):
        with scratch() as folder:
            ours.append(run_dagsched(folder, edges, command))
            walks.append(history(folder))
            theirs.append(run_ninja(folder, edges, command, ninja))
            least += least_steps(folder, command)
    compare_whole(report, label, len(edges), ours, theirs)
    inner = [len(walk) / (walk[-1].ended - walk[0].started) for walk in walks]
    report.add(f"{label}: dagsched, first start to last end", "jobs/s", inner)
    if label.startswith("chain"):
        compare_steps(report, label, walks, least)


def compare_whole(report: Report, label: str, jobs: int, ours: list[Took], theirs: list[Took]) -> None:
    us = report.add(f"{label}: dagsched", "jobs/s", [jobs / each.wall_s for each in ours])
    peer = report.add(f"{label}: ninja", "jobs/s", [jobs / each.wall_s for each in theirs])
    us_cpu = report.add(f"{label}: dagsched, processor a job", "ms", [each.cpu_s / jobs * 1000 for each in ours])
    peer_cpu = report.add(f"{label}: ninja, processor a job", "ms", [each.cpu_s / jobs * 1000 for each in theirs])
    report.ratio(f"{label}: dagsched / ninja, jobs/s", us, peer)
    report.ratio(f"{label}: dagsched / ninja, processor a job", us_cpu, peer_cpu)


def compare_steps(report: Report, label: str, walks: list[list[Span]], least: list[float]) -> None:
    pairs = [pair for walk in walks for pair in pairwise(walk)]
    gaps = [(after.started - before.ended) * 1000 for before, after in pairs]
    report.add(f"{label}: gap, end of upstream to start", "ms", gaps)
    step = report.add(f"{label}: step, end to end", "ms", [(b.ended - a.ended) * 1000 for a, b in pairs])
    need = report.add(f"{label}: one append, one process", "ms", least)
    report.ratio(f"{label}: step / append and process", step, need)


def run_dagsched(folder: Path, edges: Edges, command: str) -> Took:
    """Run the graph once on a new state."""
    path = folder / "jobs.yaml"
    # JSON is YAML, and what it writes needs no second look at quoting.
    jobs = {id: {"run": command, **({"depends_on": upstream} if upstream else {})} for id, upstream in edges.items()}
    path.write_text(json.dumps({"version": 1, "jobs": jobs}, indent=1))
    words = ["run", str(path), "--once", "--slots", str(SLOTS), "--state-dir", str(folder / "state")]
    return time_process([sys.executable, "-m", "dagsched", *words])


def run_ninja(folder: Path, edges: Edges, command: str, ninja: str) -> Took:
    """Build the graph once; its outputs never appear, so that everything is always to be done."""
    lines = ["rule job", f"  command = {command}"]
    lines += [f"build {id}: job {' '.join(upstream)}".rstrip() for id, upstream in edges.items()]
    (folder / "build.ninja").write_text("\n".join([*lines, ""]))
    return time_process([ninja, "-C", str(folder), f"-j{SLOTS}"])


def history(folder: Path) -> list[Span]:
    """Return the span of each run in order of their ends; all must have succeeded."""
    words = ["history", "--json", "--limit", "0", "--state-dir", str(folder / "state")]
    done = subprocess.run([sys.executable, "-m", "dagsched", *words], check=True, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row["state"] == "success" for row in rows)
    spans = [Span(*(datetime.fromisoformat(row[key]).timestamp() for key in ("started", "ended"))) for row in rows]
    return sorted(spans, key=lambda span: (span.ended, span.started))


def least_steps(folder: Path, command: str) -> list[float]:
    """Return the milliseconds of a durable append followed by a process, as nothing can do less for a step."""
    argv = [command] if command == COMMANDS["direct"] else ["/bin/sh", "-c", command]
    file = os.open(folder / "yardstick", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    samples: list[float] = []
    try:
        for _ in range(STEPS):
            start = perf_counter()
            write_and_sync(file)
            pid = os.posix_spawn(argv[0], argv, os.environ)
            os.waitpid(pid, 0)
            samples.append((perf_counter() - start) * 1000)
    finally:
        os.close(file)
    return samples


if __name__ == "__main__":
    main()
