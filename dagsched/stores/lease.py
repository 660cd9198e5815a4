"""The right to write, held by putting off its end each second; when that stops, for whatever reason, it ends."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

from dagsched.errors import StoreError
from dagsched.stores.address import Address
from dagsched.stores.postgres_session import Session

log = logging.getLogger("dagsched.stores")

LEASE_S = 3.0
RENEW_S = 1.0


class Lease:
    """The lease of one epoch."""

    def __init__(self, address: Address, epoch: int) -> None:
        self.epoch = epoch
        self.is_lost = False
        self._session = Session(address, "lease")
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Renew it from now on."""
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Renew it no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._session.close()

    async def _keep(self) -> None:
        terms = {"lease_s": LEASE_S, "epoch": self.epoch}
        while not self.is_lost:
            await asyncio.sleep(RENEW_S)
            try:
                self.is_lost = not await self._session.call(lambda connection: connection.ask("renew", terms))
            except StoreError as error:
                log.warning("the lease could not be renewed: %s", error)
