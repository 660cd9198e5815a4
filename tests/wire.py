"""A wire to the PostgreSQL server of the tests that can be cut: nothing passes, and nobody is told."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict

from dagsched.stores import Address

CHUNK = 65536


class Wire:
    """A TCP proxy before a server; a context. `address` is `there` by way of it.

    While it is cut, what is sent is kept and new connections are accepted and not answered, as behind a firewall that
    drops packets; mended, what was kept goes on.
    """

    def __init__(self, there: Address) -> None:
        self._there = conninfo_to_dict(there.url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._passes = threading.Event()
        self._passes.set()
        self._is_over = False
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        port = self._listener.getsockname()[1]
        user, database = (quote(str(self._there[key])) for key in ("user", "dbname"))
        self.address = Address(f"postgresql://{user}@127.0.0.1:{port}/{database}", there.namespace)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over = True
        self._passes.set()
        # A thread that waits in accept does not notice that its socket is closed.
        with suppress(OSError):
            socket.create_connection(self._listener.getsockname()).close()
        self._listener.close()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()

    def cut(self) -> None:
        self._passes.clear()

    def mend(self) -> None:
        self._passes.set()

    def _accept(self) -> None:
        while not self._is_over:
            with suppress(OSError):
                here, _ = self._listener.accept()
                self._sockets.append(here)
                thread = threading.Thread(target=self._join, args=(here,), daemon=True)
                thread.start()
                self._threads.append(thread)

    def _join(self, here: socket.socket) -> None:
        self._passes.wait()
        with here, suppress(OSError), self._connected() as there:
            back = threading.Thread(target=self._pump, args=(there, here), daemon=True)
            back.start()
            self._pump(here, there)
            back.join()

    def _connected(self) -> socket.socket:
        host, port = str(self._there["host"]), int(self._there.get("port") or 5432)
        if not host.startswith("/"):
            return socket.create_connection((host, port))
        there = socket.socket(socket.AF_UNIX)
        try:
            there.connect(f"{host}/.s.PGSQL.{port}")
        except OSError:
            there.close()
            raise
        return there

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                self._passes.wait()
                target.sendall(data)
        # The end of one direction is the end of the other: both sides of a session close together.
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
