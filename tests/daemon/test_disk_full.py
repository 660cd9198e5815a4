"""A full disk under a real daemon: nothing starts, nothing dies, and it recovers by itself."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemon.served import PATIENCE_S, Served

JOBS = """\
version: 1
jobs:
  often: {schedule: {every: 1s}, run: echo x >> journal}
  long: {run: 'until [ -e go ]; do sleep 0.05; done'}
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MB, which only root can make."""
    folder = tmp_path / "small"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m,mode=0700", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("this needs the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    return path


def lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def wait_until(true: object, what: str) -> None:
    assert callable(true)
    deadline = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.05)


def test_a_full_disk_stops_starts_keeps_what_runs_and_recovers_by_itself(tmp_path: Path, small_disk: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    state = ("--state-dir", str(small_disk))
    with Served(tmp_path, *state) as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "long", *state)
        daemon.until_type("run.succeeded", "often")
        filler = fill(small_disk)

        def health() -> str:
            found: str = json.loads(daemon.ask("status", "--json", *state))["daemon"]["health"]
            return found

        wait_until(lambda: health() != "ok", "the daemon's notice")
        before = lines(tmp_path / "journal")
        at = time.monotonic()
        wait_until(lambda: time.monotonic() - at > 3, "three seconds")
        assert lines(tmp_path / "journal") - before <= 1  # one may have been on its way
        assert daemon.process.poll() is None
        filler.unlink()
        (tmp_path / "go").touch()
        daemon.until_type("run.succeeded", "long")
        daemon.until_type("run.succeeded", "often")
        wait_until(lambda: health() == "ok", "the recovery")
    assert os.path.exists(small_disk / "dagsched.db")
