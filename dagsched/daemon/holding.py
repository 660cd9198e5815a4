"""Becoming the one who writes, or standing by until then; and reading on where the store goes away just then."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from dagsched.errors import StoreHeld, StoreUnavailable
from dagsched.stores.contract import Store

T = TypeVar("T")

LEASE_PATIENCE_S = 4.0
LOOK_AGAIN_S = 0.25


async def acquired(store: Store, holder: str, stands_by: Callable[[str], None] | None = None) -> int:
    """Acquire the state; one who was killed may hold it for as long as its lease runs. Raises StoreHeld after that.

    With `stands_by` it waits for the lease for as long as it takes, and at each try tells that one what for.
    """
    deadline = time.monotonic() + LEASE_PATIENCE_S
    has_waited = False
    while True:
        try:
            return await store.acquire(holder)
        except StoreHeld as error:
            if not error.by_lease or (stands_by is None and time.monotonic() > deadline):
                raise
            if stands_by is not None:
                stands_by(f"standing by: {error.holder or 'another scheduler'} is active")
            has_waited = True
        except StoreUnavailable as error:
            if stands_by is None or not has_waited:
                raise
            stands_by(f"standing by: {error}")
        await asyncio.sleep(LOOK_AGAIN_S)


async def insisted(read: Callable[[], Awaitable[T]], waits: Callable[[StoreUnavailable], None]) -> T:
    """Return what `read` finds, for as long as it takes until the store can be read; each try in vain tells `waits`."""
    while True:
        try:
            return await read()
        except StoreUnavailable as error:
            waits(error)
        await asyncio.sleep(LOOK_AGAIN_S)
