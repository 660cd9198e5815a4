"""Measuring in processes of their own, where no cache is warm and no memory is another's."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PART = "--part"
# On a disk, which the usual /tmp often is not; git does not look at it.
# What PYTHON… variables ask for (no byte code, no buffers) is no part of what is measured.
ENV = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
SCRATCH = Path(__file__).parent.parent.parent / "build" / "bench"


def answer_apart(script: str, part: str, *arguments: str) -> dict[str, float]:
    """Run `script --part PART ARGUMENT…` in a new interpreter and return the figures it printed as JSON."""
    command = [sys.executable, script, PART, part, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=ENV)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def is_part() -> bool:
    """Whether this process was started by `answer_apart`; its part's name is `sys.argv[2]`."""
    return len(sys.argv) > 2 and sys.argv[1] == PART


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds of a whole process: on the wall, and of processors by it and all it has waited for."""

    wall_s: float
    cpu_s: float


def time_process(command: Sequence[str], *, cwd: Path | None = None) -> Took:
    """Run a whole process, from its start until it has been waited for; it must succeed."""
    start, used = time.perf_counter(), children_cpu_s()
    done = subprocess.run(command, cwd=cwd, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    took = Took(time.perf_counter() - start, children_cpu_s() - used)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {done.returncode}\n{done.stderr}")
    return took


def children_cpu_s() -> float:
    """Return the processor seconds of all processes that this one has waited for, and that they have."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory_mb(pid: int | str = "self", *, peak: bool = False) -> float:
    """Return the resident megabytes of a process, now or at their peak."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        # Not Linux: the peak of this process alone, which is all that can be had without tools.
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
    # Not getrusage: its peak begins with that of the process that started this one.
    key = "VmHWM:" if peak else "VmRSS:"
    line = next(line for line in status.read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) * 1024 / 1e6


def threads_cpu_s(pid: int) -> float:
    """Return the processor seconds a running process has used so far, of all its threads that still live (Linux)."""
    # In nanoseconds, where /proc/PID/stat counts in hundredths of a second.
    threads = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(each.read_text().split()[0]) for each in threads) / 1e9


@contextmanager
def scratch() -> Iterator[Path]:
    """Give a new folder on the disk of this tree, and remove it."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        yield Path(folder)
