"""A wall clock that a test sets while the daemon runs.

libfaketime is loaded into the daemon, and so into the spawner and every attempt, and reads from a file how far the wall
clock is off. The monotonic clocks go on as they are, just as when an administrator sets the time.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib", "/opt/homebrew/lib")


class WallClock:
    """How far a daemon's wall clock is off; `env` makes it believe so."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.off = timedelta(0)
        self.set(self.off)
        self.env: Mapping[str, str] = {
            "LD_PRELOAD": library(),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "NO_FAKE_STAT": "1",
        }

    def set(self, off: timedelta) -> None:
        """Have the clock be off by so much from now on."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{off.total_seconds():+.0f}\n")
        draft.rename(self._file)
        self.off = off

    def step(self, by: timedelta) -> None:
        """Set the clock forward or back."""
        self.set(self.off + by)


def library() -> str:
    """Return where libfaketime is; without it the test is skipped, but fails in CI, where it must be there."""
    for folder in map(Path, FOLDERS):
        for pattern in ("faketime/libfaketime.so.1", "*/faketime/libfaketime.so.1"):
            if found := sorted(folder.glob(pattern)):
                return str(found[0])
    words = "this needs libfaketime: apt-get install faketime"
    if os.environ.get("CI"):
        pytest.fail(words)
    pytest.skip(words)
