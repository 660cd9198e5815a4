"""One simulated life of a daemon: real loop, plan and store contract on a clock, a disk and processes of straw.

Everything random comes from one seed. The daemon is the real `Loop` with the real `restored`; its coroutines
never wait (the store is in memory), so a hand-written runner drives them without an event loop. A *fuse* counts
the steps of the loop and kills the daemon in the middle of one: before or after a commit, or between two acts.
Schedules end at the horizon, so that the life ends with everything that was due behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from contextlib import ExitStack
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import Any

from dagsched.backfill import rows_for_want, ticks_asked_for
from dagsched.clock import ManualClock
from dagsched.daemon.loop import Ask, Loop, recovered
from dagsched.daemon.restoring import restored, rows_for_edit, starts_for_edit
from dagsched.engine import events
from dagsched.errors import Refused
from dagsched.executor import Inventory, Report
from dagsched.handlers import Launch
from dagsched.lookups import called_by, rows_for_rerun
from dagsched.model import Again, Config, EventRow, Run, RunState, format_instant, utc
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch
from dagsched.stores.memory import MemoryState
from tests.simulation.auditor import Auditor, Broken
from tests.simulation.files import EVENTS, Files
from tests.simulation.machine import Machine

STARTS = (utc(2026, 3, 6), utc(2026, 3, 27), utc(2026, 4, 3), utc(2026, 10, 23), utc(2026, 10, 30))
GRACE = timedelta(seconds=10)
SECOND = timedelta(seconds=1)
TURNS_MAX = 200_000
REST_MAX = timedelta(days=4)


class Crash(BaseException):
    """The daemon was killed here. Nobody may catch it but the world."""


class Witnessed(MemoryStore):
    """A store whose commits are shown to the auditor; the daemon may die on either side of one."""

    def __init__(self, state: MemoryState, world: World) -> None:
        super().__init__(state)
        self._world = world

    async def commit(self, batch: Batch) -> None:
        self._world.burn("before a commit")
        await super().commit(batch)
        self._world.auditor.committed(batch)
        self._world.burn("after a commit")


class Hand:
    """The daemon's end of the connection to the spawner."""

    def __init__(self, world: World) -> None:
        self._world, self._machine = world, world.machine

    def start(self, launches: Sequence[Launch]) -> None:
        for launch in launches:
            self._world.burn("before an order to start")
            self._world.note("order", f"start {launch.run} #{launch.attempt}")
            self._machine.send(partial(self._machine.start, [launch]))

    def stop(self, run: str, attempt: int, cause: str, grace_s: float) -> None:
        self._world.burn("before an order to stop")
        self._world.note("order", f"stop {run} #{attempt} ({cause})")
        self._machine.send(partial(self._machine.stop, (run, attempt), cause, grace_s))

    def acknowledge(self, seq: int) -> None:
        self._world.burn("before an acknowledgement")
        self._machine.send(partial(self._machine.exits.pop, seq, None))

    def settled(self) -> None:
        self._world.burn("before it is settled")
        self._machine.send(self._machine.settle)

    def send(self) -> None:
        """Everything was sent when it was ordered."""


class Reply:
    """The future of a wish that nobody awaits."""

    def __init__(self, world: World) -> None:
        self._world, self._done = world, False

    def done(self) -> bool:
        return self._done

    def set_result(self, value: Any) -> None:
        self._done = True

    def set_exception(self, error: BaseException) -> None:
        self._done = True
        if not isinstance(error, Refused):
            raise error
        self._world.note("refused", str(error))


class Nobody:
    """An observer that looks away."""

    def on_config(self, config: Config) -> None: ...

    def on_events(self, events: Sequence[EventRow]) -> None: ...


