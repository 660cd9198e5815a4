"""One connection to a daemon, never blocking in either direction."""

from __future__ import annotations

import select
import socket

from . import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# More is mapped anew by the C library for each call and given back after it (M_MMAP_THRESHOLD, mallopt(3)), which takes
# longer than all else about a message.
_CHUNK_BYTES = 1 << 16
_FINISH_S = 5.0


class Link:
    """A daemon's connection.

    `greeted`: hello was read; `ready`: the inventory was sent; `closed`: the stream was read to its end.
    `draining`: the daemon speaks another protocol version. `refused`: it is let go of, whatever it has sent.
    """

    def __init__(self, sock: socket.socket, poll: select.poll) -> None:
        sock.setblocking(False)
        self._sock, self._poll = sock, poll
        self._feed = wire.Feed()
        self._out = bytearray()
        self._stuck = False  # the kernel's buffer is full
        self._broken = False  # it cannot be written to any more, but may still hold orders to be read
        self.greeted = self.ready = self.draining = self.closed = self.refused = False
        poll.register(sock.fileno(), select.POLLIN)

    def fileno(self) -> int:
        return self._sock.fileno()

    def receive(self) -> list[dict[str, Any]]:
        """Return the messages that have come; sets `closed` at the end of the stream or on nonsense."""
        try:
            data = self._sock.recv(_CHUNK_BYTES)
            self.closed = not data
            return self._feed.take(data)
        except BlockingIOError:
            return []
        except (OSError, ValueError):
            self.closed = True
            return []

    def send(self, message: dict[str, Any]) -> None:
        """Queue a message; `flush` hands it to the kernel."""
        self._out += wire.encode(message)

    def send_rows(self, kind: str, rows: list[Any]) -> None:
        """Queue rows in messages of a size that a reader can take in between other work."""
        for begin in range(0, len(rows), wire.ROWS_PER_MESSAGE):
            self.send({"is": kind, "rows": rows[begin : begin + wire.ROWS_PER_MESSAGE]})

    def send_bodies(self, kind: str, rows: list[bytes]) -> None:
        """Do as `send_rows` with rows that are JSON already."""
        for begin in range(0, len(rows), wire.ROWS_PER_MESSAGE):
            self._out += wire.encode_rows(kind, rows[begin : begin + wire.ROWS_PER_MESSAGE])

    def flush(self) -> None:
        """Write what the kernel takes; the rest follows when the socket has room."""
        if self._broken:
            self._out.clear()
        try:
            while self._out:
                del self._out[: self._sock.send(self._out[:_CHUNK_BYTES])]
        except BlockingIOError:
            if not self._stuck:
                self._stuck = True
                self._poll.modify(self.fileno(), select.POLLIN | select.POLLOUT)
            return
        except OSError:
            self._broken = True
            self._out.clear()
        if self._stuck:
            self._stuck = False
            self._poll.modify(self.fileno(), select.POLLIN)

    def finish(self) -> None:
        """Write what is left, for some seconds at most, and close."""
        self._sock.settimeout(_FINISH_S)
        try:
            self._sock.sendall(self._out)
        except OSError:
            self._broken = True
        self._sock.close()

    def close(self) -> None:
        """Stop listening to it."""
        self._poll.unregister(self.fileno())
        self._sock.close()
