"""What a scheduler that stands by has left of the time in which it was active: attempts on its own machine.

Its spawner outlived it and knows of each whether it lives or how it ended. What lives goes on, under a deadline that is
put off from here; how others ended is reported by way of the state to whoever is active, as a worker reports. The
spawner keeps an end until the active scheduler has committed it: should this one become active before that, it takes
back what it said, and finds the end where it always does.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from dagsched.clock import Clock
from dagsched.daemon.stopping import KILL_GRACE
from dagsched.errors import SpawnerError, StoreError
from dagsched.executor import Executor, Exited, Inventory, Remark, Report, SpawnerGone
from dagsched.model import Exit, Outcome
from dagsched.stores.contract import Term
from dagsched.stores.fleet import Fleet, Remainder

log = logging.getLogger("dagsched.daemon")

LOOK_S = 1.0

Key = tuple[str, int]


class Remaining:
    """The attempts of this state directory, from `begin` until `end`; without a `fleet` nobody else is ever active."""

    def __init__(self, state_dir: Path, fleet: Fleet | None, clock: Clock) -> None:
        self._state_dir, self._fleet, self._clock = state_dir, fleet, clock
        self._executor: Executor | None = None
        self._living: set[Key] = set()
        self._ended: dict[Key, Exit] = {}
        self._stopped: set[Key] = set()
        self._term = Term(0.0, 0.0)
        self._has_looked = False
        self._trouble = ""
        self._due = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Look after them from here on."""
        if self._fleet is not None and self._task is None:
            self._task = asyncio.ensure_future(self._watch(self._fleet))
            self._task.add_done_callback(_tell_failure)

    async def drain(self, grace: timedelta, alive: Callable[[], None]) -> None:
        """Wait until those that live have ended, after the grace by TERM, and all ends are reported; tell `alive`."""
        if self._task is None:
            return
        loop = asyncio.get_running_loop()
        stop_at = loop.time() + grace.total_seconds()
        give_up_at = stop_at + KILL_GRACE.total_seconds() + LOOK_S
        while (self._living or not self._has_looked) and loop.time() < give_up_at:
            alive()
            if loop.time() >= stop_at:
                for key in self._living:
                    self._stop(key, "stop")
            await asyncio.sleep(min(LOOK_S, max(0.05, stop_at - loop.time())))
        if self._ended and self._fleet is not None:
            # When the state cannot be reached, the spawner keeps the ends for the next start.
            with suppress(StoreError):
                await self._fleet.hand_over(list(self._ended.values()), vouches=False)

    async def end(self) -> None:
        """Leave them to whoever comes next; may be called twice."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self._leave()

    # ------------------------------------------------------------ looking

    async def _watch(self, fleet: Fleet) -> None:
        """Look until nothing is left, which is soon where this one was not the last to be active."""
        while True:
            self._due.clear()
            try:
                if await self._look(fleet):
                    return
            except (StoreError, SpawnerError) as error:
                if str(error) != self._trouble:
                    self._trouble = str(error)
                    log.warning("what was started here cannot be looked after: %s", error)
            self._has_looked = True
            # Not wait_for(): in Python 3.11 that swallows a cancellation which comes just then.
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_S):
                    await self._due.wait()

    async def _look(self, fleet: Fleet) -> bool:
        # While nobody can tell the spawner, nobody vouches, and what runs is ended and called lost in time.
        vouches = not self._trouble or self._executor is not None
        left = await fleet.hand_over(list(self._ended.values()), vouches=vouches)
        if vouches:
            self._term = Term(left.until, left.until)
        if left.open and self._executor is None:
            await self._connect()
        elif self._executor is not None:
            self._executor.renew(self._term)
        self._trouble, self._has_looked = "", True
        if self._executor is not None:
            self._compare(left, self._executor)
        is_over = left.is_all and not left.open and not self._living
        if is_over:
            await self._leave()
        return is_over

    async def _connect(self) -> None:
        executor = Executor(self._state_dir, self._take)
        executor.renew(self._term)
        self._settle(await executor.connect())
        self._executor = executor

    async def _leave(self) -> None:
        executor, self._executor = self._executor, None
        if executor is not None:
            await executor.close(handover=True)

    def _settle(self, inventory: Inventory) -> None:
        self._stopped.clear()
        self._living = {(each.run, each.attempt) for each in inventory.living}
        self._ended.update({(exit.run, exit.attempt): exit for exit in inventory.exits})

    def _compare(self, left: Remainder, executor: Executor) -> None:
        """Go by what the state says is ours."""
        for key, exit in list(self._ended.items()):
            if key not in left.open:
                del self._ended[key]
                if exit.seq:
                    executor.acknowledge(exit.seq)
        for key, stopping in left.open.items():
            if key in self._living:
                if stopping:
                    self._stop(key, "cancel")
            elif key not in self._ended:
                # Nobody but our spawner could start it, and no daemon is left that could still ask for that.
                reason = "its machine knows nothing of it any more"
                self._ended[key] = Exit(*key, Outcome.LOST, self._clock.now(), reason=reason)
                self._due.set()
        for key in self._living - left.open.keys():
            log.warning("%s attempt %d is alive and over for whoever is active: it is ended", *key)
            self._stop(key, "lease")

    def _stop(self, key: Key, cause: str) -> None:
        if key not in self._stopped and self._executor is not None:
            self._stopped.add(key)
            self._executor.stop(*key, cause, KILL_GRACE.total_seconds())

    # ------------------------------------------------------------ what the spawner says

    def _take(self, report: Report) -> None:
        if isinstance(report, Exited):
            key = (report.exit.run, report.exit.attempt)
            self._living.discard(key)
            self._ended[key] = report.exit
            self._due.set()
        elif isinstance(report, SpawnerGone):
            log.warning("the spawner ended; a new one has taken over")
            self._settle(report.inventory)
            self._due.set()
        elif isinstance(report, Remark):
            log.warning("%s", report.text)


def _tell_failure(task: asyncio.Task[None]) -> None:
    """Say that nobody looks after the attempts any more: they end when their time is over, as if nobody were here."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("what was started here is left to itself: %r", error, exc_info=error)
