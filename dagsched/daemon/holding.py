"""Becoming the one who writes."""

from __future__ import annotations

import asyncio
import time

from dagsched.errors import StoreHeld
from dagsched.stores.contract import Store

LEASE_PATIENCE_S = 4.0
LOOK_AGAIN_S = 0.25


async def acquired(store: Store, holder: str) -> int:
    """Acquire the state; one who was killed may hold it for as long as its lease runs. Raises StoreHeld after that."""
    deadline = time.monotonic() + LEASE_PATIENCE_S
    while True:
        try:
            return await store.acquire(holder)
        except StoreHeld as error:
            if not error.by_lease or time.monotonic() > deadline:
                raise
            await asyncio.sleep(LOOK_AGAIN_S)
