"""The process that serves HTTP: `python -m dagsched.web FD`, started by the daemon when somebody calls.

On FD it reads one JSON line of orders, then nothing more: the end of that connection is the end of the daemon. It
reads the state like any other reader and changes nothing but through the daemon's control socket.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from dagsched.api.desk import Desk
from dagsched.api.guard import HEAD_BYTES_MAX
from dagsched.api.wire import GuardedProtocol

log = logging.getLogger("dagsched.api")

MESSAGE_BYTES_MAX = 4096
LOOK_S = 0.5
GOODBYE_S = 2


def main(fd: int, make: Callable[[Desk], Any]) -> int:
    """Serve what `make` makes of a desk until the daemon ends or nobody calls any more; return the exit code."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="dagsched: %(levelname)s: %(message)s")
    # That somebody sent what is no HTTP is no news for the daemon's log, and a flood of it would fill that.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    link = socket.socket(fileno=fd)
    with link.makefile("rb") as lines:
        orders = json.loads(lines.readline())
    asyncio.run(_serve(link, orders, make))
    return 0


async def _serve(link: socket.socket, orders: dict[str, Any], make: Callable[[Desk], Any]) -> None:
    sockets = [socket.socket(fileno=fd) for fd in orders["listeners"]]
    desk = Desk(
        Path(orders["state_dir"]),
        has_auth=orders["auth"],
        allow_hosts=orders["allow_hosts"],
        job_commands=orders["job_commands"],
        url=orders["url"],
    )
    await desk.open()
    server = Server(_config(make(desk)))
    lives = asyncio.ensure_future(_until_end(link, server, desk))
    quiet = asyncio.ensure_future(_until_idle(server, desk, orders["idle_s"]))
    try:
        await server.serve(sockets)
    finally:
        lives.cancel()
        quiet.cancel()
        await desk.close()


def _config(app: Any) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        loop="asyncio",
        http=GuardedProtocol,
        ws="websockets-sansio",
        ws_max_size=MESSAGE_BYTES_MAX,
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        h11_max_incomplete_event_size=HEAD_BYTES_MAX,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GOODBYE_S,
    )


class Server(uvicorn.Server):
    """A server that leaves the process's signals as they are."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Do nothing: the daemon ends this process by closing the link, an administrator by SIGTERM."""
        yield


async def _until_end(link: socket.socket, server: uvicorn.Server, desk: Desk) -> None:
    """See that the daemon has ended; its streams get a moment to say so."""
    link.setblocking(False)
    loop = asyncio.get_running_loop()
    with contextlib.suppress(OSError):
        while await loop.sock_recv(link, 1):
            pass
    desk.end()
    server.should_exit = True


async def _until_idle(server: uvicorn.Server, desk: Desk, idle_s: float) -> None:
    """See that nobody has called for a while."""
    served, since = 0, time.monotonic()
    while True:
        await asyncio.sleep(min(LOOK_S, idle_s / 2))
        is_busy = bool(server.server_state.tasks) or desk.streams > 0
        if is_busy or server.server_state.total_requests != served:
            served, since = server.server_state.total_requests, time.monotonic()
        elif time.monotonic() - since >= idle_s:
            server.should_exit = True
            return
