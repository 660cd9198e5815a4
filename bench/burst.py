"""A thousand of 100,000 schedules due in the same second, minute after minute.

Measured, of the 1,000 runs of each minute: until when the last had ended, from the due second; how late the decision
to start each was (p50); and for how long the daemon's loop answered nothing (p99 of the gaps of a heartbeat of one
millisecond, in the second and a half after the due one). Yardstick: starting the same program 1,000 times with
`posix_spawn` and waiting for all of them, in the same minutes. The daemon runs in a process of its
own with the heartbeat beside it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

from yard import ENV, PART, Report, is_part, options, scratch

from dagsched.daemon import Daemon
from dagsched.model import Config, EventRow

SCHEDULES = 100_000
DUE = 1_000
MINUTE_S = 60
BEAT_S = 0.001
WATCHED_S = 1.5
READY_S = 600
PROGRAM = ("/bin/true",)
GOALS = {"last": 1.3, "decision_ms": 10.0, "stall_ms": 5.0}


def main() -> None:
    if is_part():
        print(json.dumps(asyncio.run(serve(Path(sys.argv[3]), int(sys.argv[4])))))
        return
    parser = options(__doc__)
    parser.add_argument("--schedules", type=int, default=SCHEDULES, metavar="N", help=f"schedules ({SCHEDULES:,})")
    args = parser.parse_args()
    with scratch() as folder:
        (folder / "jobs.yaml").write_text(job_file(args.schedules))
        command = [sys.executable, __file__, PART, "daemon", str(folder), str(args.runs)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENV) as process:
            alone = [spawn_alone() for _ in minutes(folder / "ready", args.runs)]
            told = json.loads(process.communicate()[0])
        last, decisions = bursts(folder / "state" / "dagsched.db", args.runs)
    report = Report(f"burst: {DUE:,} of {args.schedules:,} schedules due in one second")
    ours = report.add("last end after the due second", "ms", last)
    theirs = report.add(f"{DUE:,} starts and nothing else", "ms", alone)
    report.ratio("last end / starts and nothing else", ours, theirs, goal=GOALS["last"])
    late = report.add("decision after the due second, p50 of a burst", "ms", decisions)
    report.limit("decision, ms", late.median, goal=GOALS["decision_ms"])
    stalls = report.add("stall of the loop, p99 of a burst", "ms", told["stalls"])
    report.limit("stall, ms", stalls.median, goal=GOALS["stall_ms"])
    report.print(as_json=args.json)


def job_file(count: int) -> str:
    """Return jobs of which 1,000 are due each minute and the others at three o'clock on one of 28 days."""
    every = [f'  due-{number:06}: {{schedule: "* * * * *", run: [{PROGRAM[0]}]}}' for number in range(DUE)]
    others = [
        f'  later-{number:06}: {{schedule: "0 3 {number % 28 + 1} 2 *", run: [{PROGRAM[0]}]}}'
        for number in range(count - DUE)
    ]
    return "\n".join(["version: 1", "jobs:", *every, *others, ""])


# ---------------------------------------------------------------- the daemon, with a heartbeat


class Nobody:
    """An observer that looks away."""

    def on_config(self, config: Config) -> None: ...

    def on_events(self, events: Sequence[EventRow]) -> None: ...


async def serve(folder: Path, runs: int) -> dict[str, list[float]]:
    """Run the daemon for that many minutes; return the p99 of the loop's gaps of each, in milliseconds."""
    daemon = Daemon([folder / "jobs.yaml"], folder / "state", observer=Nobody())
    serving = asyncio.create_task(daemon.run())
    while not _is_ready(daemon):
        if serving.done():
            await serving
        await asyncio.sleep(0.1)
    (folder / "ready").touch()
    stalls = [await worst_of_a_minute() for _ in range(runs)]
    daemon.stop()
    await serving
    return {"stalls": stalls}


def _is_ready(daemon: Daemon) -> bool:
    loop = getattr(daemon, "loop", None)
    return loop is not None and loop.plan.wake_at() is not None


async def worst_of_a_minute() -> float:
    """Wait for the next full minute and return the p99 of the gaps of a heartbeat after it."""
    await asyncio.sleep(MINUTE_S - time.time() % MINUTE_S)
    gaps: list[float] = []
    end, before = time.monotonic() + WATCHED_S, time.monotonic()
    while before < end:
        await asyncio.sleep(BEAT_S)
        now = time.monotonic()
        gaps.append((now - before - BEAT_S) * 1000)
        before = now
    gaps.sort()
    return gaps[int(len(gaps) * 0.99)]


# ---------------------------------------------------------------- beside it


def minutes(ready: Path, runs: int) -> Iterator[int]:
    """Yield in the middle of each measured minute, once the daemon is ready."""
    deadline = time.monotonic() + READY_S
    while not ready.exists():
        if time.monotonic() > deadline:
            raise SystemExit("the daemon did not become ready")
        time.sleep(0.1)
    # The daemon's first burst is the next full minute; the yardstick comes half a minute after it.
    time.sleep(MINUTE_S - time.time() % MINUTE_S + MINUTE_S / 2)
    for number in range(runs):
        yield number
        if number < runs - 1:
            time.sleep((MINUTE_S * 1.5 - time.time()) % MINUTE_S)


def spawn_alone() -> float:
    """Return the milliseconds in which the program is started 1,000 times and has ended."""
    begun = time.perf_counter()
    pids = [os.posix_spawn(PROGRAM[0], PROGRAM, {}) for _ in range(DUE)]
    for pid in pids:
        os.waitpid(pid, 0)
    return (time.perf_counter() - begun) * 1000


def bursts(database: Path, runs: int) -> tuple[list[float], list[float]]:
    """Return for each measured minute the last end and the p50 of the decisions, in ms after the due second."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT tick, max(ended) - tick, count(*) FROM attempts WHERE ended IS NOT NULL GROUP BY tick ORDER BY tick"
        ).fetchall()
        full = [(tick, last) for tick, last, count in rows if count == DUE][:runs]
        if len(full) < runs:
            raise SystemExit(f"{len(full)} of {runs} bursts ran to their end: {rows}")
        decisions = []
        for tick, _ in full:
            found = connection.execute("SELECT started - tick FROM attempts WHERE tick = ? ORDER BY started", (tick,))
            decisions.append(float(found.fetchall()[DUE // 2][0]))
    return [float(last) for _, last in full], decisions


if __name__ == "__main__":
    main()
