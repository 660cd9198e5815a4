"""A worker's life: it shows itself, takes what it has slots for, reports, and in the end drains.

It may act while its lease lasts, which it puts off twice before its attempts would have to end. When it cannot, the
spawner ends its attempts before anybody else may start them anew, also when this process is frozen or was killed: the
spawner needs no word from here for that. A worker that comes back on the same state directory goes on with what it
finds alive.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from dagsched.clock import Clock, SystemClock, boottime_s
from dagsched.daemon.systemd import Notifier
from dagsched.errors import StoreError, StoreNewer
from dagsched.executor import Executor, Exited, Remark, Report, SpawnerGone, Started
from dagsched.stores.address import Address, place_of
from dagsched.stores.contract import Term
from dagsched.stores.fleet import ENDING_S, OUTPUT_BYTES_MAX, RENEWALS
from dagsched.stores.lock import LOCK, DaemonLock
from dagsched.stores.postgres_crew import Card, Crew, Taken
from dagsched.worker.desk import Desk, Key, Mine
from dagsched.worker.shipping import Shipper

log = logging.getLogger("dagsched.worker")

LOOK_S = 5.0
RENEW_S = 10.0
AGAIN_S = 1.0
SHIP_S = 0.5


class Worker:
    """One worker in a state directory of its own. `said` is told, in words, that it has begun."""

    def __init__(
        self,
        address: Address,
        state_dir: Path,
        queues: Sequence[str],
        labels: Sequence[str] = (),
        *,
        slots: int = 1,
        name: str = "",
        grace: timedelta = timedelta(seconds=30),
        said: Callable[[str], None] = lambda words: None,
        clock: Clock | None = None,
    ) -> None:
        self.address, self.state_dir = address, state_dir.absolute()
        self._clock = clock or SystemClock()
        self._grace, self._said = grace, said
        self._card = Card("", name, list(queues), sorted(labels), slots, self._clock.now())
        # What the parts wait for: work or slots, something to report, a reason to renew at once, the end.
        self._more, self._due, self._renew, self._drained = (asyncio.Event() for _ in range(4))
        self._lock = DaemonLock(self.state_dir / LOCK)
        self._executor = Executor(self.state_dir, self._take_report, log_bytes_max=OUTPUT_BYTES_MAX)
        self._desk = Desk(self._executor, self._clock, self._due.set)
        self._crew = Crew(address, self._card)
        self._shipper = Shipper(self._crew, self.state_dir)
        self._systemd = Notifier()
        self._term: Term | None = None
        self._has_deadline = False
        # Held while something is taken or reported; and whether the answer to such a wish got lost.
        self._taking, self._is_unsure = asyncio.Lock(), False
        self._lapses = 0
        self._interrupts = 0

    # ------------------------------------------------------------ life

    async def run(self) -> int:
        """Work until told to stop; return the exit code: 0, 130 when it was a person's interrupt.

        Raises StoreError, WrongRelease among them, and SpawnerError for what makes a start impossible.
        """
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock.take(f"worker, process {os.getpid()} on {socket.gethostname()}")
        try:
            self._card.place = await asyncio.to_thread(place_of, self.state_dir)
            host, _, rest = self._card.place.partition("/")
            self._card.name = self._card.name or f"{host}-{rest[:4]}"
            await self._start()
            self._hear_signals()
            self._crew.listen(self._hear)
            queues = f"queues {', '.join(self._card.queues)}" + (
                f", labels {', '.join(self._card.labels)}" if self._card.labels else ""
            )
            self._said(f"worker {self._card.name} serves {queues} with {self._card.slots} slots")
            self._systemd.ready(queues)
            await self._serve()
            await self._executor.close(handover=False)
            await self._crew.leave()
        finally:
            self._executor.release()
            await self._crew.close()
            self._lock.release()
        if self._crew.refused is not None:
            raise self._crew.refused
        return 130 if self._interrupts else 0

    async def _start(self) -> None:
        await self._reached()
        self._term, held = await self._crew.renew()
        if self._crew.refused is not None and not held:
            await self._crew.leave()
            raise self._crew.refused
        self._executor.renew(self._term)
        inventory = await self._executor.connect()
        for taken in held:
            self._desk.mine[taken.attempt] = Mine(taken)
        self._desk.settle(inventory)

    async def _reached(self) -> None:
        """Wait for a namespace that is there and laid out as we know it: a scheduler may be about to make it."""
        told = ""
        while True:
            self._systemd.alive()
            try:
                await self._crew.open()
            except StoreNewer:
                raise
            except StoreError as error:
                if str(error) != told:
                    told = str(error)
                    log.warning("waiting for the state: %s", told)
                    # Up, though idle: a start that is not told of in time is taken for one that failed.
                    self._systemd.ready(f"waiting for the state: {told}")
                await asyncio.sleep(AGAIN_S)
            else:
                return

    async def _serve(self) -> None:
        tasks = [asyncio.ensure_future(part) for part in self._parts()]
        try:
            ends = [*tasks, asyncio.ensure_future(self._drained.wait())]
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                await task
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _parts(self) -> list[Coroutine[Any, Any, None]]:
        return [self._keep(), self._fetch(), self._report(), self._ship(), self._beat()]

    async def _beat(self) -> None:
        """Show systemd that the loop turns, however long the state takes to answer."""
        while True:
            self._systemd.alive()
            await asyncio.sleep(self._systemd.watchdog_s or RENEW_S)

    # ------------------------------------------------------------ the lease

    async def _keep(self) -> None:
        """Put the lease off in time, and go by what the state says we have."""
        usual_s = usual_pause_s(self._crew.lease_s)
        pause_s = usual_s
        while True:
            await _either(self._renew, pause_s)
            self._renew.clear()
            try:
                await self._put_off()
            except StoreError as error:
                log.warning("the lease could not be put off: %s", error)
                pause_s = AGAIN_S
            else:
                pause_s = usual_s
                if self._crew.refused is not None and not self._card.is_draining:
                    log.warning("%s: what runs here is finished, and nothing more is taken", self._crew.refused)
                    self._drain()

    async def _put_off(self) -> None:
        if self._is_unsure and not self._taking.locked():
            async with self._taking:
                self._renewed(*await self._crew.renew(), set(self._desk.mine), adopts=True)
                self._is_unsure = False
            self._let_drain()
        else:
            known = set(self._desk.mine)
            self._renewed(*await self._crew.renew(), known, adopts=False)

    def _renewed(self, term: Term, held: Sequence[Taken], known: set[Key], *, adopts: bool) -> None:
        if not self._may_start():
            self._lapses += 1
            self._desk.lose_unstarted()
        self._term = term
        self._executor.renew(term)
        self._desk.compare(held, known, adopts=adopts)
        self._more.set()

    def _may_start(self) -> bool:
        return self._term is not None and boottime_s() < self._term.starts_until

    # ------------------------------------------------------------ taking

    async def _fetch(self) -> None:
        while True:
            self._more.clear()
            pause_s = LOOK_S
            try:
                async with self._taking:
                    if free := self._free():
                        lapses = self._lapses
                        self._begin(await self._crew.take(free), free, lapses)
            except StoreError as error:
                self._is_unsure = True
                log.warning("no work can be fetched: %s", error)
                pause_s = AGAIN_S
            self._let_drain()
            await _either(self._more, pause_s)

    def _free(self) -> int:
        """Return how many attempts may be taken now."""
        if self._card.is_draining or not self._may_start():
            return 0
        return max(0, self._card.slots - len(self._desk.running()))

    def _begin(self, found: Sequence[Taken], free: int, lapses: int) -> None:
        if found and lapses != self._lapses:
            # The lease ran out before the answer came. Who has these by now is told with the next renewal.
            self._is_unsure = True
            self._renew.set()
            return
        for taken in found:
            self._desk.begin(taken)
        if found and len(found) == free and self._free():
            self._more.set()

    # ------------------------------------------------------------ reporting

    async def _report(self) -> None:
        while True:
            self._due.clear()
            try:
                await self._report_ends()
                await self._report_beginnings()
            except StoreError as error:
                self._is_unsure = True
                log.warning("what became of attempts cannot be reported yet: %s", error)
                if self._interrupts > 1 and not self._desk.running():
                    # Somebody insists. The spawner keeps the ends for the next worker here.
                    self._drained.set()
                await asyncio.sleep(AGAIN_S)
                continue
            if self._card.is_draining and not self._desk.mine and not self._taking.locked():
                self._drained.set()
            await self._due.wait()

    async def _report_ends(self) -> None:
        if not (over := self._desk.over()):
            return
        for each in over:
            await self._shipper.ship(each)
        said = [(each.taken.fence, each.exit) for each in over if each.exit is not None]
        # Whoever has just got a slot free has the next attempt by the same commit.
        async with self._taking:
            free, lapses = self._free(), self._lapses
            accepted, found = await self._crew.ended(said, free)
            self._begin(found, free, lapses)
        for each in over:
            if each.taken.fence not in accepted:
                log.warning("%s attempt %d had been given up: what became of it does not count", *each.taken.attempt)
            self._shipper.forget(each)
            self._desk.reported(each)
        self._due.set()

    async def _report_beginnings(self) -> None:
        new = [each for each in self._desk.running() if each.began is not None and not each.is_told]
        if new:
            await self._crew.began([(each.taken.fence, each.began) for each in new if each.began is not None])
            for each in new:
                each.is_told = True

    async def _ship(self) -> None:
        while True:
            await asyncio.sleep(SHIP_S)
            for each in self._desk.running():
                # What cannot be sent now goes with what comes next.
                with suppress(StoreError):
                    await self._shipper.ship(each)

    # ------------------------------------------------------------ what comes in

    def _take_report(self, report: Report) -> None:
        if isinstance(report, Exited):
            self._desk.end(report.exit)
        elif isinstance(report, Started):
            self._desk.began(report.run, report.attempt, report.pid, report.time)
        elif isinstance(report, SpawnerGone):
            log.warning("the spawner ended; a new one has taken over")
            self._desk.settle(report.inventory)
            self._more.set()
        elif isinstance(report, Remark):
            log.warning("%s", report.text)

    def _hear(self, is_stop: bool) -> None:
        (self._renew if is_stop else self._more).set()

    # ------------------------------------------------------------ the end

    def drain(self) -> None:
        """Take nothing more; end when what runs has ended, after the grace by TERM."""
        self._drain()
        if not self._has_deadline:
            self._has_deadline = True
            asyncio.get_running_loop().call_later(self._grace.total_seconds(), self._desk.stop_all, "stop")

    def _drain(self) -> None:
        if not self._card.is_draining:
            self._card.is_draining = True
            self._systemd.stopping()
            self._renew.set()
            self._due.set()

    def _let_drain(self) -> None:
        """Have it seen that nothing is being taken any more, for which the end may have been waiting."""
        if self._card.is_draining:
            self._due.set()

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.drain)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def _interrupt(self) -> None:
        self._interrupts += 1
        self.drain()
        if self._interrupts > 1:
            self._desk.stop_all("stop")


def usual_pause_s(lease_s: float) -> float:
    """Return how long to wait between two renewals; they also tell what a lost notification would have told."""
    return min(RENEW_S, (lease_s - ENDING_S) / RENEWALS)


async def _either(event: asyncio.Event, at_most_s: float) -> None:
    """Wait for an event, but not for ever."""
    # Not wait_for(): in Python 3.11 that swallows a cancellation which comes just then.
    with suppress(TimeoutError):
        async with asyncio.timeout(at_most_s):
            await event.wait()
