"""The active daemon's side of attempts that other places have: workers, and schedulers that were active before it.

The start of a worker's attempt is written down together with its dispatch, and its end together with that dispatch's
removal, so neither can be without the other. What is between them reaches the loop as reports, of which notifications
tell at once and a look every few seconds without one. A daemon that takes over finds the dispatches and goes on with
them, and with what the one before it had started on its own machine: whatever becomes of schedulers, finished work is
never done again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from dagsched.clock import Clock
from dagsched.engine import Plan, events
from dagsched.engine.commands import StartAttempt
from dagsched.engine.seats import POINT
from dagsched.errors import HandlerError, StoreError
from dagsched.handlers.secrets import hidden_variables
from dagsched.handlers.upstream import filled
from dagsched.model import Attempt, Config, Exit, parse_run_name, run_name
from dagsched.stores.contract import Batch, Dispatch
from dagsched.stores.fleet import Began, Fleet, Reports

log = logging.getLogger("dagsched.daemon")

LOOK_S = 5.0
# Others that could not reach the state as long as nobody could have that long to report before they are called lost.
PATIENCE_S = 10.0
AGAIN_S = 1.0


class Dispatcher:
    """Hands attempts to workers and takes reports of other places; where the state is one machine's own there are none.

    `far`: the open attempts, as (run name, number), that are not this machine's.
    """

    def __init__(self, fleet: Fleet | None = None) -> None:
        self.far: set[tuple[str, int]] = set()
        self._left: set[tuple[str, int]] = set()  # those of them that other schedulers have
        self._fleet = fleet
        self._stops: dict[tuple[str, int], str] = {}
        self._told: set[tuple[str, int, str]] = set()
        self._wake = asyncio.Event()
        self._hidden: list[str] | None = None

    async def take_up(self, plan: Plan) -> None:
        """Learn which attempts other places have, and go on stopping those that were being stopped."""
        if self._fleet is None:
            return
        self._left = {(run_name(job, tick), number) for job, tick, number in await self._fleet.left()}
        self.far = {(run_name(job, tick), number) for job, tick, number in await self._fleet.dispatched()} | self._left
        self._told.clear()
        for run in plan.running():
            if run.stopping:
                self.stop(run.name, run.attempts, "cancel")

    # ------------------------------------------------------------ with a commit

    def hand_out(self, batch: Batch, acts: Iterable[StartAttempt], now: datetime) -> list[tuple[StartAttempt, str]]:
        """Add to a batch what its starts on workers and their ends need; return the starts that cannot be, and why."""
        if batch and self._fleet is not None:
            batch.hidden, self._hidden = self._hidden, None
        refused = []
        for act in acts:
            try:
                batch.dispatches.append(self._dispatch(act, now))
            except HandlerError as error:
                refused.append((act, str(error)))
        if self.far:
            batch.settled = [key for attempt in batch.attempts if attempt.ended and self._is_far(key := _key(attempt))]
        self.far.update((run_name(each.job, each.tick), each.number) for each in batch.dispatches)
        return refused

    def _dispatch(self, act: StartAttempt, now: datetime) -> Dispatch:
        job, run = act.job, act.run
        assert job.queue is not None, "only asked for jobs that workers do"
        if self._fleet is None:
            raise HandlerError(
                f"queue {job.queue!r} is for workers, and the state of this scheduler is its own; "
                "name a PostgreSQL server with --store, or say queue: local"
            )
        turn = (run.ready if run.attempts == 1 else None) or now
        env = filled(job, act.outputs)
        return Dispatch(run.job, run.tick, run.attempts, job.queue, job.labels, turn - job.priority * POINT, env)

    def committed(self, batch: Batch) -> None:
        """Forget the attempts whose end is durable."""
        for job, tick, number in batch.settled:
            self.far.discard((run_name(job, tick), number))
            self._left.discard((run_name(job, tick), number))

    def _is_far(self, key: tuple[str, datetime, int]) -> bool:
        job, tick, number = key
        return (run_name(job, tick), number) in self.far

    # ------------------------------------------------------------ meanwhile

    def stop(self, run: str, attempt: int, cause: str) -> bool:
        """Have an attempt ended where it is; False if that is here. A daemon that stops leaves other places alone.

        A scheduler that stands by sees in the run's row that it is to be ended.
        """
        if (run, attempt) not in self.far:
            return False
        if cause != "stop":
            self._stops[run, attempt] = cause
            self._wake.set()
        return True

    async def watch(self, plan: Callable[[], Plan], tell: Callable[[events.Event], None], clock: Clock) -> None:
        """Tell what other places report and look after what they have, until this is cancelled."""
        if self._fleet is None:
            return
        unlisten = self._fleet.listen(self._wake.set)
        loop = asyncio.get_running_loop()
        trouble, mend_at = "", loop.time() + PATIENCE_S
        try:
            while True:
                self._wake.clear()
                try:
                    await self._pass_stops_on(self._fleet, clock)
                    for event in self._news(plan(), await self._fleet.reports(), clock.now()):
                        tell(event)
                    if loop.time() >= mend_at:
                        await self._mend(self._fleet, clock)
                        mend_at = loop.time() + LOOK_S
                    trouble = ""
                except StoreError as error:
                    if str(error) != trouble:
                        trouble = str(error)
                        log.warning("workers and other schedulers cannot be heard: %s", trouble)
                    mend_at = loop.time() + PATIENCE_S
                await self._rest(AGAIN_S if trouble else LOOK_S)
        finally:
            unlisten()

    async def _rest(self, at_most_s: float) -> None:
        # Not wait_for(): in Python 3.11 that swallows a cancellation which comes just then.
        with suppress(TimeoutError):
            async with asyncio.timeout(at_most_s):
                await self._wake.wait()

    async def _pass_stops_on(self, fleet: Fleet, clock: Clock) -> None:
        for (run, attempt), cause in list(self._stops.items()):
            await fleet.stop(run, attempt, cause, clock.now())
            self._stops.pop((run, attempt), None)

    async def _mend(self, fleet: Fleet, clock: Clock) -> None:
        for job, tick, number in await fleet.mend(clock.now(), is_left=bool(self._left)):
            log.warning("%s attempt %d is lost: whoever had it was not heard of", run_name(job, tick), number)
            self._wake.set()

    def _news(self, plan: Plan, reports: Reports, now: datetime) -> list[events.Event]:
        """Return the events that what is reported stands for, each once."""
        found: list[events.Event] = []
        for began in reports.began:
            if self._is_new(began.run, began.attempt, "began"):
                found.append(_began(plan, began, now))
        for exit in reports.ended:
            if self._is_new(exit.run, exit.attempt, "ended"):
                if exit.started is not None and self._is_new(exit.run, exit.attempt, "began"):
                    found.append(_began(plan, Began(exit.run, exit.attempt, exit.pid or 0, exit.started), now))
                found.append(events.AttemptFinished(now, _after_its_start(plan, exit)))
        known = {(began.run, began.attempt) for began in reports.began}
        known |= {(exit.run, exit.attempt) for exit in reports.ended}
        self._told = {each for each in self._told if each[:2] in known}
        return found

    def _is_new(self, run: str, attempt: int, what: str) -> bool:
        is_new = (run, attempt, what) not in self._told
        self._told.add((run, attempt, what))
        return is_new

    def use(self, config: Config) -> None:
        """Tell workers with the next commit which variables are secrets; say so when jobs need workers in vain."""
        self._hidden = sorted(hidden_variables(config))
        if self._fleet is None and (ids := [job.id for job in config.jobs.values() if job.queue is not None]):
            log.warning("%s needs workers, and so a store on a PostgreSQL server: it will fail", ", ".join(ids[:5]))


def _key(attempt: Attempt) -> tuple[str, datetime, int]:
    return attempt.job, attempt.tick, attempt.number


def _began(plan: Plan, began: Began, now: datetime) -> events.AttemptBegan:
    return events.AttemptBegan(now, began.run, began.attempt, began.pid, began.started + _lag(plan, began))


def _after_its_start(plan: Plan, exit: Exit) -> Exit:
    if exit.started is None:
        return exit
    lag = _lag(plan, Began(exit.run, exit.attempt, 0, exit.started))
    return exit._replace(started=exit.started + lag, ended=exit.ended + lag)


def _lag(plan: Plan, began: Began) -> timedelta:
    """Return by how much a worker's clock is behind for sure: nothing starts before it was dispatched."""
    attempt = plan.book.open_attempts.get(parse_run_name(began.run))
    return max(timedelta(0), attempt.started - began.started) if attempt is not None else timedelta(0)


def starts_of(acts: Sequence[object]) -> list[StartAttempt]:
    """Return those of a turn's acts that start an attempt on a worker."""
    return [act for act in acts if isinstance(act, StartAttempt) and act.job.queue is not None]
