"""Slow readers and writers, and how many there may be: dropped for good, while the others go on."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from dagsched.api import guard, streams
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


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[Desk, int]]:
    """Serve a state without a daemon in this process; gives the desk and the port."""
    desk = Desk(folder, has_auth=False)
    await desk.open()
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(_config(make_site(desk)))
    serving = asyncio.ensure_future(server.serve([listener]))
    try:
        async with asyncio.timeout(PATIENCE_S):
            yield desk, listener.getsockname()[1]
    finally:
        desk.end()
        server.should_exit = True
        await serving
        await desk.close()


@pytest.mark.parametrize("way", HEADS)
def test_a_reader_who_takes_nothing_is_dropped_and_others_get_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    monkeypatch.setattr(guard, "SEND_S", 2.0)

    async def play() -> None:
        await told(tmp_path)
        loop = asyncio.get_running_loop()
        async with served(tmp_path) as (desk, port):
            with socket.socket() as slow:
                slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                slow.setblocking(False)
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

    asyncio.run(play())


def test_so_many_streams_are_open_and_not_one_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "STREAMS_MAX", 5)

    async def opened(port: int) -> tuple[bytes, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEADS["server-sent"].replace("?since=0", "").encode())
        return await reader.readline(), writer

    async def play() -> None:
        await told(tmp_path)
        async with served(tmp_path) as (desk, port):
            readers = [await opened(port) for _ in range(6)]
            assert [line.split()[1] for line, _ in readers] == [*[b"200"] * 5, b"503"]
            readers[2][1].close()
            while desk.streams == 5:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            readers += [await opened(port), await opened(port)]
            assert [line.split()[1] for line, _ in readers[6:]] == [b"200", b"503"]
            for _, writer in readers:
                writer.close()

    asyncio.run(play())


def test_a_body_that_trickles_is_refused_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 1.0)

    async def play() -> None:
        await told(tmp_path)
        async with served(tmp_path) as (_, port):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(
                b"POST /api/v1/validate HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 100000\r\n\r\n"
            )
            answer = asyncio.ensure_future(reader.readline())
            while not answer.done():
                writer.write(b" ")
                await asyncio.wait([answer], timeout=0.1)
            assert answer.result().split()[1] == b"408"
            writer.close()

    asyncio.run(play())
