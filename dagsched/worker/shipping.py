"""What attempts write, on its way into the state: every little while what is new, at the end the rest.

The spawner keeps the first and the last half of an output that grows beyond the cap. While an attempt runs, only what
is sure to stay is sent; so what was sent never has to be taken back.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

from dagsched.handlers import log_path
from dagsched.stores.fleet import OUTPUT_BYTES_MAX
from dagsched.stores.postgres_crew import Crew
from dagsched.worker.desk import Mine

log = logging.getLogger("dagsched.worker")

PIECE_BYTES = 256 * 1024
# The spawner's cut is a page or so before the half at most.
LIVE_BYTES_MAX = OUTPUT_BYTES_MAX // 2 - 64 * 1024


class Shipper:
    """Sends the outputs of one worker's attempts; calls raise StoreError."""

    def __init__(self, crew: Crew, state_dir: Path) -> None:
        self._crew, self._state_dir = crew, state_dir
        # One at a time: what is sent next begins where the last piece ended.
        self._sending = asyncio.Lock()

    async def ship(self, each: Mine) -> None:
        """Send what an attempt has written since the last time."""
        if each.exit is not None and not each.exit.log:
            return
        async with self._sending:
            await self._send(each, OUTPUT_BYTES_MAX * 2 if each.exit is not None else LIVE_BYTES_MAX)

    async def _send(self, each: Mine, at_most: int) -> None:
        while each.sent < at_most:
            data = await asyncio.to_thread(self._read, each, min(PIECE_BYTES, at_most - each.sent))
            if not data:
                return
            run, attempt = each.taken.attempt
            # A worker that has started anew begins at the front, and cuts up what it sends elsewhere.
            is_anew = each.sent == 0
            if not await self._crew.wrote(run, attempt, each.taken.fence, each.sent, data, anew=is_anew):
                return
            each.sent += len(data)

    def _read(self, each: Mine, at_most: int) -> bytes:
        try:
            with self._path(each).open("rb") as file:
                file.seek(each.sent)
                return file.read(at_most)
        except FileNotFoundError:
            return b""

    def forget(self, each: Mine) -> None:
        """Delete the file of an attempt whose output is in the state."""
        try:
            self._path(each).unlink(missing_ok=True)
        except OSError as error:
            log.warning("%s stays: %s", self._path(each), error.strerror)

    def _path(self, each: Mine) -> Path:
        return self._state_dir / log_path(each.taken.run, each.taken.run.attempts)
