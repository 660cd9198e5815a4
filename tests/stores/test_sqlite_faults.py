"""What the SQLite store does about damaged, foreign, full, locked and read-only files."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dagsched.errors import (
    StoreCorrupt,
    StoreError,
    StoreHeld,
    StoreMissing,
    StoreNewer,
    StoreReadOnly,
    StoreUnavailable,
)
from dagsched.stores import Batch, SqliteStore, open_store, prepare
from dagsched.stores.address import address_of
from dagsched.stores.lock import DaemonLock
from tests.stores.make import at, attempt, daemon, event, reader, row

NOBODY = 65534


def run(coroutine):
    return asyncio.run(coroutine)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A state with a few hundred rows, cleanly closed."""
    path = tmp_path / "state" / "dagsched.db"

    async def main():
        batch = Batch(runs=[row("a", hour) for hour in range(300)], new_attempts=[attempt("a", 1)], events=[event(1)])
        async with daemon(SqliteStore(path), batch):
            pass

    run(main())
    return path


async def opened(path: Path, *, write: bool) -> None:
    """Open and read everything that a start or a history reads."""
    store = SqliteStore(path)
    try:
        await store.open(write=write)
        await store.snapshot({"a": at(-1)})
        await store.events()
    finally:
        await store.close()


def content(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if file.name.startswith("dagsched.db")}


# ---------------------------------------------------------------- making


def test_the_state_is_for_its_owner_alone(path):
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_open_store_puts_the_database_into_the_state_directory(tmp_path):
    assert open_store(tmp_path).path == tmp_path / "dagsched.db"


def test_nothing_is_left_beside_the_database_after_a_clean_close(path):
    assert sorted(file.name for file in path.parent.iterdir()) == ["daemon.lock", "dagsched.db"]


def test_two_daemons_that_make_the_state_at_once_end_up_with_one(tmp_path, monkeypatch):
    path = tmp_path / "dagsched.db"
    link = os.link

    def slower(draft, target):
        monkeypatch.setattr(os, "link", link)

        async def quicker():
            async with daemon(SqliteStore(path), Batch(runs=[row("a", 1)])):
                pass

        run(quicker())
        link(draft, target)

    monkeypatch.setattr(os, "link", slower)
    # The draft's name carries the process id; two processes never share one.
    monkeypatch.setattr(prepare.os, "getpid", iter(range(10, 20)).__next__)

    async def main():
        async with daemon(SqliteStore(path)) as store:
            assert len(await store.rows()) == 1

    run(main())
    assert not list(tmp_path.glob("*.new-*"))


@pytest.mark.parametrize("suffix", ["", "-journal", "-wal"])
def test_what_a_process_left_that_died_while_making_the_state_does_no_harm(tmp_path, suffix):
    left = tmp_path / f"dagsched.db.new-{os.getpid()}{suffix}"
    left.write_bytes(b"half a database")
    run(opened(tmp_path / "dagsched.db", write=True))
    assert not list(tmp_path.glob("*.new-*"))


# ---------------------------------------------------------------- refusal


def not_a_database(path: Path) -> None:
    path.write_text("jobs: {}\n" * 1000)


def short_text(path: Path) -> None:
    path.write_text("x")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def cut_inside_a_page(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1000)


def magic_flipped(path: Path) -> None:
    overwrite(path, 3, b"\x00")


def application_flipped(path: Path) -> None:
    overwrite(path, 68, b"\x00")


def version_zero(path: Path) -> None:
    overwrite(path, 60, bytes(4))


def page_size_flipped(path: Path) -> None:
    overwrite(path, 16, b"\x13\x37")


def encoding_flipped(path: Path) -> None:
    overwrite(path, 59, b"\x02")


def schema_page_flipped(path: Path) -> None:
    overwrite(path, 100, bytes(range(64)))


