"""Whole pipelines of commands that do nothing, against ninja and other schedulers running the same graph.

Measured: `dagsched run --once --slots 8`, durable record and captured output included. Graphs: fan-out
1 -> 1000 -> 1 and 20 layers of 100 jobs with 1-3 upstreams each: jobs a second, of the whole process and from the
first start to the last end, and processor time a job, commands included. A chain of 500: the step from one job to
the next. Commands: a program, which dagsched executes directly, and a builtin of the shell; ninja takes a shell for
both.

Yardstick: `ninja -j8`, which keeps no durable record, on the same graph and commands, in turns. Beside it, for
programs alone, doit and Luigi with eight processes and Dagster in one, as their users run them (bench/peers/).
Luigi and Dagster take minutes for such graphs: they get graphs of 200, and their start is not counted. Dagster's goal
is for `ephemeral`, its record in memory; `sqlite` is beside it.

A second yardstick is a limit: a loop of a few lines that keeps the same durable record and each command's output, and
does nothing else (bench/peers/run_least.py). What is between it and ninja, nothing written in Python can gain.

The chain's step is measured by its commands: a program leaves a file with the time in it, the shell writes to a pipe
whose other end takes the time. The same commands run on both sides, and differences know nothing of the start. For
scale: one durable append of a page and one process started and waited for, which each step needs.
"""

from __future__ import annotations

import os
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

from yard import Figure, Report, options, quantile, scratch, time_process, write_and_sync
from yard.graphs import Edges, chain, fan, layers
from yard.peers import PROGRAMS, look_for, peer_command, peer_program
from yard.whole import SLOTS, Ran, add_rates, run_dagsched, run_program

STEPS = 100
KINDS = ("direct", "sh")
TRUE = {"direct": shutil.which("true") or "/usr/bin/true", "sh": "true"}
# How many times as many jobs a second as ninja, and at most how many times as long a step: median, 95th percentile.
RATES = {"direct": 1.0, "sh": 0.8}
STEP_P50 = {"direct": 1.2, "sh": 1.6}
STEP_P95 = 2.0
END = b"end"


@dataclass(frozen=True, slots=True)
class Peer:
    """A scheduler with a program in bench/peers/, and how many times as many jobs a second dagsched should do.

    One that takes minutes for the whole graph has a `small` one, and its start is not counted.
    """

    name: str
    goal: float | None
    words: tuple[str, ...] = ()
    small: bool = True

    @property
    def label(self) -> str:
        return " ".join([self.name, *self.words])


PEERS = (
    Peer("doit", 2, small=False),
    Peer("luigi", 10),
    Peer("dagster", 50, ("ephemeral",)),
    Peer("dagster", None, ("sqlite",)),
)
# The whole graph, and one of 200.
GRAPHS: dict[str, tuple[Callable[[], Edges], Callable[[], Edges]]] = {
    "fan": (fan, lambda: fan(198)),
    "layers": (layers, lambda: layers(10)),
}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--graph", choices=[*GRAPHS, "chain"], action="append", help="only this one (default: all)")
    args = parser.parse_args()
    report = Report(f"pipeline: no-op commands, {SLOTS} at a time")
    ninja = look_for(report, "ninja", lambda: [peer_command("ninja")])
    peers = {peer: look_for(report, peer.label, partial(peer_program, peer.name)) for peer in PEERS}
    programs = {peer: program for peer, program in peers.items() if program}
    for kind in KINDS:
        for name in args.graph or [*GRAPHS, "chain"]:
            if name == "chain":
                compare_steps(report, f"chain, {kind}", kind, ninja, args.runs)
            else:
                compare_graph(report, name, kind, ninja, programs if kind == "direct" else {}, args.runs)
    report.print(as_json=args.json)


# ---------------------------------------------------------------- whole graphs


