"""The door for HTTP: the daemon holds the listening sockets, and a child process serves them while somebody calls.

An HTTP server and what it needs take tens of megabytes, and a request may keep a processor busy for a while. Neither
belongs into the process that has to start jobs on time. So the daemon binds the sockets and only waits for them to
become readable; then it starts `dagsched.web`, which inherits them, and looks away until that process ends.
Who calls in between waits in the sockets' backlog and is not turned away. The child ends when it has been idle for a
while, and at once when its control connection closes, which is how it learns that the daemon has ended.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import dagsched
from dagsched.api.access import Access
from dagsched.api.socket import short_path
from dagsched.errors import StoreError

if TYPE_CHECKING:
    from dagsched.daemon import Daemon

log = logging.getLogger("dagsched.api")

SOCKET_NAME = "api.sock"
HOST, PORT = "127.0.0.1", 8420
BACKLOG = 128
IDLE_S = 300.0
# A child that ended by itself so soon after its start is likely to do so again.
SHORT_LIFE_S = 5.0
PAUSE_S, PAUSE_MAX_S = 0.5, 30.0
END_S = 4.0
BIND_PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Serving:
    """How HTTP is served.

    `bind`: host and port that were asked for, None for the default. `auth`: whether callers over TCP need a token.
    `allow_hosts`: names, besides this machine's, that a browser may have asked for. `job_commands`: whether job text
    that comes in may define commands. `idle_s`: after how long without a call the child ends.
    """

    bind: tuple[str, int] | None = None
    auth: bool = True
    allow_hosts: Sequence[str] = ()
    job_commands: bool = False
    idle_s: float = IDLE_S


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address; a name counts by what it stands for now."""
    import ipaddress

    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return False
    return all(ipaddress.ip_address(str(address[4][0]).partition("%")[0]).is_loopback for address in found)