def data_pages_flipped(path: Path) -> None:
    for page in range(1, path.stat().st_size // 4096):
        overwrite(path, page * 4096, b"\xff" * 12)


def foreign(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE theirs (x)")


def table_missing(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TABLE events")


def state_unknown(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET state = 'bogus' WHERE tick = (SELECT max(tick) FROM runs)")


def json_broken(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE runs SET links = '[[' WHERE tick = (SELECT max(tick) FROM runs)")


def instant_beyond_time(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(f"UPDATE runs SET ended = {1 << 62}")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def lost_beside_its_log(path: Path) -> None:
    path.unlink()
    path.with_name("dagsched.db-wal").write_bytes(b"frames")


def emptied_beside_its_log(path: Path) -> None:
    empty(path)
    path.with_name("dagsched.db-wal").write_bytes(b"frames")


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


DAMAGE = [
    not_a_database,
    short_text,
    empty,
    truncated,
    cut_inside_a_page,
    magic_flipped,
    application_flipped,
    version_zero,
    page_size_flipped,
    encoding_flipped,
    schema_page_flipped,
    data_pages_flipped,
    foreign,
    table_missing,
    state_unknown,
    json_broken,
    instant_beyond_time,
    lost_beside_its_log,
    emptied_beside_its_log,
]


@pytest.mark.parametrize("write", [True, False], ids=["daemon", "reader"])
@pytest.mark.parametrize("damage", DAMAGE, ids=[damage.__name__ for damage in DAMAGE])
def test_damage_is_refused_with_one_line_and_the_file_is_kept(path, damage, write):
    damage(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(StoreCorrupt) as caught:
        run(opened(path, write=write))
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)
    assert "backup" in str(caught.value) or "put the database back" in str(caught.value)
    assert (path.read_bytes() if path.is_file() else None) == before


@pytest.mark.parametrize("write", [True, False], ids=["daemon", "reader"])
def test_a_folder_in_the_database_s_place_is_refused(path, write):
    a_folder(path)
    with pytest.raises(StoreCorrupt, match="not a file"):
        run(opened(path, write=write))


@pytest.mark.parametrize("write", [True, False], ids=["daemon", "reader"])
def test_a_database_of_a_later_version_is_refused_unchanged(path, write):
    overwrite(path, 60, (99).to_bytes(4, "big"))
    before = path.read_bytes()
    with pytest.raises(StoreNewer, match="layout 99"):
        run(opened(path, write=write))
    assert path.read_bytes() == before


def test_an_older_database_is_refused_to_readers_and_migrated_by_a_daemon(path, monkeypatch):
    known = prepare.migrations("sqlite")
    step = f"BEGIN IMMEDIATE; CREATE TABLE added (x); PRAGMA user_version = {len(known) + 1}; COMMIT;"
    scripts = (*known, step)
    monkeypatch.setattr(prepare, "migrations", lambda engine: scripts)
    before = path.read_bytes()
    with pytest.raises(StoreError, match="older"):
        run(opened(path, write=False))
    assert path.read_bytes() == before
    run(opened(path, write=True))
    run(opened(path, write=False))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (len(scripts),)
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (300,)


def test_a_migration_that_fails_leaves_the_database_as_it_was(path, monkeypatch):
    broken = "BEGIN IMMEDIATE; CREATE TABLE added (x); INSERT INTO nowhere VALUES (1); COMMIT;"
    scripts = prepare.migrations("sqlite")
    monkeypatch.setattr(prepare, "migrations", lambda engine: (*scripts, broken))
    with pytest.raises(StoreError, match="nowhere"):
        run(opened(path, write=True))
    monkeypatch.undo()
    run(opened(path, write=True))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT * FROM sqlite_master WHERE name = 'added'").fetchall() == []


def test_no_migration_happens_under_a_daemon_that_runs(path, monkeypatch):
    scripts = prepare.migrations("sqlite")

    async def main():
        async with daemon(SqliteStore(path)):
            monkeypatch.setattr(prepare, "migrations", lambda engine: (*scripts, "SELECT 1;"))
            with pytest.raises(StoreHeld, match="the test"):
                await opened(path, write=True)

    run(main())


def test_damage_that_nothing_reads_at_start_is_found_by_check(path):
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DELETE FROM runs WHERE tick = (SELECT tick FROM attempts)")
        connection.execute("INSERT INTO events SELECT 7, time, type, job, tick, attempt, '', '', '', '' FROM events")

    async def main():
        async with reader(SqliteStore(path)) as store:
            findings = await store.check()
            assert any("has no run" in finding for finding in findings)
            assert any("newest event is 7" in finding for finding in findings)

    run(main())


# ---------------------------------------------------------------- may not be written


@contextmanager
def unprivileged() -> Iterator[None]:
    """Give up root's right to ignore permissions for a while."""
    if os.geteuid() != 0:
        yield
        return
    os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)


@pytest.fixture
def shared(path: Path, tmp_path_factory) -> Iterator[Path]:
    """The same state where another user can look at it, and change nothing."""
    folder = Path(subprocess.check_output(["mktemp", "-d", "-p", "/tmp"], text=True).strip())
    shutil.copy(path, folder / path.name)
    os.chmod(folder / path.name, 0o444)
    os.chmod(folder, 0o555)
    yield folder / path.name
    os.chmod(folder, 0o700)
    shutil.rmtree(folder)


def test_a_read_only_folder_can_be_read_and_stays_as_it_is(shared):
    before = sorted(os.listdir(shared.parent))
    with unprivileged():

        async def main():
            async with reader(SqliteStore(shared)) as store:
                assert len(await store.rows()) == 300

        run(main())
    assert sorted(os.listdir(shared.parent)) == before


def test_a_daemon_refuses_a_state_it_may_not_write(shared):
    with unprivileged(), pytest.raises(StoreReadOnly, match="may not be written"):
        run(opened(shared, write=True))


def test_a_read_only_file_in_a_writable_folder_is_refused_to_daemons_and_to_post(shared):
    os.chmod(shared.parent, 0o777)
    with unprivileged():
        with pytest.raises(StoreReadOnly):
            run(opened(shared, write=True))

        async def main():
            async with reader(SqliteStore(shared)) as store:
                with pytest.raises(StoreReadOnly):
                    await store.post("stop", {}, at())

        run(main())


@pytest.mark.parametrize("mode", [0o000, 0o555], ids=["a closed one", "one that may not be written"])
def test_of_a_folder_of_somebody_else_its_name_is_told_and_who_may_not_use_it(shared, mode):
    os.chmod(shared.parent, 0o700)
    shared.unlink()
    os.chmod(shared.parent, mode)

    def found_and_opened():
        assert address_of(shared.parent) is None
        run(opened(shared, write=True))

    with unprivileged(), pytest.raises(StoreReadOnly) as caught:
        found_and_opened()
    user = NOBODY if os.geteuid() == 0 else os.geteuid()
    assert str(caught.value) == f"{shared.parent}: Permission denied; make it writable for this user (uid {user})"


def test_what_a_killed_daemon_left_is_not_ignored_in_a_read_only_folder(shared):
    shared.with_name("dagsched.db-wal").write_bytes(b"frames")
    with unprivileged(), pytest.raises(StoreUnavailable, match="killed"):
        run(opened(shared, write=False))


def test_a_state_directory_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file"):
        run(opened(tmp_path / "file" / "state" / "dagsched.db", write=True))


# ---------------------------------------------------------------- locks


def test_the_lock_file_names_the_holder_and_no_child_inherits_it(path):
    lock = DaemonLock(path.with_name("daemon.lock"))
    lock.take("the test")
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        assert lock.path.read_text() == "the test\n"
        lock.release()
        another = DaemonLock(lock.path)
        another.take("the next one")
        another.release()
        child.kill()


def test_a_shorter_holder_replaces_a_longer_one_whole(path):
    async def main():
        store = SqliteStore(path)
        await store.open(write=True)
        await store.acquire("a holder with a long name")
        await store.acquire("short")
        assert path.with_name("daemon.lock").read_text() == "short\n"
        await store.close()

    run(main())


def test_a_lock_of_another_program_is_waited_out(path):
    batch = Batch(runs=[row("b", 1)], new_attempts=[attempt("b", 1)], events=[event(2)])

    async def main():
        async with daemon(SqliteStore(path)) as store:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(StoreUnavailable, match="locked"):
                    await store.commit(batch)
                assert await store.run("b", at(1)) is None
                other.execute("ROLLBACK")
            await store.commit(batch)
            assert await store.run("b", at(1)) == batch.runs[0]

    run(main())


def test_a_database_locked_whole_by_another_program_can_be_opened_afterwards(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = exclusive")
        other.execute("BEGIN EXCLUSIVE")
        other.execute("UPDATE ledger SET holder = 'x'")
        for write in (True, False):
            with pytest.raises(StoreUnavailable, match="locked"):
                run(opened(path, write=write))
    run(opened(path, write=True))


def test_a_database_deleted_under_a_daemon_is_noticed_before_the_next_commit(path, tmp_path):
    async def main():
        async with daemon(SqliteStore(path)) as store:
            path.rename(tmp_path / "elsewhere")
            with pytest.raises(StoreUnavailable, match="removed or replaced"):
                await store.commit(Batch(runs=[row("b", 1)]))
            (tmp_path / "elsewhere").rename(path)
            await store.commit(Batch(runs=[row("b", 1)]))

    run(main())


def test_reading_never_makes_a_file_in_an_empty_folder(tmp_path):
    with pytest.raises(StoreMissing):
        run(opened(tmp_path / "dagsched.db", write=False))
    assert os.listdir(tmp_path) == []
    with pytest.raises(StoreMissing):
        run(opened(tmp_path / "none" / "dagsched.db", write=False))
    assert content(tmp_path) == {}
    assert not (tmp_path / "none").exists()
