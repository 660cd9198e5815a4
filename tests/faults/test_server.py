"""Faults of a PostgreSQL server and of the way to it, under a real daemon.

A server that is full, only reads, or has locked what is to be written is like a disk that fails (test_storage.py); one
that hangs says nothing at all, and is trouble as well.

Each message of one run's life is the one at which its session breaks, before the server has heard of it or after the
server has done it. In the second case nobody knows whether the commit was made, and it is made once all the same.
"""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from dagsched.stores import Address
from tests.daemon.served import PATIENCE_S, Served, ask
from tests.faults.hands import wait_until, write_jobs
from tests.faults.injecting import LONG, TAKES_ALL
from tests.faults.lives import Lives
from tests.faults.sessions import Fragile
from tests.faults.through import JOBS, QUIET_S, begun, health, is_through
from tests.postgres import Server, new_address, own_server, own_server_in
from tests.torture.processes import spawners


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_session_that_breaks_at_any_message_of_a_runs_life_loses_nothing_and_repeats_nothing(
    tmp_path: Path, after: bool
) -> None:
    there = new_address()
    with Fragile(there, "writer", parts=TAKES_ALL) as wire:
        lives = Lives(tmp_path, 5, there, wire.address)
        try:
            lives.trigger("long")
            for message in messages_of_a_life(lives, wire):
                live_through(lives, wire, message, after)
            lives.stop()
        finally:
            lives.close()
        assert wire.breaks >= (8 if TAKES_ALL else 3)
        assert_nothing_is_wrong(lives)


def messages_of_a_life(lives: Lives, wire: Fragile) -> Iterator[int]:
    """Yield the numbers of the messages at which to break: the ends of requests, in the long version all."""
    most = 0
    for _ in range(4):
        wire.break_at(0, after=False)
        lives.trigger("work")
        lives.come_to_rest()
        most = max(most, wire.messages)
    print(f"at most {most} messages of a life")
    yield from range(1, most + 1)


def live_through(lives: Lives, wire: Fragile, message: int, after: bool) -> None:
    """Have a run live while the wire breaks at that message, if there are so many."""
    wire.break_at(message, after=after)
    lives.trigger("work")
    lives.come_to_rest()


def live_through_a_crash(lives: Lives, wire: Fragile, message: int, after: bool, server: Server) -> None:
    """Have a run live while the server dies with that message, if there are so many, and comes back."""
    is_down = threading.Event()

    def crash() -> None:
        server.crash()
        is_down.set()

    breaks = wire.breaks
    wire.break_at(message, after=after, then=crash)
    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(lives.trigger, "work")
        wait_until(lambda: is_down.is_set() or (asked.done() and is_over(lives)), "the end of a life or of the server")
        wire.break_at(0, after=False)
        if wire.breaks > breaks:
            assert is_down.wait(PATIENCE_S)
            # Here, for it ends with the thread that has started it.
            server.start()
        asked.result()
    lives.come_to_rest()


def is_over(lives: Lives) -> bool:
    """Whether the lives are at rest, for all that is known while the server dies."""
    import psycopg

    try:
        return lives.is_at_rest()
    except psycopg.OperationalError:
        return False


def assert_nothing_is_wrong(lives: Lives) -> None:
    """Require a true record in which each run has exactly one attempt: nobody but the way to the server has failed."""
    assert lives.verdict() == []
    ran = [row for row in lives.evidence().history if row["job"] in ("work", "after")]
    assert {(row["state"], row["attempts"]) for row in ran} == {("success", 1)}
    assert len(ran) >= 2 * sum(verb["args"] == ["trigger", "work"] and bool(verb["out"]) for verb in lives.verbs)


@LONG
def test_a_server_killed_with_any_request_of_a_runs_life_costs_nothing(tmp_path: Path) -> None:
    server = own_server()
    there = new_namespace(server)
    with Fragile(there, "writer") as wire:
        lives = Lives(tmp_path, 5, there, wire.address)
        try:
            lives.trigger("long")
            for message in messages_of_a_life(lives, wire):
                for after in (False, True):
                    live_through_a_crash(lives, wire, message, after, server)
            lives.stop()
        finally:
            lives.close()
        assert wire.breaks >= 4
        assert_nothing_is_wrong(lives)
    server.stop()


def new_namespace(server: Server) -> Address:
    return Address(server.url, "faults")


# ---------------------------------------------------------------- locked, read-only, full, hanging


LOCK_S = 30.0 if TAKES_ALL else 3.0


def on(address: Address) -> list[str]:
    return ["--store", address.url, "--namespace", address.namespace]