def bound(host: str, port: int, patience_s: float = 0.0) -> socket.socket:
    """Return a listening socket; raises StoreError with the reason when the address cannot be had.

    `patience_s`: how long one that is busy is tried again; the child of a daemon that was killed needs a moment to end.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            found = socket.socket(family, kind, protocol)
            try:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                found.bind(address)
                found.listen(BACKLOG)
                found.setblocking(False)
            except OSError:
                found.close()
                raise
            return found
        except OSError as error:
            if time.monotonic() >= deadline:
                raise StoreError(f"cannot listen on {host_port(host, port)}: {error.strerror or error}") from error
            time.sleep(0.05)


def host_port(host: str, port: int) -> str:
    """Return both as an address is written."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Listening:
    """The sockets of one daemon and the child that serves them. `say` tells a person something once."""

    def __init__(self, daemon: Daemon, serving: Serving, tcp: socket.socket | None, say: Callable[[str], None]) -> None:
        self._daemon, self._serving, self._say = daemon, serving, say
        self._path = daemon.state_dir / SOCKET_NAME
        self._listeners = [] if tcp is None else [tcp]
        self._child: subprocess.Popen[bytes] | None = None
        self._link: socket.socket | None = None
        self._born = 0.0
        self._pause_s = PAUSE_S
        self._again: asyncio.TimerHandle | None = None
        self._reaping: asyncio.Task[None] | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Listen on the socket in the state directory, and on TCP when that is possible or was asked for."""
        if not self._listeners and (default := self._default()) is not None:
            self._listeners.append(default)
        if self._listeners:
            host, port = self._listeners[0].getsockname()[:2]
            self._daemon.http = f"http://{host_port(host, port)}"
            self._say(f"HTTP on {self._daemon.http}")
            self._give_first_token()
        self._listeners.append(self._unix())
        self._wait()

    async def close(self) -> None:
        """Stop listening and see the child end."""
        self._is_closed = True
        self._look_away()
        if self._again is not None:
            self._again.cancel()
        for listener in self._listeners:
            listener.close()
        with suppress(FileNotFoundError):
            self._path.unlink()
        if self._child is not None and self._link is not None:
            with suppress(OSError):
                self._link.shutdown(socket.SHUT_RDWR)
            await self._ended(self._child)
            self._forget_link()
        if self._reaping is not None:
            await self._reaping

    # ------------------------------------------------------------ sockets

    def _default(self) -> socket.socket | None:
        try:
            return bound(HOST, PORT)
        except StoreError as error:
            self._say(f"{error}; HTTP is on {self._path} alone (--bind HOST:PORT moves it, --no-http turns it off)")
            return None

    def _unix(self) -> socket.socket:
        """Return the socket that only the owner of the state may use."""
        self._path.unlink(missing_ok=True)
        found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            with short_path(self._daemon.state_dir, SOCKET_NAME) as path:
                found.bind(path)
        finally:
            os.umask(mask)
        found.listen(BACKLOG)
        found.setblocking(False)
        return found

    def _give_first_token(self) -> None:
        if not self._serving.auth:
            return
        secret = Access(self._daemon.state_dir).first_token(self._daemon.clock.now())
        if secret is not None:
            self._say(f"the first token, shown only now (role admin): {secret}")

    # ------------------------------------------------------------ the child

    def _wait(self) -> None:
        """Have the first call start a child."""
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            loop.add_reader(listener.fileno(), self._called)

    def _look_away(self) -> None:
        loop = asyncio.get_running_loop()
        for listener in self._listeners:
            if listener.fileno() >= 0:
                loop.remove_reader(listener.fileno())

    def _called(self) -> None:
        self._look_away()
        try:
            self._bear()
        except OSError as error:
            log.warning("the process that serves HTTP cannot be started: %s", error)
            self._wait_later()

    def _bear(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._child = subprocess.Popen(
                    [sys.executable, "-m", "dagsched.web", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno(), *(listener.fileno() for listener in self._listeners)],
                    # It finds this very package there, and nothing that lies about in the daemon's folder.
                    cwd=Path(dagsched.__file__).parent.parent,
                    # A person's Ctrl-C is for the daemon, which ends the child when it has ended itself.
                    start_new_session=True,
                )
                ours.sendall(self._orders())
            except OSError:
                ours.close()
                raise
        ours.setblocking(False)
        self._link, self._born = ours, time.monotonic()
        asyncio.get_running_loop().add_reader(ours.fileno(), self._heard)

    def _orders(self) -> bytes:
        """Return the line from which the child knows what to do."""
        serving = self._serving
        orders = {
            "state_dir": str(self._daemon.state_dir),
            "listeners": [listener.fileno() for listener in self._listeners],
            "auth": serving.auth,
            "allow_hosts": list(serving.allow_hosts),
            "job_commands": serving.job_commands,
            "idle_s": serving.idle_s,
            "url": self._daemon.http,
        }
        return json.dumps(orders).encode() + b"\n"

    def _heard(self) -> None:
        """The child never speaks: what can be read is its end."""
        self._forget_link()
        if self._child is not None and not self._is_closed:
            self._reaping = asyncio.ensure_future(self._reap(self._child))

    async def _reap(self, child: subprocess.Popen[bytes]) -> None:
        code = await self._ended(child)
        if self._is_closed:
            return
        if code == 0:
            self._pause_s = PAUSE_S
            self._wait()
            return
        log.warning("the process that serves HTTP ended with %s; the next call starts another", code)
        if time.monotonic() - self._born > SHORT_LIFE_S:
            self._pause_s = PAUSE_S
        self._wait_later()

    def _wait_later(self) -> None:
        self._again = asyncio.get_running_loop().call_later(self._pause_s, self._wait)
        self._pause_s = min(self._pause_s * 2, PAUSE_MAX_S)

    async def _ended(self, child: subprocess.Popen[bytes]) -> int:
        """Wait for the child's end, for a while, then end it; return its exit code."""
        deadline = time.monotonic() + END_S
        while (code := child.poll()) is None:
            if time.monotonic() > deadline:
                child.kill()
                code = child.wait()
                break
            await asyncio.sleep(0.01)
        self._child = None
        return code

    def _forget_link(self) -> None:
        if self._link is not None:
            asyncio.get_running_loop().remove_reader(self._link.fileno())
            self._link.close()
            self._link = None
