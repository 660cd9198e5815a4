"""Hearing what other sessions notify, on a connection and a thread of its own (LISTEN, NOTIFY).

Notifications are lost while there is no connection, so whoever listens also looks from time to time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress

import psycopg
from psycopg import sql

from dagsched.errors import StoreError
from dagsched.stores.address import Address
from dagsched.stores.postgres_faults import translated
from dagsched.stores.postgres_session import Connection

log = logging.getLogger("dagsched.stores")

LOOK_S = 0.5
AGAIN_S = 1.0


class Listener:
    """Calls `heard` in the event loop with the channel and text of each notification, from `start` to `stop`.

    It is called with "" as well, once all channels are listened to: what was notified before has not been heard.
    """

    def __init__(self, address: Address, purpose: str, channels: Sequence[str], heard: Callable[[str, str], None]):
        self._address, self._purpose, self._channels, self._heard = address, purpose, channels, heard
        self._stopped = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Listen from now on."""
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._serve, name=f"postgres {self._purpose}", daemon=True).start()

    def stop(self) -> None:
        """Listen no more; the thread ends by itself soon."""
        self._stopped.set()

    def _serve(self) -> None:
        told = False
        while not self._stopped.is_set():
            try:
                self._listen()
                told = False
            except (psycopg.Error, StoreError) as error:
                if not told:
                    words = translated(error, self._address) if isinstance(error, psycopg.Error) else error
                    log.warning("notifications are not heard, which only makes it slower: %s", words)
                told = True
                self._stopped.wait(AGAIN_S)

    def _listen(self) -> None:
        connection = Connection(self._address, self._purpose).raw
        try:
            for channel in self._channels:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(channel)))
            self._tell("", "")
            while not self._stopped.is_set():
                for notice in connection.notifies(timeout=LOOK_S):
                    self._tell(notice.channel, notice.payload)
        finally:
            with suppress(psycopg.Error):
                connection.close()

    def _tell(self, channel: str, text: str) -> None:
        assert self._loop is not None
        if not self._stopped.is_set():
            with suppress(RuntimeError):  # the loop was closed
                self._loop.call_soon_threadsafe(self._heard, channel, text)
