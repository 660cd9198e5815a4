"""The memory of a daemon does not grow with what it has done. `python -m tests.faults.soak` looks for an hour."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.memory import GROWTH_MAX, growth, warm

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="resident memory is read from /proc")
def test_a_simulated_day_leaves_memory_where_it_was_after_the_first_hours() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.day", "24"],
        cwd=ROOT, env=os.environ, capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    samples = json.loads(done.stdout)
    assert len(samples["resident_kb"]) == 95
    # Python's own blocks go up and down as caches of bounded length fill; they are there for whoever looks into it.
    assert growth(warm(samples["resident_kb"])) < GROWTH_MAX, samples
