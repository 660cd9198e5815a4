"""A wire to a PostgreSQL server that breaks at a chosen message of a chosen session.

A message is what is sent at once: a request, such as all statements of one commit, or a part of one. Broken before it,
the server never hears of it. Broken after it, the server does all that it says, and nobody hears of that: of a commit
this leaves open whether it was made. A request ends with a Sync, behind which there may be a Flush, or is a simple
query, see https://www.postgresql.org/docs/current/protocol-message-formats.html.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from dagsched.stores import Address
from tests.daemon.served import PATIENCE_S
from tests.wire import CHUNK, Wire

SYNC, FLUSH = b"S\0\0\0\x04", b"H\0\0\0\x04"


def nothing() -> None:
    """Leave it at the broken wire."""


class Fragile(Wire):
    """A wire of which the sessions of one purpose, such as `writer`, break; a context.

    `messages`: theirs since `break_at`, all with `parts`, else those that end a request. `breaks`: how often it broke.
    """

    def __init__(self, there: Address, purpose: str, *, parts: bool = False) -> None:
        super().__init__(there)
        self._parts = parts
        # At its start a session says its name, which ends with what it is for.
        self._name = f" {purpose}\0".encode()
        self.messages = 0
        self.breaks = 0
        self._at, self._is_after, self._then, self._always = 0, False, nothing, False
        self._deaf: dict[socket.socket, threading.Event] = {}

    def break_at(self, message: int, *, after: bool, then: Callable[[], None] = nothing, always: bool = False) -> None:
        """Break at that message from now on (`always`: and at each one after it), counted from 1, and do `then`.

        0: count only.
        """
        self.messages, self._always = 0, always
        self._at, self._is_after, self._then = message, after, then

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            if source in self._sockets:
                self._ask(source, target)
            else:
                self._answer(source, target)
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        is_chosen = False
        while data := client.recv(CHUNK):
            is_chosen = is_chosen or self._name in data
            if is_chosen and (self._parts or is_end(data)):
                self.messages += 1
                if self.messages == self._at or (self._always and self.messages > self._at):
                    self._break(client, server, data)
                    return
            server.sendall(data)

    def _break(self, client: socket.socket, server: socket.socket, data: bytes) -> None:
        self.breaks += 1
        if self._is_after:
            heard = self._deaf[client] = threading.Event()
            server.sendall(data)
            if is_end(data):
                assert heard.wait(PATIENCE_S), "the server did not answer"
        self._then()

    def _answer(self, server: socket.socket, client: socket.socket) -> None:
        while data := server.recv(CHUNK):
            if client in self._deaf:
                self._deaf[client].set()
                continue
            client.sendall(data)


def is_end(data: bytes) -> bool:
    """Whether a message ends a request, so that the server answers."""
    return data.startswith(b"Q") or data.removesuffix(FLUSH).endswith(SYNC)
