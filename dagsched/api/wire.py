"""HTTP/1.1 as uvicorn speaks it over h11, with a patience that ends and room that is limited.

uvicorn gives a caller all the time there is to send the head of a request, and accepts as many connections as come.
Here the head has to arrive within HEAD_S of its first byte (or of the connection), heads are at most HEAD_BYTES_MAX,
and beyond CONNECTIONS_MAX a connection over TCP is cut before anything is read from it. Whoever comes over the socket
in the state directory is not counted with them: a flood on the port leaves the owner a way in.
"""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol

from dagsched.api.guard import HEAD_BYTES_MAX

HEAD_S = 10.0
CONNECTIONS_MAX = 256


class GuardedProtocol(H11Protocol):
    """One connection. `state["is_local"]` says whether it came over the socket in the state directory."""

    is_local = False
    head_s = HEAD_S
    connections_max = CONNECTIONS_MAX

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take the connection, or cut it when there are too many."""
        self._head_timer: asyncio.TimerHandle | None = None
        peer = transport.get_extra_info("socket")
        self.is_local = peer is not None and peer.family == socket.AF_UNIX
        self.app_state = {**self.app_state, "is_local": self.is_local, "abort": transport.abort}
        others = sum(1 for each in self.connections if not getattr(each, "is_local", False))
        super().connection_made(transport)
        if not self.is_local and others >= self.connections_max:
            transport.abort()
            return
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the clock for a head runs from its first one."""
        is_head = self.cycle is None or self.cycle.response_complete
        if is_head and self._head_timer is None:
            self._await_head()
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        """Let the next head begin; what was pipelined may have begun it already."""
        super().on_response_complete()
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as everything else is answered."""
        self._stop_waiting()
        status = 431 if self.conn.trailing_data[0] and len(self.conn.trailing_data[0]) > HEAD_BYTES_MAX else 400
        title = "The head of the request is too long" if status == 431 else "This is no HTTP request"
        body = json.dumps({"type": "urn:dagsched:problem:malformed", "title": title, "status": status}).encode()
        headers: list[tuple[Any, Any]] = [
            (b"content-type", b"application/problem+json"),
            (b"content-length", str(len(body)).encode()),
            (b"connection", b"close"),
        ]
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = h11.Response(status_code=status, headers=headers, reason=STATUS_PHRASES[status])
            for part in (answer, h11.Data(data=body), h11.EndOfMessage()):
                self.transport.write(self.conn.send(part) or b"")
        self.transport.close()

    def _await_head(self) -> None:
        self._head_timer = self.loop.call_later(self.head_s, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _too_slow(self) -> None:
        self._head_timer = None
        if self.cycle is not None and not self.cycle.response_complete:
            return
        self.transport.abort()
