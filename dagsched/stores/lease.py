"""The right to write, held by putting off its end each second; when that stops, for whatever reason, it ends."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from contextlib import suppress

from dagsched.clock import boottime_s
from dagsched.config.lengths import BadLength, parse_length
from dagsched.errors import StoreError, UsageError
from dagsched.stores.address import Address
from dagsched.stores.contract import Term
from dagsched.stores.postgres_session import Session

log = logging.getLogger("dagsched.stores")

LEASE_S = 3.0
RENEW_S = 1.0
# How long attempts go on without a word from their scheduler, and what they get after that until KILL.
ATTEMPTS, ATTEMPTS_S, ATTEMPTS_MIN_S = "DAGSCHED_ATTEMPT_LEASE", 60.0, 5.0
GRACE_S = 5.0
# KILL takes a moment, and two machines do not count seconds alike to the last.
MARGIN_S = 5.0


def attempts_s() -> float:
    """Return how long attempts go on without a word from their scheduler, in seconds; raises UsageError."""
    return length_s_of(ATTEMPTS, ATTEMPTS_S, ATTEMPTS_MIN_S, "is too short for a lease that is renewed each second")


def length_s_of(variable: str, usual_s: float, least_s: float, too_short: str) -> float:
    """Return the length in a variable of the environment, in seconds; raises UsageError for one that cannot be."""
    text = os.environ.get(variable, "")
    try:
        length_s = parse_length(text).total_seconds() if text else usual_s
    except BadLength as error:
        raise UsageError(f"${variable}: {error}; write a length such as {usual_s:g}s") from None
    if length_s < least_s:
        raise UsageError(f"${variable}: {text} {too_short}; at least {least_s:g}s")
    return length_s


class Lease:
    """The lease of one epoch, held from a place; `heard` is told each term of it.

    `remark`: what its holder has to say of itself, asked with each renewal.
    """

    def __init__(
        self,
        address: Address,
        epoch: int,
        place: str,
        length_s: float,
        heard: Callable[[Term], None],
        remark: Callable[[], str] = lambda: "",
    ) -> None:
        self.epoch, self._place, self._length_s, self._heard = epoch, place, length_s, heard
        self._remark = remark
        self.is_lost = False
        self._session = Session(address, "lease")
        self._task: asyncio.Task[None] | None = None

    def begin(self, asked_s: float) -> None:
        """Renew it from now on; it was asked for at that second of CLOCK_BOOTTIME."""
        self._tell(asked_s)
        self._task = asyncio.create_task(self._keep())

    async def close(self) -> None:
        """Renew it no more."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._session.close()

    async def _keep(self) -> None:
        safe_s = safe_after_s(self._length_s)
        terms = {"lease_s": LEASE_S, "epoch": self.epoch, "place": self._place, "safe_s": safe_s}
        while not self.is_lost:
            await asyncio.sleep(RENEW_S)
            asked_s, said = boottime_s(), {**terms, "remark": self._remark()}
            try:
                self.is_lost = not await self._session.call(lambda connection: connection.ask("renew", said))  # noqa: B023
            except StoreError as error:
                log.warning("the lease could not be renewed: %s", error)
            else:
                if not self.is_lost:
                    self._tell(asked_s)

    def _tell(self, asked_s: float) -> None:
        # Counted from before the server was asked, so that what is done here ends before anybody there thinks so.
        self._heard(Term(asked_s + LEASE_S, asked_s + self._length_s))


def safe_after_s(length_s: float) -> float:
    """Return how long after a renewal nothing can be alive that was started under it, in seconds."""
    return length_s + GRACE_S + MARGIN_S
