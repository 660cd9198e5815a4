"""How long the daemon waits for a store that neither does what it is asked nor fails.

A store that fails says so, and the loop tries again; one that hangs says nothing. After a while that is trouble for
`status` to tell of, and nobody who has to end waits for it much longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from dagsched.errors import StoreUnavailable

# Longer than any disk that still works takes.
UNANSWERED_S = 5.0
UNANSWERED = "the store does not answer"
# How much longer one is waited for that does not answer whoever has to end.
PARTING_S = 2.0


class Patience:
    """Waits for one commit at a time; `give_up` shortens that, also for the one under way."""

    def __init__(self) -> None:
        self._gave_up = False
        self._timeout: asyncio.Timeout | None = None

    def give_up(self) -> None:
        """Wait no longer than a moment from now on."""
        self._gave_up = True
        if self._timeout is not None:
            self._timeout.reschedule(asyncio.get_running_loop().time() + PARTING_S)

    async def answered(self, commit: Awaitable[None], ail: Callable[[str], None]) -> None:
        """Wait for a commit, and tell `ail` when that takes long. Raises StoreUnavailable to somebody who gave up."""
        notice = asyncio.get_running_loop().call_later(UNANSWERED_S, ail, UNANSWERED)
        try:
            async with asyncio.timeout(PARTING_S if self._gave_up else None) as self._timeout:
                await commit
        except TimeoutError:
            raise StoreUnavailable(UNANSWERED) from None
        finally:
            self._timeout = None
            notice.cancel()
