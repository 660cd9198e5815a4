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
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dagsched.clock import Clock, SystemClock
from dagsched.config import Problem, rows
from dagsched.counting import counted
from dagsched.daemon.audience import Audience
from dagsched.daemon.differing import Differing
from dagsched.daemon.dispatching import Dispatcher
from dagsched.daemon.door import Door
from dagsched.daemon.heartbeat import BEAT_S, Heartbeat
from dagsched.daemon.holding import acquired, insisted
from dagsched.daemon.loop import Loop, Observer, PlanBroken, recovered
from dagsched.daemon.memory import settle
from dagsched.daemon.observers import Observers
from dagsched.daemon.patience import Patience
from dagsched.daemon.remaining import Remaining
from dagsched.daemon.restoring import restored, rows_for_edit, starts_for_edit
from dagsched.daemon.secrets import Guard
from dagsched.daemon.stopping import GRACE, KILL_GRACE, Stopping
from dagsched.daemon.systemd import Notifier
from dagsched.engine import Plan, events
from dagsched.errors import ConfigInvalid, IntegrityBroken, StoreUnavailable
from dagsched.executor import Executor
from dagsched.model import Config, ConfigVersion, format_instant
from dagsched.stores import address, open_store
from dagsched.stores.contract import Store

if TYPE_CHECKING:
    from dagsched.daemon.feeding import Feeder
    from dagsched.daemon.jobfiles import JobFiles

log = logging.getLogger("dagsched.daemon")

T = TypeVar("T")

REBUILDS_MAX = 3


