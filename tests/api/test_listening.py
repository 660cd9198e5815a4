"""The life of the process that serves HTTP: born at the first call, gone when idle, never longer than its daemon."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from dagsched.api.listening import Listening, Serving, bound, is_loopback
from dagsched.clock import SystemClock
from dagsched.errors import StoreError
from tests.api.caller import called


def servers_of(pid: int) -> list[int]:
    """Return the processes among a daemon's children that serve HTTP."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
        except FileNotFoundError:
            continue
        if b"dagsched.web" in words:
            found.append(int(child))
    return found


def gone(pid: int, patience_s: float = 10) -> bool:
    deadline = time.monotonic() + patience_s
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_nothing_is_started_before_somebody_calls_and_a_crash_costs_one_call(tmp_path: Path) -> None:
    with called(tmp_path) as caller:
        daemon = caller.daemon.process.pid
        assert servers_of(daemon) == []
        assert caller.root.get("/livez").status_code == 200
        [server] = servers_of(daemon)
        os.kill(server, signal.SIGKILL)
        assert gone(server)
        with httpx.Client(base_url=caller.url, timeout=20) as later:
            assert later.get("/livez").status_code == 200
        assert servers_of(daemon) != [server]
        assert "ended with -9" in (tmp_path / "stderr").read_text()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_with_its_daemon_and_frees_the_port(tmp_path: Path, number: int) -> None:
    with called(tmp_path) as caller:
        caller.get("/status")
        with caller.root.stream("GET", "/api/v1/events/stream") as stream:
            [server] = servers_of(caller.daemon.process.pid)
            caller.daemon.signal(number)
            caller.daemon.ended()
            assert gone(server, 5)
            with suppress(httpx.HTTPError):  # it may end well or not, but it ends
                for _ in stream.iter_raw():
                    pass
        port = int(caller.url.rpartition(":")[2])
        bound("127.0.0.1", port).close()


def test_a_server_inherits_nothing_but_its_sockets(tmp_path: Path) -> None:
    with called(tmp_path) as caller:
        caller.get("/status")
        [server] = servers_of(caller.daemon.process.pid)
        held = [os.readlink(entry) for entry in Path(f"/proc/{server}/fd").iterdir() if os.path.islink(entry)]
        assert not any("lock" in name for name in held), held


class Watched(Listening):
    """Counts the children."""

    born = 0

    def _bear(self) -> None:
        super()._bear()
        self.born += 1


def test_an_idle_server_ends_and_the_next_call_starts_another(tmp_path: Path) -> None:
    async def play() -> None:
        daemon = SimpleNamespace(state_dir=tmp_path, clock=SystemClock(), http="")
        from dagsched.stores import open_store

        store = open_store(tmp_path)
        await store.open(write=True)
        door = Watched(daemon, Serving(idle_s=0.2), bound("127.0.0.1", 0), lambda words: None)  # type: ignore[arg-type]
        await door.start()
        async with httpx.AsyncClient(timeout=20) as client:
            for number in (1, 2):
                assert (await client.get(f"{daemon.http}/livez")).status_code == 200
                assert door.born == number
                child = door._child
                assert child is not None
                await asyncio.to_thread(child.wait, 20)
                while door._child is child:  # noqa: ASYNC110
                    await asyncio.sleep(0)
                assert child.returncode == 0
        await door.close()
        await store.close()
        assert not (tmp_path / "api.sock").exists()

    asyncio.run(play())


def test_a_busy_address_says_so() -> None:
    with bound("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StoreError, match=f"127.0.0.1:{port}: Address already in use"):
            bound("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "is_ours"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False),
     ("192.168.1.1", False), ("no.such.host.invalid", False)],
)  # fmt: skip
def test_loopback_is_what_only_this_machine_reaches(host: str, is_ours: bool) -> None:
    if ":" in host and not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    assert is_loopback(host) is is_ours
