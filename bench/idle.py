"""A daemon with 10,000 hourly schedules and nothing due, beside one with no job at all.

Measured, over windows of 20 s: processor time as a share of one core, wake-ups a second (voluntary context
switches of all threads) and resident memory, of the daemon and of its spawner together. Yardstick: a daemon of
`jobs: {}` running at the same time. No schedule is due before half an hour has passed. Reads /proc, so Linux alone.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from yard import ENV, Report, memory_mb, options, scratch

SCHEDULES = 10_000
WINDOW_S = 20
SETTLE_S = 5
READY_S = 60
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What processes have used so far."""

    cpu_s: float
    wakeups: int


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=WINDOW_S, metavar="S", help=f"one window ({WINDOW_S})")
    args = parser.parse_args()
    with scratch() as folder, daemon(folder / "full", hourly()) as full, daemon(folder / "empty", "jobs: {}\n") as none:
        time.sleep(SETTLE_S)
        windows = [watch([full, none], args.seconds) for _ in range(args.runs)]
    report = Report(f"idle: a daemon of {SCHEDULES:,} hourly schedules beside an empty one, {args.seconds:g} s windows")
    for key, unit in (("cpu", "% of a core"), ("wakeups", "1/s"), ("memory", "MB")):
        ours = report.add(f"{SCHEDULES:,} schedules: {key}", unit, [window[0][key] for window in windows])
        empty = report.add(f"no jobs: {key}", unit, [window[1][key] for window in windows])
        if empty.median:
            report.ratio(f"{key}, full / empty", ours, empty)
    report.print(as_json=args.json)


def hourly() -> str:
    """Return a job file whose schedules are all due in half an hour, at one of five minutes."""
    minutes = [(datetime.now(UTC).minute + 30 + number) % 60 for number in range(5)]
    jobs = [f'  hourly-{n:05}: {{schedule: "{minutes[n % 5]} * * * *", run: "true"}}' for n in range(SCHEDULES)]
    return "\n".join(["version: 1", "jobs:", *jobs, ""])


@contextmanager
def daemon(folder: Path, text: str) -> Iterator[int]:
    """Run a daemon on this job file; gives its process id once it is ready."""
    folder.mkdir()
    (folder / "jobs.yaml").write_text(text)
    command = [sys.executable, "-m", "dagsched", "run", str(folder / "jobs.yaml"), "--state-dir", str(folder / "state")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENV)
    try:
        wait_for_socket(folder / "state", process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for_socket(state: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_S
    while not (state / "control.sock").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the daemon did not become ready")
        time.sleep(0.1)


def watch(pids: list[int], seconds: float) -> list[dict[str, float]]:
    """Return, for each daemon with its spawner, what it used in a window from now."""
    families = [[pid, *children(pid)] for pid in pids]
    before = [spent(family) for family in families]
    start = time.monotonic()
    time.sleep(seconds)
    after, passed = [spent(family) for family in families], time.monotonic() - start
    return [
        {
            "cpu": (new.cpu_s - old.cpu_s) / passed * 100,
            "wakeups": (new.wakeups - old.wakeups) / passed,
            "memory": sum(memory_mb(pid) for pid in family),
        }
        for old, new, family in zip(before, after, families, strict=True)
    ]


def spent(family: list[int]) -> Spent:
    """Return the sum over these processes and all their threads."""
    cpu = wakeups = 0
    for pid in family:
        # The fields after the name, which may hold spaces: 14 and 15 of the line are user and system time.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu += int(fields[11]) + int(fields[12])
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            line = next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))
            wakeups += int(line.split()[1])
    return Spent(cpu / TICKS_PER_S, wakeups)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


if __name__ == "__main__":
    main()
