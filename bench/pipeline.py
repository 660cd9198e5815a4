"""Whole pipelines of commands that do nothing, against ninja running the same graph.

Measured: `dagsched run --once --slots 8` from start to end, durable record included: jobs a second. Yardstick:
`ninja -j8`, which keeps no record, on the same graph and the same commands, in turns. Graphs: fan-out 1 -> 1000 -> 1,
20 layers of 100 jobs with 1-3 upstreams each, a chain of 200. Commands: `true`, which dagsched executes directly, and
`:;:`, which takes a shell; ninja takes a shell for both.

On the chain also: the gap between the end of an upstream and the recorded start of its downstream, and the whole
step from end to end. Yardstick: one durable append of a page and one process started and waited for, as each
step needs both.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from time import perf_counter

from yard import Report, options, scratch, time_process, write_and_sync

SLOTS = 8
COMMANDS = {"direct": "true", "sh": ":;:"}
STEPS = 100

Edges = Mapping[str, list[str]]


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
    ours: list[float] = []
    theirs: list[float] = []
    gaps: list[float] = []
    steps: list[float] = []
    needs: list[float] = []
    for _ in range(runs):
        with scratch() as folder:
            ours.append(len(edges) / run_dagsched(folder, edges, command))
            theirs.append(len(edges) / run_ninja(folder, edges, command, ninja))
            if label.startswith("chain"):
                walk = history(folder)
                gaps += [(after["started"] - before["ended"]) * 1000 for before, after in pairwise(walk)]
                steps += [(after["ended"] - before["ended"]) * 1000 for before, after in pairwise(walk)]
                needs += least_steps(folder, command)
    us = report.add(f"{label}: dagsched", "jobs/s", ours)
    peer = report.add(f"{label}: ninja", "jobs/s", theirs)
    report.ratio(f"{label}: dagsched / ninja, jobs/s", us, peer)
    if steps:
        report.add(f"{label}: gap, end of upstream to start", "ms", gaps)
        step = report.add(f"{label}: step, end to end", "ms", steps)
        least = report.add(f"{label}: one durable append and one process", "ms", needs)
        report.ratio(f"{label}: step / append and process", step, least)


def run_dagsched(folder: Path, edges: Edges, command: str) -> float:
    """Return the seconds of one `run --once` on a new state."""
    path = folder / "jobs.yaml"
    # JSON is YAML, and what it writes needs no second look at quoting.
    jobs = {id: {"run": command, **({"depends_on": upstream} if upstream else {})} for id, upstream in edges.items()}
    path.write_text(json.dumps({"version": 1, "jobs": jobs}, indent=1))
    words = ["run", str(path), "--once", "--slots", str(SLOTS), "--state-dir", str(folder / "state")]
    return time_process([sys.executable, "-m", "dagsched", *words])


def run_ninja(folder: Path, edges: Edges, command: str, ninja: str) -> float:
    """Return the seconds of one build; its outputs never appear, so that everything is always to be done."""
    lines = ["rule job", f"  command = {command}"]
    lines += [f"build {id}: job {' '.join(upstream)}".rstrip() for id, upstream in edges.items()]
    (folder / "build.ninja").write_text("\n".join([*lines, ""]))
    return time_process([ninja, "-C", str(folder), f"-j{SLOTS}"])


def history(folder: Path) -> list[dict[str, float]]:
    """Return start and end of each run in seconds, in order of their start."""
    words = ["history", "--json", "--limit", "0", "--state-dir", str(folder / "state")]
    done = subprocess.run([sys.executable, "-m", "dagsched", *words], check=True, stdout=subprocess.PIPE, text=True)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(row["state"] == "success" for row in rows)
    rows.sort(key=lambda row: row["job"])
    return [{key: datetime.fromisoformat(row[key]).timestamp() for key in ("started", "ended")} for row in rows]


def least_steps(folder: Path, command: str) -> list[float]:
    """Return the milliseconds of a durable append followed by a process, as nothing can do less for a step."""
    argv = [command] if command.isalpha() else ["/bin/sh", "-c", command]
    file = os.open(folder / "yardstick", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    samples: list[float] = []
    try:
        for _ in range(STEPS):
            start = perf_counter()
            write_and_sync(file)
            pid = os.posix_spawnp(argv[0], argv, os.environ)
            os.waitpid(pid, 0)
            samples.append((perf_counter() - start) * 1000)
    finally:
        os.close(file)
    return samples


if __name__ == "__main__":
    main()
