"""What a process holds in memory, and whether that grows."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

GROWTH_MAX = 0.05
WARM_UP = 0.2


def resident_kb(pid: int) -> int:
    """Return the resident memory of a process in kB (VmRSS of proc_pid_status(5)); raises OSError when it is gone."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(f"process {pid} has no memory any more")


def peak_kb(pid: int) -> int:
    """Return the most resident memory that a process had, in kB, since it began or since `forget_peak`."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:"))


def forget_peak(pid: int) -> None:
    """Have the peak of a process be what it holds now (proc_pid_clear_refs(5))."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def warm(samples: Sequence[int]) -> Sequence[int]:
    """Return the samples without the first fifth, in which caches fill and modules load."""
    return samples[int(len(samples) * WARM_UP) :]


def growth(samples: Sequence[float]) -> float:
    """Return by which part the last quarter of the samples lies above the first, by their medians; 0.05 is 5 %."""
    quarter = max(1, len(samples) // 4)
    return statistics.median(samples[-quarter:]) / statistics.median(samples[:quarter]) - 1
