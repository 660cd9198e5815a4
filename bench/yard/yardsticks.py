"""Physical limits of this machine that several measurements are compared with."""

from __future__ import annotations

import os
import time
from pathlib import Path

PAGE = os.urandom(4096)


def write_and_sync(file: int) -> None:
    """Append one page and wait until the disk has it: what any durable commit must do at least once."""
    os.write(file, PAGE)
    # macOS has no fdatasync.
    getattr(os, "fdatasync", os.fsync)(file)


def sync_seconds(folder: Path, count: int) -> float:
    """Return the seconds that `count` durable appends of one page take, one after another."""
    path = folder / "sync.yardstick"
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    try:
        start = time.perf_counter()
        for _ in range(count):
            write_and_sync(file)
        return time.perf_counter() - start
    finally:
        os.close(file)
        path.unlink()
