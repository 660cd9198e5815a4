"""Daemons to measure, each with its spawner: started on a job file, asked for what it used, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from yard.processes import ENV

READY_S = 120
TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What processes have used so far."""

    cpu_s: float
    wakeups: int


@contextmanager
def daemon(jobs: Path, state: Path, env: Mapping[str, str] = ENV, *arguments: str) -> Iterator[int]:
    """Run a daemon on this job file and state; gives its process id once it is ready."""
    command = [sys.executable, "-m", "dagsched", "run", str(jobs), "--state-dir", str(state), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env)
    try:
        wait_for_socket(state, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def wait_for_socket(state: Path, process: subprocess.Popen[bytes]) -> None:
    """Wait until the daemon can be asked."""
    deadline = time.monotonic() + READY_S
    while not (state / "control.sock").exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit("the daemon did not become ready")
        time.sleep(0.005)


def wait_until(is_so: Callable[[], bool], pause_s: float) -> None:
    """Wait for what nobody tells, and look again after each pause."""
    deadline = time.monotonic() + READY_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit("it did not come to an end")
        time.sleep(pause_s)


def family(pid: int) -> list[int]:
    """Return the process ids of a daemon and of its children, the spawner among them."""
    return [pid, *(int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


def spent(pids: list[int]) -> Spent:
    """Return the sum over these processes and all their threads."""
    cpu = wakeups = 0
    for pid in pids:
        # The fields after the name, which may hold spaces: 14 and 15 of the line are user and system time.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        cpu += int(fields[11]) + int(fields[12])
        for status in Path(f"/proc/{pid}/task").glob("*/status"):
            line = next(line for line in status.read_text().splitlines() if line.startswith("voluntary"))
            wakeups += int(line.split()[1])
    return Spent(cpu / TICKS_PER_S, wakeups)
