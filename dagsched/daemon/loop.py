"""The loop: take events, apply, commit, then act.

Everything that arrives while a commit is under way goes into the next one, so that under load many
transitions share one sync to disk. A commit that fails for want of space or a lock is tried again unchanged:
until it succeeds nothing more is applied and nothing is started, while running attempts go on. Acts follow
their commit in order, so no process exists without a durable row.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from dagsched.clock import Clock
from dagsched.daemon.dispatching import Dispatcher, starts_of
from dagsched.daemon.histogram import COMMIT_BOUNDS_S, Histogram
from dagsched.daemon.outbox import Outbox
from dagsched.daemon.patience import Patience
from dagsched.engine import Plan, events
from dagsched.engine.commands import Command, StartAttempt, StopAttempt
from dagsched.errors import DagschedError, HandlerError, Refused, StoreError, StoreUnavailable
from dagsched.executor import Exited, Inventory, Remark, Report, SpawnerGone, Started
from dagsched.handlers import Launch, launch
from dagsched.handlers.secrets import resolved
from dagsched.handlers.upstream import filled
from dagsched.model import EMPTY, Config, EventRow, Exit, Kept, Outcome, Run, format_step
from dagsched.stores.contract import Batch, Store

log = logging.getLogger("dagsched.daemon")

SLICE_S = 1.0
STEP = timedelta(seconds=0.5)
RETRY_S = 0.25
RETRY_MAX_S = 5.0
# How much is done before others get a turn of the event loop: a slice takes a millisecond or two.
EVENTS_AT_ONCE = 8
STARTS_AT_ONCE = 32
# Of what is due at one instant the first commit takes few, so that the first processes run soon; while those do, each
# takes twice as many as the one before, up to the other bound: there are starts enough under way.
DUE_PER_COMMIT, DUE_PER_COMMIT_MAX = 4, 16
SHOWN_AT_ONCE = 128
# A commit of more than that gains nothing, and keeps the first of them waiting.
EVENTS_PER_COMMIT = 1024


class Observer(Protocol):
    """Whoever wants to see what happens, after it is durable; an OSError of theirs stops nothing."""

    def on_config(self, config: Config) -> None:
        """A configuration is in force."""
        ...

    def on_events(self, events: Sequence[EventRow]) -> None:
        """These events are durable; oldest first."""
        ...


class Hand(Protocol):
    """What the loop needs of an executor."""

    def start(self, launches: Sequence[Launch]) -> None: ...

    def stop(self, run: str, attempt: int, cause: str, grace_s: float) -> None: ...

    def acknowledge(self, seq: int) -> None: ...

    def settled(self) -> None: ...

    def send(self) -> None: ...


class PlanBroken(Exception):
    """Applying an event failed in a way that nobody foresaw, so the plan may be half changed: a defect of ours.

    What was gathered before that event is durable; of the event itself nothing is. The plan must not be used again.
    """


class Ask(NamedTuple):
    """Something a person wants: `make` gives the event at the loop's `now`, `answer` what to reply with.

    The future is resolved once all of it is durable, or at once with what `make` or the plan refused.
    `request`: its number in the store's inbox, from which the same commit removes it. `keep`: key and digest of the
    question under which the same commit keeps the answer.
    """

    make: Callable[[datetime], events.Event]
    answer: Callable[[Sequence[Command]], Any]
    future: asyncio.Future[Any]
    request: int | None = None
    keep: tuple[str, str] | None = None


class Health(NamedTuple):
    """Whether the daemon can do its work; `trouble` is what keeps it from that, in words."""

    trouble: str = ""
    since: datetime | None = None


class _Turn:
    """What one turn of the loop gathers."""

    def __init__(self) -> None:
        self.outbox = Outbox()
        self.answers: list[tuple[asyncio.Future[Any], Any]] = []
        self.acknowledged: list[int] = []
        self.configs: list[Config] = []
        self.settled = False


class Loop:
    """One plan on one store, driven by what is given to `tell`.

    `hand` starts and ends attempts here, `dispatcher` those of workers. `grace`: what an attempt gets between TERM and
    KILL. Without `patience` a store is waited for without end. `broken`: why the plan must not be used any more, ""
    while it may.
    """

    def __init__(
        self,
        plan: Plan,
        store: Store,
        hand: Hand,
        clock: Clock,
        observer: Observer,
        grace: timedelta,
        dispatcher: Dispatcher | None = None,
        patience: Patience | None = None,
    ) -> None:
        self.plan = plan
        self.health = Health()
        self.commits = Histogram(COMMIT_BOUNDS_S)
        self.broken = ""
        self._store, self._hand, self._clock, self._observer = store, hand, clock, observer
        self._grace_s = grace.total_seconds()
        self._dispatcher = dispatcher or Dispatcher()
        self._inbox: deque[events.Event | Ask] = deque()
        self._begun: dict[tuple[str, int], events.AttemptBegan] = {}
        self._watched: dict[tuple[str, datetime], list[asyncio.Future[None]]] = {}
        self._waker: asyncio.Future[None] | None = None
        self._is_unheard = False
        self._due_now = DUE_PER_COMMIT
        self._gave_up = asyncio.Event()
        self._patience = patience
        self._offset = self._wall_offset()

    # ------------------------------------------------------------ what comes in

    def tell(self, item: events.Event | Ask) -> None:
        """Take an event, or a wish, for the next turn."""
        self._inbox.append(item)
        self.wake()

    def take_over(self, other: Loop) -> None:
        """Take what was told to another loop, whose plan was thrown away, and not applied yet."""
        self.commits = other.commits
        self._inbox.extend(other._inbox)
        self._begun |= other._begun
        self._watched.update(other._watched)
        other._inbox.clear()
        other._begun.clear()

    def give_up(self) -> None:
        """From now on let a commit fail that cannot succeed yet: who has to end cannot wait for a disk."""
        self._gave_up.set()
        if self._patience is not None:
            self._patience.give_up()

    def wake(self) -> None:
        """End the present wait."""
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def ask(
        self,
        make: Callable[[datetime], events.Event],
        answer: Callable[[Sequence[Command]], Any] = lambda commands: None,
        request: int | None = None,
        keep: tuple[str, str] | None = None,
    ) -> Any:
        """Have an event applied and return the answer once it is durable; raises what was refused."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.tell(Ask(make, answer, future, request, keep))
        return await future

    def watch(self, key: tuple[str, datetime]) -> asyncio.Future[None]:
        """Return a future that is done once the run of this (job, tick) is durably over, if it is not over now."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._watched.setdefault(key, []).append(future)
        return future

    def unwatch(self, key: tuple[str, datetime], future: asyncio.Future[None]) -> None:
        """Forget a watcher."""
        watchers = self._watched.get(key, [])
        if future in watchers:
            watchers.remove(future)
        if not watchers:
            self._watched.pop(key, None)

    def report(self, report: Report) -> None:
        """Take what the executor says."""
        now = self._clock.now()
        if isinstance(report, Exited):
            if report.exit.pid is not None:
                # An exit tells the pid as well: of a short attempt the beginning need not be taken at all.
                self._begun.pop((report.exit.run, report.exit.attempt), None)
            self.tell(events.AttemptFinished(now, report.exit))
        elif isinstance(report, Started):
            # Nobody waits for the pid, which the spawner knows: it goes with the next commit and makes none itself.
            self._begun[report.run, report.attempt] = events.AttemptBegan(now, report.run, report.attempt, report.pid)
        elif isinstance(report, SpawnerGone):
            log.warning("the spawner ended; a new one has taken over")
            self.tell(recovered(now, report.inventory, self._dispatcher.far))
        elif isinstance(report, Remark):
            log.warning("%s", report.text)
            self.tell(events.Noted(now, "executor.remark", report.text))

    # ------------------------------------------------------------ the loop

    def has_nothing_to_do(self) -> bool:
        """Whether nothing has arrived that was not taken yet."""
        return not self._inbox

    async def turn(self) -> None:
        """Wait for something to do, at most a second, and do it."""
        if not self._inbox:
            await self._wait()
        turn = _Turn()
        try:
            await self._gather(turn)
        finally:
            # Also when the plan broke: what it had decided until then is whole.
            await self._keep(turn)

    async def _gather(self, turn: _Turn) -> None:
        if self.broken:
            raise PlanBroken(self.broken)
        self._watch_clock(turn)
        while self._begun:
            self._apply(turn, self._begun.pop(next(iter(self._begun))))
        taken = 0
        while self._inbox and taken < EVENTS_PER_COMMIT:
            self._apply(turn, self._inbox.popleft())
            taken += 1
            if not taken % EVENTS_AT_ONCE:
                await asyncio.sleep(0)
        for _ in range(self._due_now):
            now, at = self._clock.now(), self.plan.wake_at()
            if at is None or at > now:
                self._due_now = DUE_PER_COMMIT
                return
            self._take(turn, self._applied(events.TimePassed(now)))
            await asyncio.sleep(0)
        self._due_now = min(2 * self._due_now, DUE_PER_COMMIT_MAX)

    async def _keep(self, turn: _Turn) -> None:
        batch, starts = turn.outbox.sealed(), starts_of(turn.outbox.acts)
        for act, why in self._dispatcher.hand_out(batch, starts, self._clock.now()):
            self._refuse(act, why)
        try:
            await self._commit(batch)
        except StoreError as error:
            self.broken = str(error)
            for future, _ in turn.answers:
                if not future.done():
                    future.set_exception(error)
            raise
        self._dispatcher.committed(batch)
        await self._act(turn)

    def _applied(self, event: events.Event) -> Sequence[Command]:
        try:
            return self.plan.apply(event)
        except DagschedError:
            raise
        except Exception as error:
            self.broken = f"{type(event).__name__}: {error!r}"
            raise PlanBroken(self.broken) from error

    async def _wait(self) -> None:
        loop = asyncio.get_running_loop()
        self._waker = loop.create_future()
        timer = loop.call_later(self._delay_s(), self.wake)
        try:
            await self._waker
        finally:
            timer.cancel()
            self._waker = None

    def _delay_s(self) -> float:
        # Slices of a second, because a wall clock that is set must be noticed by looking at it.
        at = self.plan.wake_at()
        if at is None:
            return SLICE_S
        return min(SLICE_S, max(0.0, (at - self._clock.now()).total_seconds()))

    def _wall_offset(self) -> timedelta:
        now = self._clock.now()
        return timedelta(seconds=now.timestamp() - self._clock.monotonic())

    def _watch_clock(self, turn: _Turn) -> None:
        """Tell the plan when the wall clock moved by more than the time that passed."""
        offset = self._wall_offset()
        by, self._offset = offset - self._offset, offset
        if abs(by) > STEP:
            by = timedelta(milliseconds=round(by.total_seconds() * 1000))
            log.warning("the wall clock was set by %s", format_step(by))
            self._take(turn, self._applied(events.ClockStepped(self._clock.now(), by)))

    def _apply(self, turn: _Turn, item: events.Event | Ask) -> None:
        if isinstance(item, Ask):
            self._grant(turn, item)
            return
        if isinstance(item, events.Recovered):
            # What was handed out since the inventory was told is not known to our spawner either, and not to be resent.
            handed = {(act.run.name, act.run.attempts) for act in starts_of(turn.outbox.acts)}
            item = item._replace(elsewhere=item.elsewhere | self._dispatcher.far | handed)
        self._take(turn, self._applied(item))
        if isinstance(item, events.AttemptFinished) and item.exit.seq:
            turn.acknowledged.append(item.exit.seq)
        elif isinstance(item, events.Recovered):
            turn.acknowledged += [exit.seq for exit in item.exits if exit.seq]
            turn.settled = True

    def _grant(self, turn: _Turn, ask: Ask) -> None:
        if ask.request is not None:
            turn.outbox.batch.done_requests.append(ask.request)
        try:
            event = ask.make(self._clock.now())
            commands = self._applied(event)
        except DagschedError as error:
            if not ask.future.done():
                ask.future.set_exception(error)
            return
        except PlanBroken as error:
            if not ask.future.done():
                ask.future.set_exception(Refused(f"a defect of dagsched keeps it from doing this: {error}"))
            raise
        self._take(turn, commands)
        answer = ask.answer(commands)
        turn.answers.append((ask.future, answer))
        if ask.keep is not None:
            key, asked = ask.keep
            turn.outbox.batch.answers.append(Kept(key, event.now, asked, answer))
        if isinstance(event, events.ConfigApplied):
            turn.configs.append(event.config)

    def _take(self, turn: _Turn, commands: Sequence[Command]) -> None:
        turn.outbox.take(commands)

    async def _commit(self, batch: Batch) -> None:
        if not batch:
            return
        pause_s = RETRY_S
        while True:
            try:
                began_s = self._clock.monotonic()
                await self._answered(self._store.commit(batch))
            except StoreUnavailable as error:
                if self._gave_up.is_set():
                    raise
                self._ail(str(error))
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._gave_up.wait(), pause_s)
                pause_s = min(pause_s * 2, RETRY_MAX_S)
            else:
                self.commits.took(self._clock.monotonic() - began_s)
                self._recover()
                return

    async def _answered(self, commit: Awaitable[None]) -> None:
        await (commit if self._patience is None else self._patience.answered(commit, self._ail))

    def _ail(self, trouble: str) -> None:
        if trouble != self.health.trouble:
            log.error("nothing is started until the state can be written: %s", trouble)
            self.health = Health(trouble, self.health.since or self._clock.now())

    def _recover(self) -> None:
        if self.health.trouble:
            log.warning("the state can be written again")
            self.health = Health()

    # ------------------------------------------------------------ after the commit

    async def _act(self, turn: _Turn) -> None:
        await self._carry_out(turn.outbox.acts)
        for seq in turn.acknowledged:
            self._hand.acknowledge(seq)
        if turn.settled:
            self._hand.settled()
        # At once: what follows is for eyes, and the next processes wait for nothing else.
        self._hand.send()
        for future, answer in turn.answers:
            if not future.done():
                future.set_result(answer)
        if self._watched:
            self._tell_watchers(turn.outbox.batch.runs)
        await self._show(turn)

    def _tell_watchers(self, runs: Sequence[Run]) -> None:
        for run in runs:
            for future in self._watched.get(run.key, ()) if run.state.is_terminal else ():
                if not future.done():
                    future.set_result(None)

    async def _show(self, turn: _Turn) -> None:
        """Let the observer look; one that has nowhere left to write to keeps no job from running."""
        shown = turn.outbox.batch.events
        try:
            for config in turn.configs:
                self._observer.on_config(config)
            for begin in range(0, len(shown), SHOWN_AT_ONCE):
                if begin:
                    await asyncio.sleep(0)
                self._observer.on_events(shown[begin : begin + SHOWN_AT_ONCE])
        except OSError as error:
            # The terminal was closed, the reader of the pipe has ended, the disk of the log is full: told once.
            if not self._is_unheard:
                log.warning("what happens cannot be shown, and goes on all the same: %s", error)
            self._is_unheard = True

    async def _carry_out(self, acts: Sequence[StartAttempt | StopAttempt]) -> None:
        for number, act in enumerate(acts, 1):
            if isinstance(act, StopAttempt):
                if not self._dispatcher.stop(act.run, act.attempt, act.cause):
                    self._hand.stop(act.run, act.attempt, act.cause, self._grace_s)
            elif act.job.queue is None:
                self._start(act)
            if not number % STARTS_AT_ONCE:
                await asyncio.sleep(0)

    def _start(self, act: StartAttempt) -> None:
        try:
            self._hand.start([_launch(act, self._grace_s)])
        except HandlerError as error:
            self._refuse(act, str(error))

    def _refuse(self, act: StartAttempt, why: str) -> None:
        now = self._clock.now()
        self.tell(events.AttemptFinished(now, _unstartable(act.run, why, now)))


def recovered(now: datetime, inventory: Inventory, elsewhere: Collection[tuple[str, int]] = ()) -> events.Recovered:
    """Return the event that an inventory stands for; `elsewhere`: attempts that other places have."""
    return events.Recovered(
        now,
        frozenset((living.run, living.attempt) for living in inventory.living),
        inventory.exits,
        inventory.recorded,
        inventory.rebooted,
        frozenset(elsewhere),
    )


def _launch(act: StartAttempt, grace_s: float) -> Launch:
    secrets = resolved(act.job.secrets) if act.job.secrets else EMPTY
    env = filled(act.job, act.outputs)
    return launch(act.job, act.run, act.run.attempts, env=env, secrets=secrets, grace_s=grace_s)


def _unstartable(run: Run, reason: str, now: datetime) -> Exit:
    return Exit(run.name, run.attempts, Outcome.SPAWN_ERROR, now, reason=reason)
