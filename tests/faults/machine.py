"""What this machine is at, so that "within a second" means the program's second and not its neighbours'."""

from __future__ import annotations

import subprocess
import sys
import time

# What a bare interpreter needs to start and end on a machine with nothing else to do.
USUAL_S = 0.02


def bare_start_s() -> float:
    """Start a bare interpreter and return how long that takes just now."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return time.monotonic() - began


def at_most(seconds: float, bare_s: float | None = None) -> float:
    """Return a limit: so many seconds, longer in the measure in which a bare start takes longer than it should."""
    return seconds * max(1.0, (bare_start_s() if bare_s is None else bare_s) / USUAL_S)
