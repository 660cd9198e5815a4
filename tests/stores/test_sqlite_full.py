"""A full disk, a quota, a page limit: the batch fails whole, and succeeds when there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dagsched.errors import (
    StoreUnavailable,
)
from dagsched.stores import Batch, SqliteStore
from dagsched.stores.lock import DaemonLock
from tests.stores.make import at, attempt, daemon, event, row
from tests.stores.test_sqlite_faults import opened, run

BIG = Batch(
    runs=[row("big", hour)._replace(reason="x" * 20_000) for hour in range(100)],
    new_attempts=[attempt("big", hour, ended=at(hour + 0.5)) for hour in range(100)],
    events=[event(1)],
)


async def commit_fails_whole_then_succeeds(store: SqliteStore, make_room) -> None:
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            await store.commit(BIG)
        assert await store.rows() == []
    await store.commit(Batch(runs=[row("small", 1)]))
    make_room()
    await store.commit(BIG)
    assert len(await store.rows("big")) == 100
    assert await store.check() == []


def test_a_page_limit_fails_the_batch_whole_and_it_succeeds_later(tmp_path):
    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db")) as store:

            def limit(pages):
                return store._writer.call(lambda c: c.execute(f"PRAGMA max_page_count = {pages}").fetchall())

            await limit(40)
            with pytest.raises(StoreUnavailable, match="full"):
                await store.commit(BIG)
            assert await store.rows() == []
            await limit(1 << 30)
            await store.commit(BIG)
            assert len(await store.rows("big")) == 100

    run(main())


def test_a_file_size_limit_fails_the_batch_whole_and_it_succeeds_later(tmp_path):
    resource = pytest.importorskip("resource")

    async def main():
        async with daemon(SqliteStore(tmp_path / "dagsched.db")) as store:
            soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (700_000, hard))
            try:
                await commit_fails_whole_then_succeeds(
                    store, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
                )
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    run(main())


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; only root can mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None
    if not mounted or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk]).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_disk_fails_the_batch_whole_and_it_succeeds_later(small_disk):
    async def main():
        async with daemon(SqliteStore(small_disk / "dagsched.db")) as store:
            ballast = small_disk / "ballast"
            ballast.write_bytes(bytes(2_200_000))
            await commit_fails_whole_then_succeeds(store, lambda: os.truncate(ballast, 0))

    # 2 MB in the log and 2 MB in the file would not fit even without ballast.
    subprocess.run(["mount", "-o", "remount,size=8m", small_disk], check=True)
    (small_disk / "more").write_bytes(bytes(5_000_000))
    run(main())


def test_a_daemon_that_cannot_write_its_name_does_not_keep_the_lock(small_disk):
    lock = DaemonLock(small_disk / "daemon.lock")
    lock.path.touch()
    with suppress(OSError):
        (small_disk / "ballast").write_bytes(bytes(4 << 20))
    with pytest.raises(StoreUnavailable, match=r"daemon\.lock"):
        lock.take("the test")
    (small_disk / "ballast").unlink()
    another = DaemonLock(lock.path)
    another.take("the next one")
    another.release()


def test_a_state_cannot_be_made_on_a_full_disk_and_no_half_of_it_stays(small_disk):
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes((3 << 20) - 40_000))
    with pytest.raises(StoreUnavailable):
        run(opened(small_disk / "state" / "dagsched.db", write=True))
    assert os.listdir(small_disk / "state") == []
    ballast.unlink()
    run(opened(small_disk / "state" / "dagsched.db", write=True))
