"""Python functions that do nothing, against Huey on SQLite and Dask.

Measured: 2,000 jobs of `handler: python` in 20 layers of 100 with 1-3 upstreams each, by
`dagsched run --once --slots 8` on a new state: functions a second of the whole process and from the first start to the
last end, and processor time a function. With `reuse: true`, as the workers of all these peers do many functions each,
and with a process for each function, which none of them gives.

Yardstick: Huey on SQLite with 2,000 tasks that wait for nothing, in turns: a process that enqueues them, then its
consumer until the queue is empty. Both together, and the consumption from the first task taken to the last. `durable`
is Huey as it comes, a commit being on the disk; `not durable` is its `fsync=False`. Four ways to have workers are
tried; goals are against the best of the durable ones. And Dask, which keeps no record: the same graph as delayed
functions, on two worker processes of four threads, with and without start and end of that cluster, and on threads of
one process.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from yard import ENV, Report, Took, options, scratch
from yard.graphs import layers
from yard.peers import PROGRAMS, look_for, peer_command, peer_program, peer_python
from yard.processes import children_cpu_s
from yard.whole import Ran, add_rates, run_dagsched, run_program

NOOP = {"handler": "python", "with": {"function": "noop:noop", "path": str(PROGRAMS), "reuse": True}}
ALONE = {"handler": "python", "with": {"function": "noop:noop", "path": str(PROGRAMS)}}
GOALS = {"huey": 1, "dask": 5}
WORKERS = (("thread", 1), ("thread", 4), ("process", 1), ("process", 2))
FSYNC = {"durable": "1", "not durable": "0"}
# Between two looks whether the queue is empty; a look costs the consumer's database next to nothing.
LOOK_S = 0.005
END_S = 10
SETTLED_S = 1


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--wide", type=int, default=100, metavar="N", help="jobs in each of the 20 layers (100)")
    args = parser.parse_args()
    edges = layers(args.wide)
    report = Report(f"functions: {len(edges):,} no-op Python functions")
    huey = look_for(report, "huey", lambda: (peer_python("huey"), peer_command("huey_consumer")))
    dask = look_for(report, "dask", lambda: (peer_python("distributed"), peer_program("dask"))[1])
    ours: list[Ran] = []
    alone: list[Ran] = []
    hueys: dict[str, list[Ran]] = {}
    dasks: dict[str, list[Ran]] = {}
    for _ in range(args.runs):
        with scratch() as folder:
            ours.append(run_dagsched(folder, edges, dict.fromkeys(edges, NOOP)))
        with scratch() as folder:
            alone.append(run_dagsched(folder, edges, dict.fromkeys(edges, ALONE)))
        if huey:
            for durability, fsync in FSYNC.items():
                for kind, workers in WORKERS:
                    label = f"huey, {durability}, {kind} x {workers}"
                    with scratch() as folder:
                        hueys.setdefault(label, []).append(run_huey(huey, folder, len(edges), fsync, kind, workers))
        if dask:
            for scheduler in ("cluster", "threads"):
                with scratch() as folder:
                    dasks.setdefault(f"dask, {scheduler}", []).append(run_program(dask, folder, edges, scheduler))
    add_rates(report, "dagsched, a process for each function", len(edges), alone, "function")
    tell(report, len(edges), ours, hueys, dasks)
    report.print(as_json=args.json)


def tell(report: Report, count: int, ours: list[Ran], hueys: dict[str, list[Ran]], dasks: dict[str, list[Ran]]) -> None:
    """Add what was measured and the ratios."""
    us, us_inner, us_cpu = add_rates(report, "dagsched", count, ours, "function")
    rates = {label: add_rates(report, label, count, runs, "function") for label, runs in (hueys | dasks).items()}
    durable = [rates[label] for label in hueys if ", durable" in label]
    if durable:
        whole, _, cpu = max(durable, key=lambda figures: figures[0].median)
        inner = max((figures[1] for figures in durable), key=lambda figure: figure.median)
        loose = max((rates[label][0] for label in hueys if ", not" in label), key=lambda figure: figure.median)
        report.ratio("dagsched / huey, durable, enqueue and consume", us, whole, GOALS["huey"], "at least")
        report.ratio("dagsched, first start to last end / huey, durable, consumption alone", us_inner, inner)
        report.ratio("dagsched / huey, durable, processor a function", us_cpu, cpu)
        report.ratio("dagsched / huey, not durable, enqueue and consume", us, loose)
    if dasks:
        whole, inner, _ = rates["dask, cluster"]
        report.ratio("dagsched / dask, cluster, with its start", us, whole, GOALS["dask"], "at least")
        label = "dagsched, first start to last end / dask, cluster, without its start"
        report.ratio(label, us_inner, inner, GOALS["dask"], "at least")
        report.ratio("dagsched / dask, threads of one process", us, rates["dask, threads"][0])


# ---------------------------------------------------------------- Huey


def run_huey(huey: tuple[str, str], folder: Path, count: int, fsync: str, kind: str, workers: int) -> Ran:
    """Enqueue that many tasks and have them consumed; `inner_s` is the consumption from the first taken to the last."""
    python, consumer = huey
    file = folder / "huey.db"
    env = {**ENV, "HUEY_FILE": str(file), "HUEY_FSYNC": fsync, "PYTHONPATH": str(PROGRAMS)}
    start, used = time.perf_counter(), children_cpu_s()
    subprocess.run([python, "-c", f"import huey_tasks; huey_tasks.enqueue({count})"], env=env, check=True)
    inner_s = consume(consumer, file, env, count, ["-k", kind, "-w", str(workers)])
    return Ran(Took(time.perf_counter() - start - SETTLED_S, children_cpu_s() - used), inner_s)


def consume(consumer: str, file: Path, env: dict[str, str], count: int, how: Sequence[str]) -> float:
    """Run the consumer until the queue is empty, and end it; return the seconds from the first task to the last."""
    # Polls often, and neither logs each task nor looks for periodic ones: the best it can do here.
    words = [consumer, "huey_tasks.huey", "--quiet", "--no-periodic", "-d", "0.01", "-m", "0.01", *how]
    log = file.with_name("consumer.log")
    with log.open("w") as output:
        process = subprocess.Popen(words, env=env, stdout=output, stderr=output, start_new_session=True)
    queue = sqlite3.connect(f"file:{file}?mode=ro", uri=True, timeout=30)
    first: float | None = None
    try:
        left = count
        while left:
            if process.poll() is not None:
                raise SystemExit(f"huey's consumer ended with {process.returncode} and {left} tasks left")
            time.sleep(LOOK_S)
            (left,) = queue.execute("SELECT count(*) FROM task").fetchone()
            if first is None and left < count:
                first = time.perf_counter()
        assert first is not None
        seconds = time.perf_counter() - first
        # One that is interrupted while it still starts its workers tells of that as of an error.
        time.sleep(SETTLED_S)
    finally:
        queue.close()
        end(process)
    # A task that could not be called leaves the queue as well; quiet is a consumer that has called all.
    if text := log.read_text().strip():
        raise SystemExit(f"huey's consumer had errors:\n{text[-2000:]}")
    return seconds


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask the consumer to end as a person would; one that does not within 10 s is killed with its workers."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise SystemExit(f"huey's consumer did not end within {END_S} s of being asked to") from None


if __name__ == "__main__":
    main()
