"""What runs that were ready waited for, and how long: their own turn, their jitter, a pool, a rate, a slot.

An onlooker of the virtual daemon. Most runs start in the very event that makes them ready and cost nothing here. Of
one that does not, the engine is asked what keeps it (as `why` asks); it is asked again when a run of the same job
changes, which may free its turn, and at the instant that the engine names, if it names one: a delay, a window, a rate.
The time in between is put to the cause it names.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from heapq import heappop, heappush

from dagsched.engine.commands import Command, SaveRun
from dagsched.engine.gates import Hold
from dagsched.engine.ledger import Key
from dagsched.model import Run, RunState
from dagsched.reasons import At
from dagsched.virtual import Virtual

NOTHING = timedelta(0)


class Cause(StrEnum):
    """What keeps a run that is ready from starting."""

    POOL = "pool"
    RATE = "rate"
    SLOTS = "slots"
    TURN = "turn"
    WINDOW = "window"
    JITTER = "jitter"
    BACKOFF = "backoff"
    OTHER = "other"


_CAUSES = {
    At.SEAT: Cause.TURN,
    At.WINDOW: Cause.WINDOW,
    At.RATE: Cause.RATE,
    At.POOL: Cause.POOL,
    # Nobody stops a rehearsal's daemon or fills its disk: it can only have too few slots.
    At.DAEMON: Cause.SLOTS,
}
FOR_CAPACITY = (Cause.POOL, Cause.RATE, Cause.SLOTS)
"""What a run waits for because others use it; the other causes are its own."""


def cause_of(hold: Hold, run: Run) -> Cause:
    """Return the kind of what the engine names as keeping a run from starting."""
    if hold.at is At.DELAY:
        return Cause.BACKOFF if run.state is RunState.RETRYING else Cause.JITTER
    return _CAUSES.get(hold.at, Cause.OTHER)


class Waits:
    """Looks on: `spent` holds by run what it waited for and how long."""

    def __init__(self, virtual: Virtual) -> None:
        self.spent: dict[Key, dict[Cause, timedelta]] = {}
        self._virtual = virtual
        self._held: dict[str, dict[datetime, tuple[Cause, datetime]]] = defaultdict(dict)
        self._delayed: list[tuple[datetime, str]] = []

    def look(self, commands: Sequence[Command]) -> None:
        """Take what one event wanted."""
        now = self._virtual.now
        for job in {command.run.job for command in commands if isinstance(command, SaveRun)}:
            self._look_at(job, now)
        for command in commands:
            if isinstance(command, SaveRun) and command.run.state in (RunState.QUEUED, RunState.RETRYING):
                self._look_again(command.run, now)
        while self._delayed and self._delayed[0][0] <= now:
            self._look_at(heappop(self._delayed)[1], now)

    def _look_at(self, job: str, now: datetime) -> None:
        """Ask anew about every run of the job that was held."""
        held = self._held.get(job)
        if not held:
            return
        for tick in list(held):
            run = self._virtual.plan.book.ledger.get((job, tick))
            self._let_go(job, tick, now)
            if run is not None and run.state in (RunState.QUEUED, RunState.RETRYING):
                self._look_again(run, now)

    def _look_again(self, run: Run, now: datetime) -> None:
        current = self._virtual.plan.book.ledger.get(run.key)
        if current is None or current.state not in (RunState.QUEUED, RunState.RETRYING):
            return
        if run.tick in self._held[run.job] or run.job not in self._virtual.plan.book.jobs:
            return
        hold = self._virtual.plan.seats.blocks(current)
        self._held[run.job][run.tick] = (cause_of(hold, current), now)
        if hold.until is not None:
            heappush(self._delayed, (hold.until, run.job))

    def _let_go(self, job: str, tick: datetime, now: datetime) -> None:
        cause, since = self._held[job].pop(tick)
        if now > since:
            spent = self.spent.setdefault((job, tick), {})
            spent[cause] = spent.get(cause, NOTHING) + (now - since)
