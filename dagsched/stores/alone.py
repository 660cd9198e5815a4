"""What a store answers that one machine has to itself: nobody stands by, there are no leases and no workers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dagsched.model import Attempt, Request
from dagsched.stores.contract import Scheduler, Term
from dagsched.stores.fleet import Fleet, Handed, Waiting, WorkerRow


class Alone:
    """The calls of a store that only shared ones have something to say to."""

    def hear_terms(self, heard: Callable[[Term], None]) -> None:
        """Nobody else can write here, so there is no lease."""

    def remark(self, words: str) -> None:
        """Nobody else asks."""

    async def schedulers(self) -> Sequence[Scheduler]:
        return ()

    async def inbox(self) -> Sequence[Request]:
        return ()

    @property
    def fleet(self) -> Fleet | None:
        return None

    async def workers(self) -> Sequence[WorkerRow]:
        return ()

    async def waiting(self) -> Sequence[Waiting]:
        return ()

    async def handed(self, attempt: Attempt) -> Handed | None:
        return None

    async def output(self, attempt: Attempt, after: int, at_most: int) -> bytes:
        return b""

    async def output_size(self, attempt: Attempt) -> int:
        return 0
