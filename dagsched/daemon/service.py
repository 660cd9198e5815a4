"""A daemon's life around its loop: start, reload, signals, stop.

At the start the state is locked, the last good configuration and all live runs are taken up, the spawner is
asked what became of the attempts, and only then anything starts. A good edit of the job files becomes one
event; a bad one is told, and what was good stays in force. At the end nothing is left running, unless the
attempts are handed over to the next daemon.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from typing import Any

from dagsched import registered
from dagsched.clock import Clock, SystemClock
from dagsched.config import Problem, load, rows
from dagsched.daemon.audience import Audience
from dagsched.daemon.door import Door
from dagsched.daemon.feeding import Feeder
from dagsched.daemon.heartbeat import BEAT_S, Heartbeat
from dagsched.daemon.holding import acquired
from dagsched.daemon.jobfiles import JobFiles
from dagsched.daemon.loop import Loop, Observer, PlanBroken, recovered
from dagsched.daemon.memory import rest, settle
from dagsched.daemon.messenger import Messenger
from dagsched.daemon.observers import Observers
from dagsched.daemon.restoring import restored, rows_for_edit, starts_for_edit
from dagsched.daemon.secrets import Guard
from dagsched.daemon.systemd import Notifier
from dagsched.engine import events
from dagsched.errors import (
    ConfigInvalid,
    IntegrityBroken,
    Refused,
    StoreError,
    StoreHeld,
    StoreUnavailable,
    Unknown,
    UsageError,
)
from dagsched.executor import Executor
from dagsched.graph import Graph
from dagsched.handlers.params import shared_params
from dagsched.model import EMPTY, Config, Origin, RunState, format_instant
from dagsched.reload import REMOVAL_DELAY
from dagsched.stores import address, open_store
from dagsched.stores.contract import Store

log = logging.getLogger("dagsched.daemon")

GRACE = timedelta(seconds=30)
KILL_GRACE = timedelta(seconds=10)
REBUILDS_MAX = 3
_HEARD = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Daemon:
    """One scheduler on one state directory.

    `files`: job files and folders of them. `grace`: what running attempts get to finish by themselves when the
    daemon is told to stop. `slots`: attempts at a time, None for no limit. `doors` are opened once it is ready.
    """

    def __init__(
        self,
        files: Sequence[Path],
        state_dir: Path,
        *,
        observer: Observer | None = None,
        grace: timedelta = GRACE,
        slots: int | None = None,
        clock: Clock | None = None,
        doors: Sequence[Callable[[Daemon], Door]] = (),
    ) -> None:
        self.state_dir = state_dir.absolute()
        self.clock = clock or SystemClock()
        self.started = self.clock.now()
        self.store: Store = open_store(self.state_dir)
        self.job_files: JobFiles | None = None
        self.number = 0
        self.is_stopping = False
        self.http = ""  # where it is served, once it is
        self._files = [Path(os.path.abspath(file)) for file in files]
        self._audience = Audience()
        self.watch = self._audience.watch
        # The audience first: a terminal that was closed keeps nobody else from hearing.
        self._observers = Observers([self._audience, *([observer] if observer is not None else ())])
        self._messenger = Messenger(self.state_dir)
        self._grace, self._slots, self._doors = grace, slots, doors
        self._handover = False
        self._interrupts = 0
        self._killed = False
        self._deadline: asyncio.TimerHandle | None = None
        self._systemd = Notifier()
        self._feeder = Feeder(self.store, self._soon)
        self._heart = Heartbeat(self.state_dir)
        self.executor = Executor(self.state_dir, lambda report: self.loop.report(report))
        self._guard = Guard()
        self._reloading = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._rebuilds = 0
        self._exit_code = 0
        self._once = False
        self._is_up = False
        self._starting: asyncio.Future[None] | None = None
        self._early_signals: list[signal.Signals] = []

    # ------------------------------------------------------------ the daemon

    async def run(self, *, until_idle: bool = False) -> int:
        """Serve until told to stop (`until_idle`: or until every run is over); return the exit code.

        0, 130 when it was a person's interrupt, 4 when a part of the daemon failed by itself.
        Raises ConfigInvalid, StoreError and SpawnerError for what makes a start impossible.
        """
        self._hear_signals()
        # First of them: a terminal that was closed keeps nobody from being told.
        self._observers.insert(0, self._messenger)
        await self._open_state()
        try:
            if not await self._has_started(self._start()):
                return 130
            doors = await self._open_doors()
            try:
                await self._serve(until_idle)
            finally:
                await self._close_doors(doors)
            await self._end()
        except StoreUnavailable:
            self._stop_unrecorded()
            raise
        finally:
            await self._messenger.close()
            self.executor.release()
            await self.store.close()
        return self._exit_code or (130 if self._interrupts else 0)

    async def _has_started(self, start: Coroutine[Any, Any, None]) -> bool:
        """Go through the start; False if a second stop signal ended it before it was over."""
        self._starting = asyncio.ensure_future(start)
        try:
            await self._starting
        except asyncio.CancelledError:
            if len(self._early_signals) > 1:
                return False
            raise
        return True

    async def run_once(self, jobs: Sequence[str] = (), params: Mapping[str, str] = EMPTY) -> int:
        """Make one tick now for `jobs` and what they need (none: for all), see it through; return the exit code.

        Each job takes of `params` (text by name) what it declares.

        Schedules make no ticks meanwhile, and nothing of the configuration is kept. 0 unless interrupted (130):
        what became of the runs is for the observer to judge. Raises as `run` does, Unknown for a job that is
        not declared, UsageError for parameters that do not fit, and StoreHeld when a daemon holds the state.
        """
        self._hear_signals()
        try:
            await self._open_state()
        except StoreHeld as error:
            raise StoreHeld(f"{error}; `dagsched trigger JOB` has it run something now", error.holder) from None
        try:
            await self._see_through(jobs, params)
        except StoreUnavailable:
            self._stop_unrecorded()
            raise
        finally:
            self.executor.release()
            await self.store.close()
        return 130 if self._interrupts else 0

    async def _see_through(self, jobs: Sequence[str], given: Mapping[str, str]) -> None:
        loaded = await asyncio.to_thread(load, self._files, self.clock.now())
        if loaded.config is None:
            raise ConfigInvalid(loaded.problems)
        graph = Graph(loaded.config.jobs)
        for name in jobs:
            if name not in loaded.config.jobs:
                raise Unknown("job", name, get_close_matches(name, list(loaded.config.jobs), 3))
        wanted = graph.with_ancestors(jobs) if jobs else graph.order
        try:
            params = shared_params([loaded.config.jobs[id] for id in wanted if loaded.config.jobs[id].enabled], given)
        except Refused as error:
            raise UsageError(str(error)) from None
        last = next(iter(await self.store.configs(limit=1)), None)
        if not await self._has_started(self._begin(loaded.config, last.number if last else 0, once=True)):
            self._interrupts = len(self._early_signals)
            return
        rest()
        self._is_up = True
        self._heed_early_signals()
        # Only workflows have something to ask of a daemon that takes no commands.
        has_calls = any(loaded.config.jobs[id].handler == "workflow" for id in wanted)
        doors = await self._open_doors() if has_calls else []
        try:
            await self._turning(self.loop.ask(lambda now: events.OnceRequested(now, tuple(wanted), params)))
            while not self._is_over(until_idle=True):
                await self._turn()
        finally:
            await self._close_doors(doors)
        await self._drop_unstarted()
        # Attempts of a dead daemon that still run are the next daemon's, not ours to wait for.
        self._handover = bool(self.loop.plan.running())
        await self._turning(self.executor.close(self._handover))

    async def _drop_unstarted(self) -> None:
        """Cancel what an interrupt kept from starting: no later daemon is to find it."""
        for run in list(self.loop.plan.book.ledger.all_live()):
            is_ours = run.origin is Origin.ONCE or (run.created is not None and run.created >= self.started)
            if is_ours and run.state is not RunState.RUNNING:
                # The end of one before it may have ended this one as well.
                with suppress(Refused):
                    await self._turning(self.loop.ask(partial(events.CancelRequested, run=run.name)))

    async def _open_state(self) -> None:
        """Open the store and become its one writer; raises StoreError, StoreHeld among them."""
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.store.open(write=True)
        try:
            holder = f"process {os.getpid()} on {socket.gethostname()} since {format_instant(self.started)}"
            await acquired(self.store, holder)
        except StoreError:
            await self.store.close()
            raise
        address.note(self.state_dir, address.address_of(self.state_dir))
        # It starts beside this process, which has files to read meanwhile.
        self.executor.prepare()

    async def _start(self) -> None:
        last = next(iter(await self.store.configs(limit=1)), None)
        also = registered.folder_of(self.state_dir)
        self.job_files = JobFiles(self._files, last.files if last else {}, self.clock, also)
        reading, _ = await self.job_files.read()
        if reading.config is None:
            raise ConfigInvalid(reading.problems)
        number = last.number if last else 0
        is_known = last is not None and last.digest == reading.config.digest
        await self._begin(reading.config, number if is_known else number + 1)
        self.loop.tell(events.Noted(self.clock.now(), "daemon.started", f"process {os.getpid()}"))
        if reading.pending_removal:
            self._soon(self._reload_when_settled())

    async def _begin(self, config: Config, number: int, *, once: bool = False) -> None:
        """Make plan, executor and loop, and take up what an earlier daemon left."""
        self.config, self.number, self._once = config, number, once
        plan, _ = await restored(self.store, config, self.clock.now(), slots=self._slots, once=once)
        beat, seen = self._heart.last(), plan.book.last_seen
        if beat is not None and seen is not None and seen < beat <= self.clock.now():
            plan.book.last_seen = beat
        self.loop = Loop(plan, self.store, self.executor, self.clock, self._observers, KILL_GRACE)
        await self._take_up()

    async def _take_up(self) -> None:
        """Learn what became of the attempts, and put the configuration in force."""
        self._guard.use(self.executor, self.config)
        inventory = await self.executor.connect()
        self.loop.tell(recovered(self.clock.now(), inventory))
        await self._turning(self._apply_config(self.config, self.number))

    async def _serve(self, until_idle: bool) -> None:
        self._is_up = True
        self._settle_memory()
        self._heed_early_signals()
        self._soon(self._beat())
        self._soon(self._watch_files())
        self._systemd.ready(self._status_line())
        try:
            while not self._is_over(until_idle):
                await self._turn()
        finally:
            self._systemd.stopping()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _settle_memory(self) -> None:
        settle()

    async def _turn(self) -> None:
        try:
            await self.loop.turn()
        except (IntegrityBroken, PlanBroken) as error:
            self._rebuilds += 1
            if self._rebuilds > REBUILDS_MAX:
                raise
            words = "broke" if isinstance(error, PlanBroken) else "does not fit the stored state"
            log.error("the plan %s and is made anew: %s", words, error, exc_info=error)
            await self._rebuild()
        else:
            self._rebuilds = 0
            if self.loop.plan.filling:
                self._feeder.look(self.loop)

    async def _rebuild(self) -> None:
        plan, _ = await restored(self.store, self.config, self.clock.now(), slots=self._slots, once=self._once)
        broken = self.loop
        self.loop = Loop(plan, self.store, self.executor, self.clock, self._observers, KILL_GRACE)
        self.loop.take_over(broken)
        await self._take_up()
        if self.is_stopping:
            self.loop.tell(events.StartsHeld(self.clock.now(), held=True))
        if self._killed:
            self.loop.tell(events.StopRequested(self.clock.now()))
            self.loop.give_up()

    def _is_over(self, until_idle: bool) -> bool:
        if self._handover:
            return True
        if self.is_stopping:
            return not self.loop.plan.running()
        return until_idle and self.loop.plan.is_idle() and self.loop.has_nothing_to_do()

    async def _end(self) -> None:
        """End the spawner as well, or leave the attempts to it; write down that this was a clean stop."""
        await self._turning(self.executor.close(self._handover))
        words = "handed over" if self._handover else "stopped"
        self.loop.tell(events.Noted(self.clock.now(), "daemon.stopped", words))
        while not self.loop.has_nothing_to_do():
            await self.loop.turn()
        self._heart.end()

    async def _turning(self, work: Any) -> Any:
        """Keep the loop turning while `work` goes on, and return what that returns."""
        task = asyncio.ensure_future(work)
        task.add_done_callback(lambda _: self.loop.wake())
        await asyncio.sleep(0)
        while not task.done():
            await self._turn()
        return await task

    # ------------------------------------------------------------ stopping

    def stop(self, *, handover: bool = False) -> None:
        """Start nothing more; end when running attempts have, after the grace by TERM, or (`handover`) at once."""
        if not self.is_stopping:
            log.info("stopping")
            self.is_stopping = True
            self.loop.tell(events.StartsHeld(self.clock.now(), held=True))
            if not handover:
                loop = asyncio.get_running_loop()
                self._deadline = loop.call_later(self._grace.total_seconds(), self._kill)
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

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in _HEARD:
            loop.add_signal_handler(number, self._hear, number)

    def _hear(self, number: signal.Signals) -> None:
        """Take a signal; one that comes during the start is kept until there is something to stop or reload."""
        if not self._is_up:
            self._early_signals.append(number)
            stops = [each for each in self._early_signals if each is not signal.SIGHUP]
            if len(stops) > 1 and self._starting is not None:
                # Somebody insists: a start that waits for a disk or for the spawner is given up.
                self._starting.cancel()
        elif number is signal.SIGHUP:
            if self.job_files is not None:
                self._soon(self._reload_quietly(trust_stamps=False))
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

    # ------------------------------------------------------------ configuration

    async def reload(self, *, trust_stamps: bool = False) -> bool:
        """Read the job files again and put what is good in force; return whether that changed anything.

        Somebody who asks for it may know of changes that the file system does not tell, so only a change that was
        noticed is looked for by the files' stamps.
        """
        assert self.job_files is not None, "`run --once` reads its files once"
        async with self._reloading:
            self._systemd.reloading()
            reading, errors = await self.job_files.read(trust_stamps=trust_stamps)
            if errors:
                await self._note_rejected(errors)
            changed = reading.config is not None and reading.config.digest != self.config.digest
            if changed and reading.config is not None:
                self._guard.use(self.executor, reading.config)
                await self._apply_config(reading.config, self.number + 1)
                self.config, self.number = reading.config, self.number + 1
            self._systemd.ready(self._status_line())
        if reading.pending_removal:
            self._soon(self._reload_when_settled())
        return changed

    async def _reload_quietly(self, *, trust_stamps: bool = True) -> None:
        try:
            await self.reload(trust_stamps=trust_stamps)
        except (IntegrityBroken, PlanBroken) as error:
            # The plan is being made anew; what the files say is put in force on that one.
            log.warning("the reload is tried again: %s", error)
            self._soon(self._reload_when_settled())

    async def _reload_when_settled(self) -> None:
        """Look again once a file that is gone has been gone for long enough to be meant."""
        await asyncio.sleep(REMOVAL_DELAY.total_seconds() + 0.1)
        await self._reload_quietly()

    async def _apply_config(self, config: Config, number: int) -> None:
        with self.loop.plan.keeping_rows():
            rows = await rows_for_edit(self.store, self.loop.plan, config, self.clock.now())
            starts = await starts_for_edit(self.store, self.loop.plan, config, self.clock.now())
            await self.loop.ask(lambda now: events.ConfigApplied(now, config, number, rows, starts))

    async def _note_rejected(self, errors: Sequence[Problem]) -> None:
        assert self.job_files is not None
        words = f"{len(errors)} problem(s), the first: {errors[0].file}:{errors[0].line}: {errors[0].message}"
        detail = {"problems": rows(errors[:20]), "reverted": list(self.job_files.reverted)}
        await self.loop.ask(lambda now: events.Noted(now, "config.rejected", words, detail))

    async def _watch_files(self) -> None:
        assert self.job_files is not None
        async for _ in self.job_files.changes(self._tell_unwatched):
            await self._reload_quietly()

    def _tell_unwatched(self, trouble: str) -> None:
        log.warning("%s", trouble)
        self.loop.tell(events.Noted(self.clock.now(), "config.unwatched", trouble))

    # ------------------------------------------------------------ signs of life

    async def _beat(self) -> None:
        """Show that this daemon lives: to systemd, and to the next start, which tells how long it was down."""
        pause_s = min(BEAT_S, self._systemd.watchdog_s or BEAT_S)
        while True:
            self._systemd.alive()
            self._heart.beat()
            await asyncio.sleep(pause_s)

    def _status_line(self) -> str:
        errors = len(self.job_files.errors) if self.job_files else 0
        trouble = f", {errors} problem(s) in the job files" if errors else ""
        jobs = "1 job" if len(self.config.jobs) == 1 else f"{len(self.config.jobs)} jobs"
        return f"configuration {self.number}, {jobs}{trouble}"

    # ------------------------------------------------------------ doors and tasks

    async def _open_doors(self) -> list[Door]:
        doors = [make(self) for make in self._doors]
        # A door's first visitors are answered by the loop, so it has to turn.
        for door in doors:
            await self._turning(door.start())
        return doors

    async def _close_doors(self, doors: Sequence[Door]) -> None:
        for door in doors:
            # A loop that is broken for good turns no more, and its visitors have their answers.
            await (door.close() if self.loop.broken else self._turning(door.close()))

    def _soon(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.append(task)
        task.add_done_callback(self._report_failure)

    def _report_failure(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a part of the daemon failed, so it stops: %r", error, exc_info=error)
            self._exit_code = 4
            self.stop()
