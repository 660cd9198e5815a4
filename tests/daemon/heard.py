"""A daemon in this very process: what it does and says, as something that can be waited for."""

from __future__ import annotations

import asyncio
import logging

from tests.daemon.served import PATIENCE_S


class Seen:
    """An observer that can be waited for."""

    def __init__(self):
        self.types = []
        self._came = asyncio.Event()

    def on_config(self, config):
        pass

    def on_events(self, events):
        self.types += [event.type for event in events]
        self._came.set()

    async def until(self, type):
        while type not in self.types:
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 4 * PATIENCE_S)


class Said(logging.Handler):
    """What is logged, as something that can be waited for."""

    def __init__(self):
        super().__init__()
        self.words = []
        self._came = asyncio.Event()

    def emit(self, record):
        self.words.append(record.getMessage())
        self._came.set()

    async def until(self, words):
        while not any(words in each for each in self.words):
            self._came.clear()
            await asyncio.wait_for(self._came.wait(), 4 * PATIENCE_S)


def heard():
    """Return what the daemon logs from here on."""
    said = Said()
    logging.getLogger("dagsched.daemon").addHandler(said)
    return said


async def served(daemon):
    try:
        return await daemon.run()
    finally:
        # In a process of its own the connection to the spawner would end with that.
        await daemon.executor.close(handover=True)
