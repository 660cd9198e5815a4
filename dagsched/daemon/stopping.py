"""How a daemon is told to stop, and by whom: signals, an interrupt, the verb; what comes too early waits."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine
from datetime import datetime, timedelta
from typing import Any

from dagsched.clock import Clock
from dagsched.daemon.loop import Loop
from dagsched.engine import events
from dagsched.executor import Executor

log = logging.getLogger("dagsched.daemon")

GRACE = timedelta(seconds=30)
KILL_GRACE = timedelta(seconds=10)
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopping:
    """The part of a daemon that hears of its end."""

    loop: Loop
    clock: Clock
    executor: Executor
    _grace: timedelta

    def __init__(self) -> None:
        self.is_stopping = False
        self._handover = False
        self._interrupts = 0
        self._killed = False
        self._deadline: asyncio.TimerHandle | None = None
        self.grace_until: datetime | None = None
        self._is_up = False
        self.is_standing_by = False
        self._starting: asyncio.Future[Any] | None = None
        self._early_signals: list[signal.Signals] = []

    def _hear_hangup(self) -> None:
        """Do what SIGHUP asks for."""

    async def _has_started(self, start: Coroutine[Any, Any, None]) -> bool:
        """Go through the start; False if a second stop signal ended it before it was over."""
        self._starting = asyncio.ensure_future(start)
        try:
            await self._starting
        except asyncio.CancelledError:
            if len(self._early_stops()) > (0 if self.is_standing_by else 1):
                return False
            raise
        return True

    def stop(self, *, handover: bool = False) -> None:
        """Start nothing more; end when running attempts have, after the grace by TERM, or (`handover`) at once."""
        if not self.is_stopping:
            log.info("stopping")
            self.is_stopping = True
            self.loop.tell(events.StartsHeld(self.clock.now(), held=True))
            if not handover:
                loop = asyncio.get_running_loop()
                self._deadline = loop.call_later(self._grace.total_seconds(), self._kill)
                self.grace_until = self.clock.now() + self._grace
        self._handover = self._handover or handover
        self.loop.wake()

    def _kill(self) -> None:
        if not self._killed:
            self._killed = True
            self.loop.tell(events.StopRequested(self.clock.now()))
            self.loop.give_up()

    def _stop_unrecorded(self) -> None:
        """End the attempts although the state cannot be written: the spawner keeps their ends for the next daemon."""
        if self._killed:
            for run in self.loop.plan.running():
                self.executor.stop(run.name, run.attempts, "stop", KILL_GRACE.total_seconds())

    def _wait_for_turn(self) -> None:
        self.is_standing_by = True
        if self._early_stops() and self._starting is not None:
            self._starting.cancel()

    def _early_stops(self) -> list[signal.Signals]:
        return [each for each in self._early_signals if each is not signal.SIGHUP]

    def _code_of_early_end(self) -> int:
        """Return the exit code of a start that signals have ended: 0 when one without hurry ended a wait."""
        return 130 if signal.SIGINT in self._early_signals or not self.is_standing_by else 0

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _HEARD:
            loop.add_signal_handler(number, self._hear, number)

    def _hear(self, number: signal.Signals) -> None:
        """Take a signal; one that comes during the start is kept until there is something to stop or reload."""
        if not self._is_up:
            self._early_signals.append(number)
            stops_max = 0 if self.is_standing_by else 1
            if self._starting is not None and len(self._early_stops()) > stops_max:
                # Somebody insists: a start that waits for a disk or for the spawner is given up.
                self._starting.cancel()
        elif number is signal.SIGHUP:
            self._hear_hangup()
        elif number is signal.SIGTERM:
            self.stop()
        else:
            self._interrupt()

    def _heed_early_signals(self) -> None:
        for number in self._early_signals:
            self._hear(number)

    def _interrupt(self) -> None:
        self._interrupts += 1
        self.stop()
        if self._interrupts > 1:
            self._kill()
