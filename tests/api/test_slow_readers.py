"""Readers of live events who take nothing: dropped for good, while the others go on."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from dagsched.api import guard
from dagsched.api.desk import Desk
from dagsched.api.server import Server, _config
from dagsched.model import EventRow, utc
from dagsched.stores import SqliteStore
from dagsched.stores.contract import Batch
from dagsched.web.site import make_site

EVENTS, REASON = 4000, "because " * 500  # sixteen megabytes: more than what lies in the buffers between two sockets
PATIENCE_S = 60.0
HEADS = {
    "server-sent": "GET /api/v1/events/stream?since=0 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "websocket": "GET /api/v1/events/ws?since=0 HTTP/1.1\r\nHost: localhost\r\n"
    "Upgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n",
}


async def told(folder: Path) -> None:
    """Write a long log of events."""
    store = SqliteStore(folder / "dagsched.db")
    await store.open(write=True)
    await store.acquire("a test")
    rows = [EventRow(seq, utc(2026, 11, 26), "executor.remark", reason=REASON) for seq in range(1, EVENTS + 1)]
    await store.commit(Batch(events=rows))
    await store.close()


@pytest.mark.parametrize("way", HEADS)
def test_a_reader_who_takes_nothing_is_dropped_and_others_get_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(guard, "SEND_S", 2.0)

    async def play() -> None:
        await told(tmp_path)
        desk = Desk(tmp_path, has_auth=False)
        await desk.open()
        listener = socket.create_server(("127.0.0.1", 0))
        server = Server(_config(make_site(desk)))
        serving = asyncio.ensure_future(server.serve([listener]))
        port = listener.getsockname()[1]
        loop = asyncio.get_running_loop()
        slow = socket.socket()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.setblocking(False)
        try:
            async with asyncio.timeout(PATIENCE_S):
                await loop.sock_connect(slow, ("127.0.0.1", port))
                await loop.sock_sendall(slow, HEADS[way].encode())
                assert (await loop.sock_recv(slow, 12)).startswith(b"HTTP/1.1 ")
                reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 30)
                writer.write(HEADS["server-sent"].encode())
                await reader.readuntil(f"id: {EVENTS}\n".encode())
                # Only the one who takes everything is left.
                while desk.streams > 1:  # noqa: ASYNC110  (a number tells nobody that it changed)
                    await asyncio.sleep(0.05)
                left = 0
                with suppress(ConnectionResetError):
                    while part := await loop.sock_recv(slow, 1 << 20):
                        left += len(part)
                assert left < EVENTS * len(REASON) / 2, "what lay in the buffers, and no more"
                writer.close()
                await writer.wait_closed()
        finally:
            slow.close()
            desk.end()
            server.should_exit = True
            await serving
            await desk.close()

    asyncio.run(play())