class World:
    """The life of one seed over `days` days; `live()` raises `Broken` at the first broken promise."""

    def __init__(self, seed: int, days: float = 5, show: Callable[[str], None] | None = None) -> None:
        self.seed, self.days = seed, days
        self.rng = Random(seed)
        self.start = self.rng.choice(STARTS) + timedelta(hours=self.rng.randint(0, 23), minutes=self.rng.randint(0, 59))
        self.end = self.start.replace(hour=0, minute=0) + timedelta(days=days)
        self.clock = ManualClock(self.start)
        self.trace: list[str] = []
        self._show = show
        self.state = MemoryState()
        self.auditor = Auditor(self.state, self.clock.now, self.note)
        self.machine = Machine(self.clock, self.rng, self.auditor)
        self.files = Files(self.rng, self.start, self.end)
        self.loop: Loop | None = None
        self.store = Witnessed(self.state, self)
        self.number, self.digest = 0, ""
        self.is_stopping = False
        self.fuse: int | None = None
        self.turns = 0
        self._reloading: Loop | None = None
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0
        self._is_calm = False
        self._feeding: set[int] = set()

    # ------------------------------------------------------------ the life

    def live(self) -> None:
        """Live the days, then let everything come to rest, and hold the record against what happened."""
        self.after(0, self.begin)
        self.after(self._soon(1.0), self.be_asked)
        self.after(self._soon(6.0), self.have_trouble)
        try:
            while self.clock.now() < self.end:
                self.step()
            self.come_to_rest()
            self.auditor.finished()
        except Crash as crash:
            raise AssertionError("a crash escaped the daemon") from crash

    def step(self) -> None:
        """Go to the next instant at which something happens, and let it happen."""
        self.turns += 1
        if self.turns > TURNS_MAX:
            raise Broken("P7", "", f"no end after {TURNS_MAX} steps")
        now = self.clock.monotonic()
        at = min(
            (t for t in (self._next_timer(), self.machine.next(), self._next_wake()) if t is not None), default=None
        )
        if at is None:
            at = now + 3600.0
        # Whole milliseconds, and never short of what is due.
        length = timedelta(milliseconds=max(0, -int(-(at - now) * 1000 // 1)))
        self.clock.advance(length)
        self.machine.pump()
        while self._timers and self._timers[0][0] <= self.clock.monotonic():
            self._timers.pop(0)[2]()
        self.turn()

    def turn(self) -> None:
        """Give the daemon a turn, if it is up and has something to do."""
        loop = self.loop
        if loop is None:
            return
        wake = self._next_wake()
        is_hungry = any(id not in self._feeding for id in loop.plan.filling.hungry())
        if loop.has_nothing_to_do() and not is_hungry and (wake is None or wake > self.clock.monotonic()):
            return
        try:
            loop.tell(events.TimePassed(self.clock.now()))
            _run(loop.turn())
            self._feed(loop)
            while not loop.has_nothing_to_do():
                _run(loop.turn())
                self._feed(loop)
        except Crash as crash:
            self.die(str(crash))
            return
        self._look(loop)

    def _feed(self, loop: Loop) -> None:
        """Read for the backfills that are hungry, as the daemon does beside its loop: that may take a moment."""
        for id in loop.plan.filling.hungry():
            want = loop.plan.filling.want(id)
            if id in self._feeding or want is None:
                continue
            keeping = ExitStack()
            keeping.enter_context(loop.plan.keeping_rows())
            rows = _run(rows_for_want(self.store, loop.plan.book.jobs, want, loop.plan.filling.again_of(id)))
            self._feeding.add(id)

            def hand_over(id: int = id, want: events.Want = want, rows: tuple[Run, ...] = rows,
                          keeping: ExitStack = keeping) -> None:  # fmt: skip
                if self.loop is loop:
                    self._feeding.discard(id)
                    loop.tell(events.BackfillFed(self.clock.now(), want, rows))
                    self.ask("read", lambda now: self._end_reading(now, keeping))

            if self._is_calm or self.rng.random() < 0.5:
                hand_over()
            else:
                self.after(self.rng.uniform(0, 5), hand_over)

    def _once_read(
        self, loop: Loop, words: str, make: Callable[[datetime], events.Event], then: Callable[[], None] = lambda: None
    ) -> None:
        """Have an event asked for whose rows were read just now: the daemon goes on until they are handed over."""
        keeping = ExitStack()
        keeping.enter_context(loop.plan.keeping_rows())

        def made(now: datetime) -> events.Event:
            keeping.close()
            self.after(0, then)
            return make(now)

        def hand_over() -> None:
            if self.loop is loop:
                self.ask(words, made)

        if self._is_calm or self.rng.random() < 0.5:
            hand_over()
        else:
            self.after(self.rng.uniform(0, 5), hand_over)

    def _end_reading(self, now: datetime, keeping: ExitStack) -> events.Event:
        keeping.close()
        return events.TimePassed(now)

    def _look(self, loop: Loop) -> None:
        if self.is_stopping and not loop.plan.running():
            self._end_cleanly()
        elif not self.machine.pipe and self.machine.reconnect is None:
            self.auditor.at_rest(self.machine.living, starts=not self.is_stopping)

    def come_to_rest(self) -> None:
        """No more trouble: the daemon comes back, pauses end, and everything must come to its end."""
        self._is_calm, self.fuse = True, None
        self._timers = [timer for timer in self._timers if timer[2] in (self.begin, self._kill)]
        self.note("rest", "no more trouble")
        self._feeding.clear()
        limit = self.clock.now() + REST_MAX
        for _ in range(2 if self.rng.random() < 0.5 else 1):
            while self.loop is None or self.is_stopping:
                self.step()
            for job, mark in sorted(self.state.marks.items()):
                if mark.paused is not None and job in self.loop.plan.book.jobs:
                    self.ask("resume", partial(events.ResumeRequested, job=job))
            self.turn()
            while not self.is_idle():
                if self.clock.now() > limit:
                    raise Broken("P7", self._left(), f"is not over {REST_MAX} after the last tick")
                self.step()
            self.die("the last time")
            self.begin()
            self.turn()

    def is_idle(self) -> bool:
        """Whether nothing is due any more and every run is over."""
        loop = self.loop
        return (
            loop is not None
            and not self.is_stopping
            and loop.plan.wake_at() is None
            and self.machine.next() is None
            and loop.has_nothing_to_do()
            and not loop.plan.filling
            and (not self._left() or self._is_stuck())
        )

    def _is_stuck(self) -> bool:
        raise Broken("P7", self._left(), "is not over though nothing more is due")

    def _left(self) -> str:
        live = [run.name for rows in self.state.runs.values() for run in rows.values() if not run.state.is_terminal]
        return live[0] if live else ""

    # ------------------------------------------------------------ the daemon

    def begin(self) -> None:
        """Start the daemon."""
        if self.loop is not None:
            return
        try:
            self._begin()
        except Crash as crash:
            self.die(str(crash))

    def _begin(self) -> None:
        self.note("daemon", "starts")
        config = self.files.read()
        self.auditor.knows(config)
        self.store = Witnessed(self.state, self)
        _run(self.store.open(write=True))
        _run(self.store.acquire("the simulation"))
        last = next(iter(_run(self.store.configs(limit=1))), None)
        self.number = last.number if last else 0
        if last is None or last.digest != config.digest:
            self.number += 1
        self.digest = config.digest
        plan, _ = _run(restored(self.store, config, self.clock.now(), slots=None))
        self.is_stopping = False
        loop = self.loop = Loop(plan, self.store, Hand(self), self.clock, Nobody(), GRACE)
        inventory: Inventory = self.machine.connect(self.report)
        loop.tell(recovered(self.clock.now(), inventory))
        self._configure(config)

    def _configure(self, config: Config) -> None:
        self.ask("configure", self._configuring(config))

    def _configuring(self, config: Config) -> Callable[[datetime], events.Event]:
        """Read what an edit needs, and return the event."""
        assert self.loop is not None
        rows = _run(rows_for_edit(self.store, self.loop.plan, config, self.clock.now()))
        starts = _run(starts_for_edit(self.store, self.loop.plan, config, self.clock.now()))
        return partial(events.ConfigApplied, config=config, number=self.number, rows=rows, starts=starts)

    def _reload(self) -> None:
        """Put the files in force if they say something new, one edit after the other."""
        loop, config = self.loop, self.files.read()
        if loop is None or loop is self._reloading or config.digest == self.digest or self.is_stopping:
            return
        self.number, self.digest = self.number + 1, config.digest
        self._reloading = loop
        self._once_read(loop, "configure", self._configuring(config), then=self._reloaded)

    def _reloaded(self) -> None:
        self._reloading = None
        self._reload()

    def report(self, report: Report) -> None:
        """Pass on what the spawner says."""
        if self.loop is not None:
            self.loop.report(report)

    def ask(self, words: str, make: Callable[[datetime], events.Event]) -> None:
        """Put a wish to the daemon, if it is up."""
        if self.loop is not None:
            reply: Any = Reply(self)
            self.loop.tell(Ask(make, lambda commands: None, reply))

    def burn(self, where: str) -> None:
        """Count one step of the daemon; at the fuse's end it dies here."""
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse <= 0:
                self.fuse = None
                raise Crash(where)

    def die(self, where: str) -> None:
        """The daemon is killed."""
        if self.loop is None:
            return
        self.note("daemon", f"is killed: {where}")
        self.machine.hang_up(lose=True)
        self._gone()

    def _gone(self) -> None:
        self.store.crash()
        self.loop, self.is_stopping, self.fuse = None, False, None
        self._feeding.clear()
        self.auditor.daemon_gone()
        short = self.rng.random() < 0.6 or self._is_calm
        self.after(self.rng.uniform(0.5, 40) if short else self.rng.uniform(60, 30_000), self.begin)

    def stop(self) -> None:
        """Tell the daemon to stop; what runs gets a minute, then a signal."""
        if self.loop is not None and not self.is_stopping:
            self.note("daemon", "is told to stop")
            self.is_stopping = True
            self.loop.tell(events.StartsHeld(self.clock.now(), held=True))
            self.after(60, self._kill)

    def _kill(self) -> None:
        if self.loop is not None and self.is_stopping:
            self.loop.tell(events.StopRequested(self.clock.now()))

    def _end_cleanly(self) -> None:
        self.machine.quit()
        self.auditor.clean_stop()
        self.note("daemon", "has stopped")
        self._gone()

    def hand_over(self) -> None:
        """Stop the daemon and leave its attempts to the spawner."""
        if self.loop is not None:
            self.note("daemon", "hands over")
            self.machine.hang_up(lose=False)
            self._gone()

    # ------------------------------------------------------------ people

    def be_asked(self) -> None:
        """Have a person do something."""
        self.after(self._soon(1.2), self.be_asked)
        verbs = (self._trigger, self._trigger, self._emit, self._emit, self._call, self._cancel, self._rerun,
                 self._rerun, self._backfill,
                 self._pause, self._resume, self._resume, self._ack, self._edit, self._edit)  # fmt: skip
        self.rng.choice(verbs)()

    def _trigger(self) -> None:
        job = self._some_job()
        if job is None:
            return
        how = self.rng.choice(("", "", "with_upstream", "only"))
        self.note("verb", f"trigger {job} {how}")
        self.ask("trigger", partial(
            events.TriggerRequested, job=job, with_upstream=how == "with_upstream", only=how == "only"
        ))  # fmt: skip

    def _emit(self) -> None:
        event, id = self.rng.choice(EVENTS), self.rng.choice(("", "1", "2", "3"))
        self.note("verb", f"emit {event} {id}")
        self.ask("emit", partial(events.EventEmitted, event=event, id=id, data={"n": self.rng.randint(1, 9)}))

    def _call(self) -> None:
        """Have a run that has a process make one of another job, as a workflow does."""
        job, callers = self._some_job(), self.loop.plan.running() if self.loop is not None else []
        if job is not None and callers:
            caller = self.rng.choice(callers).name
            waits = self.rng.random() < 0.8
            self.note("verb", f"{caller} calls {job}{' and waits' if waits else ''}")
            rows = _run(called_by(self.store, caller))
            self.ask("call", partial(events.RunCalled, job=job, caller=caller, waits=waits, rows=rows))

    def _cancel(self) -> None:
        run = self._some_run(live=True)
        if run is not None:
            self.note("verb", f"cancel {run.name}")
            self.ask("cancel", partial(events.CancelRequested, run=run.name))

    def _rerun(self) -> None:
        run = self._some_run(live=False)
        if run is None or self.loop is None:
            return
        tick = run.until if run.until is not None and self.rng.random() < 0.5 else run.tick
        name, downstream = f"job:{run.job}:{format_instant(tick)}", self.rng.random() < 0.3
        self.note("verb", f"rerun {name}{' and downstream' if downstream else ''}")
        config = Config(self.loop.plan.book.jobs)
        rows = _run(rows_for_rerun(self.store, config, name))
        self.auditor.asked_rerun(name)
        event = partial(events.RerunRequested, run=name, downstream=downstream, rows=rows)
        self._once_read(self.loop, "rerun", event)

    def _backfill(self) -> None:
        job, now, rng = self._some_job(), self.clock.now(), self.rng
        if job is None or self.loop is None:
            return
        active = sorted(work for work in self.state.backfills if self.state.backfills[work].state == "active")
        if active and rng.random() < 0.3:
            self.note("verb", f"cancel backfill {active[0]}")
            self.ask("cancel backfill", partial(events.BackfillCancelRequested, id=active[0]))
            return
        first = now - timedelta(minutes=rng.randint(10, 6000))
        last = min(now, first + timedelta(minutes=rng.randint(10, 3000)))
        how = {
            "newest_first": rng.random() < 0.4, "downstream": rng.random() < 0.5, "max_active": rng.randint(1, 3),
            "again": rng.choice((Again.GAPS, Again.GAPS, Again.FAILED, Again.ALL)),
        }  # fmt: skip
        config = Config(self.loop.plan.book.jobs)
        try:
            total = len(ticks_asked_for(config, job, first, last, now))
        except Refused as refused:
            self.note("refused", str(refused))
            return
        self.note("verb", f"backfill {job} from {first} to {last}: {total} ticks, {how}")
        self.auditor.asked_backfill(job, first, last)
        self.ask("backfill", partial(
            events.BackfillRequested, job=job, first=first, last=last, total=total, **how
        ))  # fmt: skip

    def _pause(self) -> None:
        job = self._some_job()
        if job is not None:
            self.note("verb", f"pause {job}")
            self.ask("pause", partial(events.PauseRequested, job=job))

    def _resume(self) -> None:
        paused = [job for job, mark in sorted(self.state.marks.items()) if mark.paused is not None]
        if paused and self.loop is not None:
            job = self.rng.choice(paused)
            if job in self.loop.plan.book.jobs:
                self.note("verb", f"resume {job}")
                self.ask("resume", partial(events.ResumeRequested, job=job))

    def _ack(self) -> None:
        run = self._some_run(live=False)
        if run is not None:
            self.ask("ack", partial(events.AckRequested, run=run.name, rows=(run,)))

    def _edit(self) -> None:
        self.files.edit()
        config = self.files.read()
        self.auditor.knows(config)
        self.note("edit", f"a new job file: {', '.join(config.jobs)}" + ("" if self.loop else " (daemon down)"))
        if self.loop is not None and config.digest != self.digest and not self.is_stopping:
            self._reload()

    def _some_job(self) -> str | None:
        if self.loop is None:
            return None
        return self.rng.choice(sorted(self.loop.plan.book.jobs))

    def _some_run(self, *, live: bool) -> Run | None:
        if self.loop is None:
            return None
        runs = [run for rows in self.state.runs.values() for run in rows.values() if run.state.is_terminal != live]
        stopped = [run for run in runs if run.state is RunState.FAILED]
        return self.rng.choice(stopped if stopped and self.rng.random() < 0.5 else runs) if runs else None

    # ------------------------------------------------------------ trouble

    def have_trouble(self) -> None:
        """Have something go wrong."""
        self.after(self._soon(5.0), self.have_trouble)
        kinds = (self._light_fuse, self._light_fuse, self._light_fuse, self._kill_now, self._kill_spawner,
                 self._kill_both, self._reboot, self.stop, self.hand_over, self._step_clock, self._suspend,
                 self._drift)  # fmt: skip
        self.rng.choice(kinds)()

    def _light_fuse(self) -> None:
        self.fuse = self.rng.randint(1, 14)

    def _kill_now(self) -> None:
        self.die("between two turns")

    def _kill_spawner(self) -> None:
        self.note("trouble", "the spawner dies")
        self.machine.kill_spawner()

    def _kill_both(self) -> None:
        self._kill_spawner()
        self.die("with its spawner")

    def _reboot(self) -> None:
        self.note("trouble", "the machine restarts")
        self.die("with its machine")
        self.machine.reboot()

    def _step_clock(self) -> None:
        by = self.rng.choice((timedelta(hours=1), timedelta(hours=-1), timedelta(minutes=-7), timedelta(seconds=90)))
        self.note("trouble", f"the clock is set by {by}")
        self.auditor.clock_set(by)
        self.clock.set_wall(self.clock.now() + by)

    def _suspend(self) -> None:
        length = timedelta(seconds=self.rng.randint(600, 20_000))
        self.note("trouble", f"the machine sleeps for {length}")
        self.clock.set_wall(self.clock.now() + length)

    def _drift(self) -> None:
        by = timedelta(milliseconds=self.rng.choice((-400, -20, 20, 400)))
        self.auditor.clock_set(by)
        self.clock.set_wall(self.clock.now() + by)

    # ------------------------------------------------------------ helpers

    def note(self, kind: str, words: str) -> None:
        """Add a line to the trace."""
        line = f"{self.clock.now():%m-%d %H:%M:%S.%f} {kind:8} {words}"
        self.trace.append(line)
        if self._show is not None:
            self._show(line)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        self._count += 1
        self._timers.append((self.clock.monotonic() + seconds, self._count, act))
        self._timers.sort(key=lambda timer: timer[:2])

    def _soon(self, hours: float) -> float:
        return self.rng.expovariate(1 / (hours * 3600))

    def _next_timer(self) -> float | None:
        return self._timers[0][0] if self._timers else None

    def _next_wake(self) -> float | None:
        if self.loop is None:
            return None
        if not self.loop.has_nothing_to_do():
            return self.clock.monotonic()
        at = self.loop.plan.wake_at()
        if at is None:
            return None
        return self.clock.monotonic() + max(0.0, (at - self.clock.now()).total_seconds())


def _run(work: Coroutine[Any, Any, Any]) -> Any:
    """Drive a coroutine that never waits, only lets others have a turn, and return what it returns."""
    try:
        while work.send(None) is None:
            pass
    except StopIteration as done:
        return done.value
    work.close()
    raise AssertionError("a coroutine waited for something the simulation does not have")