def compare_graph(
    report: Report, name: str, kind: str, ninja: list[str] | None, peers: Mapping[Peer, list[str]], runs: int
) -> None:
    """Add the figures of one graph with one kind of command."""
    edges, small = (make() for make in GRAPHS[name])
    commands = dict.fromkeys(edges, TRUE[kind])
    ours: list[Ran] = []
    builds: list[Ran] = []
    least: list[Ran] = []
    theirs: dict[Peer, list[Ran]] = {peer: [] for peer in peers}
    for _ in range(runs):
        with scratch() as folder:
            ours.append(run_commands(folder, edges, commands))
            least.append(run_least(kind, folder, edges, commands))
            if ninja:
                builds.append(run_ninja(ninja, folder, edges, commands))
        for peer, samples in theirs.items():
            with scratch() as folder:
                graph = small if peer.small else edges
                samples.append(run_program(peers[peer], folder, graph, *peer.words, command=[TRUE["direct"]]))
    label = f"{name}, {kind}"
    us, us_inner, us_cpu = add_rates(report, f"{label}: dagsched", len(edges), ours)
    if builds:
        rate, inner, cpu = add_rates(report, f"{label}: ninja", len(edges), builds)
        report.ratio(f"{label}: dagsched / ninja, jobs/s", us, rate, RATES[kind], "at least")
        report.ratio(f"{label}: dagsched / ninja, jobs/s without start and end", us_inner, inner)
        report.ratio(f"{label}: dagsched / ninja, processor a job", us_cpu, cpu)
    rate, inner, cpu = add_rates(report, f"{label}: durable loop", len(edges), least)
    report.ratio(f"{label}: dagsched / durable loop, jobs/s", us, rate)
    report.ratio(f"{label}: dagsched / durable loop, jobs/s without start and end", us_inner, inner)
    report.ratio(f"{label}: dagsched / durable loop, processor a job", us_cpu, cpu)
    for peer, samples in theirs.items():
        jobs, size = (len(small), ", 200 jobs") if peer.small else (len(edges), "")
        rate, inner, _ = add_rates(report, f"{label}: {peer.label}{size}", jobs, samples)
        # A start weighs more in a small graph; that it is left out is to the peer's advantage.
        rate = inner if peer.small else rate
        report.ratio(f"{label}: dagsched / {peer.label}, jobs/s", us, rate, peer.goal, "at least")


def run_commands(folder: Path, edges: Edges, commands: Mapping[str, str]) -> Ran:
    """Run the graph once by dagsched."""
    return run_dagsched(folder, edges, {id: {"run": command} for id, command in commands.items()})


def run_least(kind: str, folder: Path, edges: Edges, commands: Mapping[str, str]) -> Ran:
    """Run the graph once by a loop that keeps the same record and does nothing else."""
    shell = ["/bin/sh", "-c"]
    words = {id: shlex.split(line) if kind == "direct" else [*shell, line] for id, line in commands.items()}
    return run_program([sys.executable, str(PROGRAMS / "run_least.py")], folder, edges, commands=words)


def run_ninja(ninja: Sequence[str], folder: Path, edges: Edges, commands: Mapping[str, str]) -> Ran:
    """Build the graph once; its outputs never appear, so that everything is always to be done."""
    lines = ["rule job", "  command = $do"]
    for id, upstream in edges.items():
        lines += [f"build {id}: job {' '.join(upstream)}".rstrip(), f"  do = {commands[id]}"]
    (folder / "build.ninja").write_text("\n".join([*lines, ""]))
    took = time_process([*ninja, "-C", str(folder), f"-j{SLOTS}"])
    return Ran(took, ninja_seconds(folder / ".ninja_log", len(edges)))


def ninja_seconds(log: Path, jobs: int) -> float:
    """Return the seconds from the first start to the last end in ninja's log, whose lines begin with both in ms."""
    rows = [line.split("\t") for line in log.read_text().splitlines() if not line.startswith("#")]
    assert len(rows) == jobs
    return (max(int(row[1]) for row in rows) - min(int(row[0]) for row in rows)) / 1000


# ---------------------------------------------------------------- the step of a chain