def test_a_lock_of_another_program_on_the_server_stops_starts_and_is_waited_out(tmp_path: Path) -> None:
    """As a migration, or somebody's forgotten transaction, may hold it. It costs no attempt its lease."""
    import psycopg

    address = new_address()
    write_jobs(tmp_path, JOBS)

    @contextmanager
    def held() -> Iterator[None]:
        with psycopg.connect(address.url) as other:
            other.execute(f"LOCK TABLE {address.schema}.runs IN EXCLUSIVE MODE".encode())
            began = time.monotonic()
            yield
            time.sleep(max(0.0, LOCK_S - (time.monotonic() - began)))

    # The shortest lease there may be: it would be over if the lock kept it from being renewed.
    with Served(tmp_path, *on(address), env={"DAGSCHED_ATTEMPT_LEASE": "5s"}) as daemon:
        is_through(tmp_path, daemon, tmp_path / ".dagsched", held, address)
    assert "lost" not in ask(tmp_path, "history", "held")


def test_a_server_that_only_reads_stops_starts_until_it_is_promoted(tmp_path: Path) -> None:
    """As behind an address that goes over to a standby server before that is the new primary."""
    import psycopg

    server = own_server()
    address = new_namespace(server)
    write_jobs(tmp_path, JOBS)

    @contextmanager
    def reading() -> Iterator[None]:
        server.stop()
        (server.data / "standby.signal").touch()
        server.start()
        yield
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")

    with Served(tmp_path, *on(address)) as daemon:
        is_through(tmp_path, daemon, tmp_path / ".dagsched", reading, address)
    server.stop()


@pytest.fixture
def server_on_a_small_disk() -> Iterator[Server]:
    """A server on a file system of 100 MB, which only root can make."""
    folder = Path(tempfile.mkdtemp(prefix="dagsched-pg-"))
    words = ["mount", "-t", "tmpfs", "-o", "size=100m", "tmpfs", str(folder)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        folder.rmdir()
        pytest.skip("this needs the right to mount")
    try:
        server = own_server_in(folder)
        yield server
        server.stop()
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
        folder.rmdir()


def test_a_full_disk_of_the_server_stops_starts_and_all_goes_on_when_there_is_room(
    tmp_path: Path, server_on_a_small_disk: Server
) -> None:
    server = server_on_a_small_disk
    address = new_namespace(server)
    # Long enough to need new pages with each run.
    output = "head -c 30000 /dev/urandom | base64 -w 0 | sed s/^/x=/ >> $DAGSCHED_OUTPUT"
    write_jobs(tmp_path, JOBS | {"often": {**JOBS["often"], "run": f"{JOBS['often']['run']}; {output}"}})

    @contextmanager
    def full() -> Iterator[None]:
        filler = server.folder / "filler"
        fill(filler)
        yield
        filler.unlink()

    with Served(tmp_path, *on(address)) as daemon:
        is_through(tmp_path, daemon, tmp_path / ".dagsched", full, address)


def fill(path: Path) -> None:
    """Leave no room on a file system."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue


def test_a_lease_that_cannot_be_renewed_stops_starts_until_it_can(tmp_path: Path) -> None:
    """The session that renews it has no way to the server, the others have."""
    there, state = new_address(), tmp_path / ".dagsched"
    write_jobs(tmp_path, JOBS)
    with Fragile(there, "lease", parts=True) as wire, Served(tmp_path, *on(wire.address)) as daemon:
        daemon.until_type("run.succeeded", "often")
        (spawner,) = spawners(state)
        wire.break_at(1, after=False, always=True)
        wait_until(lambda: health(state) == "the lease could not be renewed", "the daemon's notice")
        before = begun(tmp_path)
        time.sleep(QUIET_S)  # what is tested is that nothing starts
        assert begun(tmp_path) == before
        wire.break_at(0, after=False)
        wait_until(lambda: health(state) == "ok", "the recovery")
        daemon.until_type("run.succeeded", "often")
        wait_until(lambda: len(begun(tmp_path)) > len(before), "the starts that had to wait")
        assert spawners(state) == [spawner]
        assert len(begun(tmp_path)) == len(set(begun(tmp_path)))


def test_a_server_that_hangs_is_trouble_and_keeps_no_daemon_from_ending(tmp_path: Path) -> None:
    server = own_server()
    write_jobs(tmp_path, JOBS)
    state = tmp_path / ".dagsched"
    with Served(tmp_path, *on(new_namespace(server)), "--grace", "1s") as daemon:
        daemon.until_type("run.succeeded", "often")
        with frozen(server):
            wait_until(lambda: health(state) == "the store does not answer", "the daemon's notice")
            before = begun(tmp_path)
        wait_until(lambda: health(state) == "ok", "the recovery")
        wait_until(lambda: len(begun(tmp_path)) > len(before), "the next start")
        with frozen(server):
            wait_until(lambda: health(state) == "the store does not answer", "the daemon's notice")
            daemon.signal(signal.SIGTERM)
            assert daemon.ended() in (0, 4)
    assert "Traceback" not in (tmp_path / "stderr").read_text()
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")
    server.stop()


@contextmanager
def frozen(server: Server) -> Iterator[None]:
    """Stop all processes of a server, and let them go on afterwards."""
    pids = server.pids()
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
