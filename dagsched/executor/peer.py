"""One connection to one spawner, from hello to the end of the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from dagsched.spawner import wire

Key = tuple[str, int]


BUFFER_BYTES = 1 << 16


class Peer(asyncio.BufferedProtocol):
    """A spawner as seen from here.

    `ready` is done when the inventory is complete, or is cancelled when the stream ended before that. `lost`
    is done at the end of the stream; `bye` tells whether the spawner announced it. `drain`: it speaks
    another version and takes no starts.
    """

    def __init__(self, on_message: Callable[[Peer, dict[str, Any]], None], on_lost: Callable[[Peer], None]) -> None:
        loop = asyncio.get_running_loop()
        self._on_message, self._on_lost = on_message, on_lost
        self._feed = wire.Feed()
        # One for all that comes: asyncio's own would be mapped and given back for each message.
        self._buffer = memoryview(bytearray(BUFFER_BYTES))
        self._out = bytearray()
        self._transport: asyncio.Transport | None = None
        self.ready: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[None] = loop.create_future()
        self.version = 0
        self.pid = 0
        self.cgroup = ""  # to be removed once its process has ended
        self.drain = self.rebooted = self.bye = False
        self.living: dict[Key, int] = {}
        self.recorded: set[Key] = set()
        self.exits: list[dict[str, Any]] = []  # those of the inventory

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        for message in self._feed.take(bytes(self._buffer[:nbytes])):
            self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.lost.done():
            self.lost.set_result(None)
        if self.ready.done():
            self._on_lost(self)
        else:
            self.ready.cancel()

    def send(self, message: dict[str, Any]) -> None:
        """Put a message with those that `flush` writes."""
        self._out += wire.encode(message)

    def flush(self) -> None:
        """Write what was sent, at once; to a spawner that is gone it is dropped, as its inventory will not name it."""
        if self._out and self._transport is not None and not self._transport.is_closing():
            self._transport.write(bytes(self._out))
        self._out.clear()

    def close(self) -> None:
        """Send what is waiting and close; `lost` is done when that has happened."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["is"]
        if kind == "bye":
            self.bye, self.cgroup = True, message.get("cgroup", "")
        elif kind == "remark" or self.ready.done():
            self._on_message(self, message)
        elif kind == "welcome":
            self.version, self.pid = message["version"], message["pid"]
            self.drain, self.rebooted = message["drain"], message["rebooted"]
        elif kind == "living":
            self.living.update({(run, attempt): pid for run, attempt, pid in message["rows"]})
        elif kind == "recorded":
            self.recorded.update((run, attempt) for run, attempt in message["rows"])
        elif kind == "exits":
            self.exits += message["rows"]
        elif kind == "ready":
            self.ready.set_result(None)
