"""A disk that is full, fails, is read-only or locked, and a database that is damaged, under a real daemon.

Nothing starts without a durable row, what runs goes on, `status` says what is wrong, and once the fault is over the
daemon goes on by itself. What cannot be used at all is one clear line, and the file stays as it is.
"""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest

from tests.daemon.served import Served, ask, environment, rows
from tests.faults.hands import spawner_of, tell, wait_until, write_jobs
from tests.faults.injecting import LONG, TAKES_ALL, injected, needed
from tests.faults.through import JOBS, begun, is_through

STATE = ".dagsched"
# ---------------------------------------------------------------- full, failing, locked


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


@contextmanager
def filled(folder: Path) -> Iterator[None]:
    """Leave no room on a file system."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
    yield
    path.unlink()


def test_a_full_disk_stops_starts_keeps_what_runs_and_recovers_by_itself(tmp_path: Path, small_disk: Path) -> None:
    write_jobs(tmp_path, JOBS)
    with Served(tmp_path, "--state-dir", str(small_disk)) as daemon:
        is_through(tmp_path, daemon, small_disk, lambda: filled(small_disk))
    assert (small_disk / "dagsched.db").exists()


@contextmanager
def short_files(pid: int, size: int) -> Iterator[None]:
    """Let a process make no file longer than that, as a quota would."""
    usual = resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, usual)


FAULTS: Mapping[str, Callable[[int], AbstractContextManager[None]]] = {
    "ENOSPC at each write": lambda pid: injected(pid, "pwrite64:error=ENOSPC"),
    "EIO at each write": lambda pid: injected(pid, "pwrite64:error=EIO"),
    "EIO at each sync": lambda pid: injected(pid, "fdatasync,fsync:error=EIO"),
    "a file system that turns read-only": lambda pid: injected(pid, "pwrite64,ftruncate:error=EROFS"),
    "a limit of the size of files": lambda pid: short_files(pid, 4096),
}


OFTEN = ("ENOSPC at each write", "EIO at each sync")


@pytest.mark.parametrize("fault", [name if name in OFTEN else pytest.param(name, marks=LONG) for name in FAULTS])
def test_a_disk_that_fails_stops_starts_keeps_what_runs_and_recovers_by_itself(tmp_path: Path, fault: str) -> None:
    write_jobs(tmp_path, JOBS)
    with Served(tmp_path) as daemon:
        is_through(tmp_path, daemon, tmp_path / STATE, lambda: FAULTS[fault](daemon.process.pid))


def test_a_disk_that_cannot_be_read_at_the_start_is_one_line(tmp_path: Path) -> None:
    write_jobs(tmp_path, JOBS)
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")
    database = tmp_path / STATE / "dagsched.db"
    before = database.read_bytes()
    strace = [needed("strace", "strace"), "-f", "-qq", "-o", os.devnull, "-P", str(database)]
    failed = subprocess.run(
        [*strace, "--inject=pread64:error=EIO", sys.executable, "-m", "dagsched", "run"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert failed.returncode == 4
    assert len(failed.stderr.splitlines()) == 1
    assert "disk I/O error" in failed.stderr
    assert database.read_bytes() == before
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")


@contextmanager
def locked(database: Path) -> Iterator[None]:
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


LOCK_S = 30.0 if TAKES_ALL else 3.0


def test_a_lock_of_another_program_stops_starts_and_is_waited_out(tmp_path: Path) -> None:
    """Half a minute with `DAGSCHED_FAULTS=all`; a lock that outlasts a few tries is like any other."""
    write_jobs(tmp_path, JOBS)

    @contextmanager
    def held() -> Iterator[None]:
        began = time.monotonic()
        with locked(tmp_path / STATE / "dagsched.db"):
            yield
            time.sleep(max(0.0, LOCK_S - (time.monotonic() - began)))

    with Served(tmp_path) as daemon:
        is_through(tmp_path, daemon, tmp_path / STATE, held)


def test_a_spawner_whose_disk_fails_refuses_starts_and_says_so(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"a": {"run": "echo x >> journal", "retry": {"max_attempts": 20, "delay": "200ms"}}})
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        with injected([spawner_of(tmp_path / STATE)], "write:error=EIO"):
            tell(tmp_path / STATE, "trigger", job="a")
            refused = daemon.until_type("run.retrying", "a")
            assert "Input/output error" in refused["reason"]
            assert not (tmp_path / "journal").exists()
        daemon.until_type("run.succeeded", "a")
    assert (tmp_path / "journal").read_text() == "x\n"


# ---------------------------------------------------------------- read-only, damaged


def test_a_state_that_turns_read_only_stops_starts_and_recovers(tmp_path: Path, small_disk: Path) -> None:
    write_jobs(tmp_path, JOBS)

    def remount(how: str) -> None:
        # Files are open for writing, so the kernel is asked for what an error of the disk would have it do.
        subprocess.run(["mount", "-o", f"remount,{how}", str(small_disk)], check=True, capture_output=True)

    with Served(tmp_path, "--state-dir", str(small_disk)) as daemon:
        daemon.until_type("daemon.started")
        daemon.until_type("run.succeeded", "often")
        tell(small_disk, "stop")
        assert daemon.ended() == 0
    remount("ro")
    words = ask(tmp_path, "run", "--state-dir", str(small_disk), code=4)
    assert len(words.splitlines()) == 1
    assert "may not be written" in words
    assert rows(ask(tmp_path, "history", "--json", "--state-dir", str(small_disk)))
    remount("rw")
    with Served(tmp_path, "--state-dir", str(small_disk)) as daemon:
        daemon.until_type("run.succeeded", "often")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for page in range(1, len(data) // 4096):
        data[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [truncated, flipped])
def test_a_damaged_database_is_one_line_and_the_file_is_kept(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    write_jobs(tmp_path, JOBS)
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")
    database = tmp_path / STATE / "dagsched.db"
    good = tmp_path / "backup.db"
    shutil.copy(database, good)
    damage(database)
    before = database.read_bytes()
    words = ask(tmp_path, "run", code=4)
    assert len(words.splitlines()) == 1
    assert "dagsched.db" in words
    assert "backup" in words
    assert database.read_bytes() == before
    shutil.copy(good, database)
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")


@pytest.mark.parametrize("damage", [truncated, pytest.param(flipped, marks=LONG)])
def test_a_database_damaged_in_use_brings_no_start_that_is_not_on_record(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    """SQLite sees damage when it reads it. Until then the daemon may go on, on what it knows and its log."""
    write_jobs(tmp_path, JOBS)
    database = tmp_path / STATE / "dagsched.db"
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(FULL)")
        damage(database)
        wait_until(lambda: daemon.process.poll() is not None or len(begun(tmp_path)) > 3, "three more starts")
        assert daemon.process.poll() in (None, 4)
        daemon.process.kill()
        daemon.ended()
        daemon.drain()
        shown = {event["run"] for event in daemon.seen if event["type"] == "run.started"}
        assert set(begun(tmp_path)) <= shown
    size = database.stat().st_size
    words = ask(tmp_path, "run", code=4)
    assert len(words.splitlines()) == 1
    assert "backup" in words
    assert database.stat().st_size >= size  # SQLite may add what was in its log
    assert "Traceback" not in (tmp_path / "stderr").read_text()
