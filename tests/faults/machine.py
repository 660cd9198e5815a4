"""What this machine is at, so that "within a second" means the program's second and not its neighbours'."""

from __future__ import annotations

import subprocess
import sys
import time

# A bare interpreter starts and ends in a fiftieth of a second on a machine with nothing else to do.
USUAL_S = 0.05


def at_most(seconds: float) -> float:
    """Return a limit: so many seconds, longer in the measure in which an interpreter takes longer to start just now."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-I", "-S", "-c", "pass"], check=True)
    return seconds * max(1.0, (time.monotonic() - began) / USUAL_S)