def compare_steps(report: Report, label: str, kind: str, ninja: list[str] | None, runs: int) -> None:
    """Add median and 95th percentile of the step in a chain, each run's by itself."""
    ours: list[list[float]] = []
    theirs: list[list[float]] = []
    loops: list[list[float]] = []
    least: list[float] = []
    for _ in range(runs):
        ours.append(steps_ms(kind, run_commands))
        loops.append(steps_ms(kind, partial(run_least, kind)))
        if ninja:
            theirs.append(steps_ms(kind, lambda *graph: run_ninja(ninja, *graph)))
        with scratch() as folder:
            least += least_steps(folder, TRUE[kind], kind)
    p50, p95 = add_steps(report, f"{label}: dagsched", ours)
    loop_p50, _ = add_steps(report, f"{label}: durable loop", loops)
    need = report.add(f"{label}: one append, one process", "ms", least)
    if theirs:
        peer_p50, peer_p95 = add_steps(report, f"{label}: ninja", theirs)
        report.ratio(f"{label}: dagsched / ninja, step, p50", p50, peer_p50, STEP_P50[kind])
        report.ratio(f"{label}: dagsched / ninja, step, p95", p95, peer_p95, STEP_P95)
    report.ratio(f"{label}: dagsched / durable loop, step, p50", p50, loop_p50)
    report.ratio(f"{label}: step, p50 / append and process", p50, need)


def add_steps(report: Report, label: str, steps: Sequence[Sequence[float]]) -> tuple[Figure, Figure]:
    return (
        report.add(f"{label}, step, p50 of a run", "ms", [quantile(each, 0.5) for each in steps]),
        report.add(f"{label}, step, p95 of a run", "ms", [quantile(each, 0.95) for each in steps]),
    )


def steps_ms(kind: str, run: Callable[[Path, Edges, Mapping[str, str]], object]) -> list[float]:
    """Return the milliseconds from each job of a chain to the next, as their commands tell them."""
    edges = chain()
    with scratch() as folder:
        if kind == "direct":
            # `touch` without a time takes the kernel's clock of files, which may stand still for 4 ms; with one it
            # reads the real clock. A day earlier makes no difference to differences.
            run(folder, edges, {id: f"touch -d yesterday {id}.stamp" for id in edges})
            stamps = [(folder / f"{id}.stamp").stat().st_mtime_ns for id in edges]
        else:
            pipe = folder / "pipe"
            os.mkfifo(pipe)
            with arrivals(pipe) as stamps:
                run(folder, edges, dict.fromkeys(edges, "echo >pipe"))
    assert len(stamps) == len(edges)
    return [(after - before) / 1e6 for before, after in pairwise(stamps)]


@contextmanager
def arrivals(pipe: Path) -> Iterator[list[int]]:
    """Give a list of the nanoseconds at which lines arrived in a pipe; it is complete when the block is left."""
    stamps: list[int] = []
    # Open for both, so that no writer waits for a reader and no end of a writer is the end of the file.
    file = os.open(pipe, os.O_RDWR)

    def read() -> None:
        ended = False
        while not ended:
            lines = os.read(file, 4096)
            stamps.extend([time.monotonic_ns()] * lines.count(b"\n"))
            ended = lines.endswith(END)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield stamps
    finally:
        os.write(file, END)
        reader.join()
        os.close(file)


def least_steps(folder: Path, command: str, kind: str) -> list[float]:
    """Return the milliseconds of a durable append followed by a process, as nothing durable can do less for a step."""
    argv = [command] if kind == "direct" else ["/bin/sh", "-c", command]
    file = os.open(folder / "yardstick", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    samples: list[float] = []
    try:
        for _ in range(STEPS):
            start = time.perf_counter()
            write_and_sync(file)
            pid = os.posix_spawn(argv[0], argv, os.environ)
            os.waitpid(pid, 0)
            samples.append((time.perf_counter() - start) * 1000)
    finally:
        os.close(file)
    return samples


if __name__ == "__main__":
    main()