class Daemon(Stopping):
    """One scheduler on one state directory.

    `files`: job files and folders of them. `grace`: what running attempts get to finish by themselves when the
    daemon is told to stop. `slots`: attempts at a time, None for no limit. `doors` are opened once it is ready.
    `stands_by`: whether it waits for its turn when another one writes, on a store that several machines share.
    """

    stands_by = True

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
        super().__init__()
        self.state_dir = state_dir.absolute()
        self.clock = clock or SystemClock()
        self.started = self.clock.now()
        self.store: Store = open_store(self.state_dir)
        self.job_files: JobFiles | None = None
        self.number = 0
        self.http = ""  # where it is served, once it is
        self._files = [Path(os.path.abspath(file)) for file in files]
        self._audience = Audience()
        self.watch = self._audience.watch
        # The audience first: a terminal that was closed keeps nobody else from hearing.
        self._observers = Observers([self._audience, *([observer] if observer is not None else ())])
        self._grace, self._slots, self._doors = grace, slots, doors
        self._systemd = Notifier()
        self._heart = Heartbeat(self.state_dir)
        self.executor = Executor(self.state_dir, lambda report: self.loop.report(report))
        self._guard = Guard()
        self.dispatcher = Dispatcher(self.store.fleet)
        self._watching: asyncio.Task[None] | None = None
        self.reloading = asyncio.Lock()  # held while what is in force is being changed
        self._tasks: list[asyncio.Task[None]] = []
        self._rebuilds = 0
        self._waits_for = ""
        self._is_unread = False  # whether it waits for a store that cannot be read
        self._exit_code = 0
        self._once = False
        self._differing = Differing(self.store, self._files_of, self._tell_differing)
        self._remaining = Remaining(self.state_dir, self.store.fleet, self.clock)

    # ------------------------------------------------------------ the daemon

    async def run(self, *, until_idle: bool = False) -> int:
        """Serve until told to stop (`until_idle`: or until every run is over); return the exit code.

        0, 130 when it was a person's interrupt, 4 when a part of the daemon failed by itself.
        Raises ConfigInvalid, StoreError and SpawnerError for what makes a start impossible.
        """
        from dagsched.daemon.messenger import Messenger  # `run --once` tells nobody

        self._hear_signals()
        messenger = Messenger(self.state_dir)
        # First of them: a terminal that was closed keeps nobody from being told.
        self._observers.insert(0, messenger)
        if not await self._has_started(self._open_state(self._stand_by if self.stands_by and not until_idle else None)):
            return self._code_of_early_end()
        try:
            if not await self._has_started(self._start()):
                return self._code_of_early_end()
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
            await messenger.close()
            self.executor.release()
            await self.store.close()
        return self._exit_code or (130 if self._interrupts else 0)

    async def _open_state(self, stands_by: Callable[[str], None] | None = None) -> None:
        """Open the store and become its one writer; raises StoreError, StoreHeld among them unless it `stands_by`."""
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await self.store.open(write=True)
        try:
            holder = f"process {os.getpid()} on {socket.gethostname()} since {format_instant(self.started)}"
            self.store.hear_terms(self.executor.renew)
            await acquired(self.store, holder, stands_by)
        except BaseException as error:
            await self._stand_no_more(is_told=isinstance(error, asyncio.CancelledError))
            raise
        await self._differing.end()
        await self._remaining.end()
        if self.is_standing_by:
            log.warning("nobody else is active any more, so this scheduler takes over")
            self.is_standing_by = False
        address.note(self.state_dir, address.address_of(self.state_dir))
        # It starts beside this process, which has files to read meanwhile.
        self.executor.prepare()

    async def _stand_no_more(self, *, is_told: bool) -> None:
        """End without having become active; `is_told`: by somebody, so that nothing may be left running here."""
        try:
            await self._differing.end()
            if is_told:
                await self._remaining.drain(self._grace, self._systemd.alive)
        finally:
            await self._remaining.end()
            await self.store.close()

    def _stand_by(self, why: str) -> None:
        self._systemd.alive()
        if why != self._waits_for:
            self._waits_for = why
            log.warning("%s", why)
            self._systemd.ready(why)
        if not self.is_standing_by:
            # The lock of the state directory is ours by now, so nobody else is told where its state is.
            address.note(self.state_dir, address.address_of(self.state_dir))
            self._differing.begin()
            self._remaining.begin()
            self._wait_for_turn()

    def _tell_differing(self, words: str) -> None:
        if self.is_standing_by:
            self._systemd.ready(f"{self._waits_for}; {words}" if words else self._waits_for)

    def _files_of(self, last: ConfigVersion | None) -> JobFiles:
        from dagsched import registered  # `run --once` reads its files once, and knows no others
        from dagsched.daemon.jobfiles import JobFiles

        files = registered.brought_over(last.files, self.state_dir, self.folder) if last else {}
        return JobFiles(self._files, files, self.clock)

    @property
    def folder(self) -> Path:
        """Where its job files are, the first of them if they are apart."""
        return self._files[0] if self._files[0].is_dir() else self._files[0].parent

    async def _found(self, read: Callable[[], Awaitable[T]]) -> T:
        """Return what `read` finds in the store, which must be repeatable.

        Who stood by, or is up, has no reason to end when the store is away: it is read again until it is back.
        """
        if not (self._rebuilds if self._is_up else self._differing.has_stood_by):
            return await read()
        found = await insisted(read, self._wait_for_store)
        if self._is_unread:
            self._is_unread = self.is_standing_by = False
            log.warning("the state can be read again")
            if self._is_up:
                self._systemd.ready(self._status_line())
        return found

    def _wait_for_store(self, error: StoreUnavailable) -> None:
        if self._killed or self._handover:
            raise error
        self._systemd.alive()
        if not self._is_unread:
            log.warning("waits until the state can be read: %s", error)
            self._systemd.ready(f"waits until the state can be read: {error}")
        self._is_unread = True
        if not self._is_up:
            # From here on one signal is enough to end it, as for whoever stands by.
            self._wait_for_turn()

    async def _start(self) -> None:
        last = next(iter(await self._found(lambda: self.store.configs(limit=1))), None)
        self.job_files = self._files_of(last)
        reading, _ = await self.job_files.read()
        config = reading.config
        if self._differing.has_stood_by and last is not None:
            config = await asyncio.to_thread(self._differing.taken_over, reading, last, self.clock.now())
        if config is None:
            raise ConfigInvalid(reading.problems)
        number = last.number if last else 0
        is_known = last is not None and last.digest == config.digest
        await self._begin(config, number if is_known else number + 1)
        self.loop.tell(events.Noted(self.clock.now(), "daemon.started", f"process {os.getpid()}"))
        if self._differing.is_edited:
            self._soon(self._reload_quietly())
        if reading.pending_removal:
            self._soon(self._reload_when_settled())

    async def _begin(self, config: Config, number: int, *, once: bool = False) -> None:
        """Make plan, executor and loop, and take up what an earlier daemon left."""
        self.config, self.number, self._once = config, number, once
        plan = await self._found(self._restored)
        beat, seen = self._heart.last(), plan.book.last_seen
        if beat is not None and seen is not None and seen < beat <= self.clock.now():
            plan.book.last_seen = beat
        self.loop = self._loop(plan)
        await self._take_up()

    async def _restored(self) -> Plan:
        plan, _ = await restored(self.store, self.config, self.clock.now(), slots=self._slots, once=self._once)
        return plan

    async def _take_up(self) -> None:
        """Learn what became of the attempts, and put the configuration in force."""
        self._guard.use(self.executor, self.config)
        self.dispatcher.use(self.config)
        # Before the inventory, which would be out of date if the store made us wait.
        await self._found(lambda: self.dispatcher.take_up(self.loop.plan))
        inventory = await self.executor.connect()
        self.loop.tell(recovered(self.clock.now(), inventory, self.dispatcher.far))
        if self._watching is None:
            self._watching = self._soon(self._watch_others())
        await self._turning(self._apply_config(self.config, self.number))

    def _loop(self, plan: Plan) -> Loop:
        hands = (self.executor, self.clock, self._observers, KILL_GRACE, self.dispatcher)
        return Loop(plan, self.store, *hands, Patience())

    async def _watch_others(self) -> None:
        await self.dispatcher.watch(lambda: self.loop.plan, lambda event: self.loop.tell(event), self.clock)

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

    @cached_property
    def _feeder(self) -> Feeder:
        from dagsched.daemon.feeding import Feeder  # few have a backfill

        return Feeder(self.store, self._soon)

    async def _rebuild(self) -> None:
        plan = await self._found(self._restored)
        broken = self.loop
        self.loop = self._loop(plan)
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
            return not self._own_running()
        return until_idle and self.loop.plan.is_idle() and self.loop.has_nothing_to_do()

    def _own_running(self) -> bool:
        """Whether an attempt of this very machine is under way."""
        return any((run.name, run.attempts) not in self.dispatcher.far for run in self.loop.plan.running())

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
        try:
            while not task.done():
                await self._turn()
        except BaseException:
            task.cancel()  # no turn of the loop will ever answer it
            await asyncio.gather(task, return_exceptions=True)
            raise
        return await task

    # ------------------------------------------------------------ configuration

    async def reload(self, *, trust_stamps: bool = False) -> bool:
        """Read the job files again and put what is good in force; return whether that changed anything.

        Somebody who asks for it may know of changes that the file system does not tell, so only a change that was
        noticed is looked for by the files' stamps.
        """
        assert self.job_files is not None, "`run --once` reads its files once"
        async with self.reloading:
            self._systemd.reloading()
            were_bad = bool(self.job_files.errors)
            reading, errors = await self.job_files.read(trust_stamps=trust_stamps)
            if errors:
                await self._note_rejected(errors)
            is_ignored = reading.config is not None and self._differing.is_ignored(
                reading.config, is_asked=not trust_stamps
            )
            changed = reading.config is not None and reading.config.digest != self.config.digest and not is_ignored
            if changed and reading.config is not None:
                await self._put_in_force(reading.config)
            elif were_bad and not self.job_files.errors:
                # Nothing comes into force, so without this line who was told of the errors would never hear the end.
                words = f"the job files can be used again; configuration {self.number} is in force, as before"
                await self.loop.ask(lambda now: events.Noted(now, "config.mended", words))
            self._systemd.ready(self._status_line())
        if reading.pending_removal:
            self._soon(self._reload_when_settled())
        return changed

    async def put_text(self, config: Config, file: str, text: str | None) -> None:
        """Put `config` in force, which is the one that is with this text of a registered job, or (None) without one.

        Whoever asks holds `reloading` since `config` was made.
        """
        assert self.job_files is not None, "`run --once` answers no verbs"
        await self._put_in_force(config)
        self.job_files.keep(file, text)
        await self._differing.go_on_ignoring(self.job_files)

    async def _put_in_force(self, config: Config) -> None:
        self._guard.use(self.executor, config)
        self.dispatcher.use(config)
        await self._apply_config(config, self.number + 1)
        self.config, self.number = config, self.number + 1

    def _hear_hangup(self) -> None:
        if self.job_files is not None:
            self._soon(self._reload_quietly(trust_stamps=False))

    async def _reload_quietly(self, *, trust_stamps: bool = True) -> None:
        try:
            await self.reload(trust_stamps=trust_stamps)
        except (IntegrityBroken, PlanBroken, StoreUnavailable) as error:
            # The plan is being made anew, or history cannot be read for now: what the files say is put in force later.
            log.warning("the reload is tried again: %s", error)
            self._soon(self._reload_when_settled())

    async def _reload_when_settled(self) -> None:
        """Look again once a file that is gone has been gone for long enough to be meant."""
        assert self.job_files is not None, "`run --once` reads its files once"
        await self.job_files.removals_settled()
        await self._reload_quietly()

    async def _apply_config(self, config: Config, number: int) -> None:
        with self.loop.plan.keeping_rows():
            rows = await self._found(lambda: rows_for_edit(self.store, self.loop.plan, config, self.clock.now()))
            starts = await self._found(lambda: starts_for_edit(self.store, self.loop.plan, config, self.clock.now()))
            await self.loop.ask(lambda now: events.ConfigApplied(now, config, number, rows, starts))

    async def _note_rejected(self, errors: Sequence[Problem]) -> None:
        assert self.job_files is not None
        words = f"{counted(len(errors), 'problem')}, the first: {errors[0].file}:{errors[0].line}: {errors[0].message}"
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

    @property
    def health(self) -> str:
        """What keeps the daemon from starting anything, "ok" when nothing does."""
        trouble = "" if self.executor.may_start() else "the lease could not be renewed"
        unread = "the state cannot be read" if self._is_unread else ""
        return self.loop.health.trouble or unread or trouble or "ok"

    async def _beat(self) -> None:
        """Show that this daemon lives: to systemd, and to the next start, which tells how long it was down."""
        pause_s = min(BEAT_S, self._systemd.watchdog_s or BEAT_S)
        while True:
            self._systemd.alive()
            self._heart.beat()
            await asyncio.sleep(pause_s)

    def _status_line(self) -> str:
        errors = len(self.job_files.errors) if self.job_files else 0
        trouble = f", {counted(errors, 'problem')} in the job files" if errors else ""
        return f"configuration {self.number}, {counted(len(self.config.jobs), 'job')}{trouble}"

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

    def _soon(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.append(task)
        task.add_done_callback(self._report_failure)
        return task

    def _report_failure(self, task: asyncio.Task[None]) -> None:
        if task in self._tasks:
            self._tasks.remove(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a part of the daemon failed, so it stops: %r", error, exc_info=error)
            self._exit_code = 4
            self.stop()
