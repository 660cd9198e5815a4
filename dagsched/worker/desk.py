"""The attempts that a worker has, each from the moment it is taken until its end is known where it came from.

An attempt is this worker's while its dispatch bears the fence under which it was taken. What is found without one,
alive or ended, is not reported to anybody: somebody else has judged it already.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from dagsched.clock import Clock
from dagsched.errors import HandlerError
from dagsched.executor import Executor, Inventory
from dagsched.handlers import GRACE_S, launch
from dagsched.handlers.secrets import resolved
from dagsched.model import EMPTY, Exit, Outcome
from dagsched.stores.fleet import Began
from dagsched.stores.postgres_crew import Taken

log = logging.getLogger("dagsched.worker")

FENCE = "DAGSCHED_FENCE"
_OUR_WORDS = {
    "lease": "ended because its worker could not reach the state",
    "stop": "its worker was stopped",
}

Key = tuple[str, int]


@dataclass(slots=True)
class Mine:
    """One attempt. `sent`: so many bytes of its output are in the state. `exit`: its end, once it is over."""

    taken: Taken
    began: Began | None = None
    is_told: bool = False
    exit: Exit | None = None
    is_stopping: bool = False
    sent: int = 0


class Desk:
    """All of them, by run and number; `changed` is called when one has begun or ended."""

    def __init__(self, executor: Executor, clock: Clock, changed: Callable[[], None]) -> None:
        self.mine: dict[Key, Mine] = {}
        self._executor, self._clock, self._changed = executor, clock, changed

    def running(self) -> list[Mine]:
        """Return those that are not over."""
        return [each for each in self.mine.values() if each.exit is None]

    def over(self) -> list[Mine]:
        """Return those that are over and not reported."""
        return [each for each in self.mine.values() if each.exit is not None]

    # ------------------------------------------------------------ taking

    def begin(self, taken: Taken) -> None:
        """Start an attempt that has just been taken."""
        if taken.attempt not in self.mine:
            self.mine[taken.attempt] = Mine(taken)
            self._start(taken)

    def _start(self, taken: Taken) -> None:
        if taken.stopping:
            self._end_unstarted(taken, Outcome.CANCELLED, "cancelled", "cancel")
            return
        job, run = taken.job, taken.run
        try:
            secrets = resolved(job.secrets, "worker") if job.secrets else EMPTY
            found = launch(job, run, run.attempts, env=taken.env, secrets=secrets, grace_s=GRACE_S)
        except HandlerError as error:
            self._end_unstarted(taken, Outcome.SPAWN_ERROR, str(error))
            return
        self._executor.hide(taken.hidden)
        self._executor.start([found._replace(env={**found.env, FENCE: str(taken.fence)})])

    def _end_unstarted(self, taken: Taken, outcome: Outcome, reason: str, cause: str = "") -> None:
        now = self._clock.now()
        self.end(Exit(*taken.attempt, outcome, now, cause="cancel" if cause else "", reason=reason))

    def lose_unstarted(self) -> None:
        """End what could not be started while the lease lasted: it may have been given to somebody else since."""
        for dropped in self._executor.drop_starts():
            mine = self.mine.get((dropped.run, dropped.attempt))
            if mine is not None:
                self._end_unstarted(mine.taken, Outcome.LOST, "its worker lost its lease before it could start")

    # ------------------------------------------------------------ what becomes of them

    def began(self, run: str, attempt: int, pid: int, started: datetime) -> None:
        """Note that an attempt has a process."""
        mine = self.mine.get((run, attempt))
        if mine is not None:
            mine.began = Began(run, attempt, pid, started)
            self._changed()

    def end(self, exit: Exit) -> None:
        """Note that an attempt is over; one that is not ours is forgotten."""
        mine = self.mine.get((exit.run, exit.attempt))
        if mine is None:
            self.acknowledge(exit)
        elif mine.exit is None:
            mine.exit = exit._replace(reason=_OUR_WORDS.get(exit.cause, exit.reason))
        self._changed()

    def reported(self, each: Mine) -> None:
        """Forget an attempt whose end is known."""
        assert each.exit is not None, "only what is over is reported"
        self.acknowledge(each.exit)
        self.mine.pop(each.taken.attempt, None)

    def acknowledge(self, exit: Exit) -> None:
        """Let the spawner forget an exit."""
        if exit.seq:
            self._executor.acknowledge(exit.seq)

    def stop(self, each: Mine, cause: str) -> None:
        """End one: TERM, and KILL after the grace."""
        if not each.is_stopping:
            each.is_stopping = True
            self._executor.stop(*each.taken.attempt, cause, GRACE_S)

    def stop_all(self, cause: str) -> None:
        """End everything."""
        for each in self.running():
            self.stop(each, cause)

    # ------------------------------------------------------------ comparing

    def compare(self, held: Sequence[Taken], known: Iterable[Key], *, adopts: bool) -> None:
        """Go by what the state says we have, of which it was asked when we knew of `known`.

        `adopts`: nothing was taken or reported meanwhile, so that what we do not know was taken by a wish of ours whose
        answer got lost. Otherwise it may as well be over and reported since.
        """
        by_key = {taken.attempt: taken for taken in held}
        for key in known:
            mine, taken = self.mine.get(key), by_key.get(key)
            if mine is None or mine.exit is not None:
                continue
            if taken is None or taken.fence != mine.taken.fence:
                log.warning("%s attempt %d is not this worker's any more and is ended", *key)
                self.stop(mine, "lease")
            elif taken.stopping:
                self.stop(mine, taken.stopping)
        if adopts:
            for taken in held:
                self.begin(taken)

    def settle(self, inventory: Inventory) -> None:
        """Go by what a spawner knows: report what has ended, adopt what lives, start what never arrived there."""
        living = {(each.run, each.attempt): each for each in inventory.living}
        for exit in inventory.exits:
            self.end(exit)
        for key, mine in list(self.mine.items()):
            if mine.exit is not None or key in living:
                continue
            if key in inventory.recorded or inventory.rebooted:
                self._end_unstarted(mine.taken, Outcome.LOST, "")
            elif mine.is_stopping:
                self._end_unstarted(mine.taken, Outcome.LOST, "it was given up before it could start")
            else:
                self._start(mine.taken)
        for key in living.keys() - self.mine.keys():
            log.warning("%s attempt %d is alive and not this worker's: it is ended", *key)
            self._executor.stop(*key, "lease", GRACE_S)
        self._executor.settled()
