"""The plan: what should happen next. A deterministic state machine, `apply(event) -> list[Command]`.

No clock, no I/O, no randomness: the same events give the same commands, whether the daemon, a simulation or
`why` applies them. The daemon takes events, applies them, commits what is to be kept, and only then acts. So
a plan may be ahead of its store, never behind; when a commit is refused it is thrown away and restored.

    events ─▶ ticks are made ─▶ joins are judged ─▶ overlap, seats, pools ─▶ starts and stops
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from dagsched import reasons
from dagsched.engine import events, verbs
from dagsched.engine.book import Book, Edit
from dagsched.engine.calls import Calls
from dagsched.engine.commands import Command
from dagsched.engine.emissions import emit
from dagsched.engine.filling import Filling
from dagsched.engine.forgetting import forget_what_nothing_needs
from dagsched.engine.lateness import Deadlines
from dagsched.engine.ledger import Key
from dagsched.engine.lifecycle import LeftOut
from dagsched.engine.rates import Start
from dagsched.engine.retries import change_after, reason_of
from dagsched.engine.seats import Seats
from dagsched.engine.swap import swap
from dagsched.engine.ticks import Ticks
from dagsched.engine.waiting import WaitingRoom
from dagsched.model import (
    EMPTY,
    LIVE,
    Attempt,
    Backfill,
    Config,
    Emission,
    Exit,
    Job,
    JobMark,
    Match,
    Outcome,
    Run,
    RunState,
    format_step,
    parse_run_name,
)

# What comes in meanwhile waits for this many to be made, committed and started, and not for a thousand.
DUE_AT_ONCE = 16
_NO_CONFIG = "no configuration yet"


class Plan:
    """All live runs, what they wait for, and what is due next.

    A new plan holds all starts until the first `ConfigApplied`: nothing starts before what is alive is known.
    `slots_max`: attempts at a time over everything, None for no limit. `once`: schedules make no ticks, and of
    the runs the store holds none starts (`run --once`).
    """

    def __init__(self, slots_max: int | None = None, *, once: bool = False) -> None:
        self.once = once
        self.book = Book()
        self.book.on_change = self._changed
        self.waiting = WaitingRoom(self.book)
        self.ticks = Ticks(self.book, self.waiting)
        self.seats = Seats(self.book, slots_max)
        self.deadlines = Deadlines(self.book)
        self.filling = Filling(self.book, self.waiting, self.ticks, self.seats)
        self._foreign: set[Key] = set()
        self._ended: set[str] = set()
        self._readers = 0
        self.calls = Calls(self.book)
        self._holds: set[str] = set()
        self._hold(_NO_CONFIG, True)

    # ------------------------------------------------------------ from the store

    def restore(
        self,
        *,
        runs: Iterable[Run],
        attempts: Iterable[Attempt],
        marks: Iterable[JobMark],
        last_event: int,
        last_seen: datetime | None,
        config: Config | None,
        config_number: int,
        definitions: Mapping[str, Job] = EMPTY,
        starts: Iterable[Start] = (),
        emissions: Iterable[Emission] = (),
        backfills: Iterable[Backfill] = (),
        last_backfill: int = 0,
        now: datetime | None = None,
    ) -> None:
        """Take up what the store holds; call once, on a new plan, before any event.

        `definitions`: hash → job of the open `attempts`, so that they go on holding the slots they started with,
        also if their job was changed or removed since; those left out are taken to be as the configuration says.
        `starts`: those that rate limits still count.
        `emissions`: oldest first. `now` counts as the instant of the last event where there was none.
        """
        book = self.book
        if config is not None:
            book.use(config, config_number)
        for run in runs:
            book.ledger.put(run)
        book.marks = {mark.job: mark for mark in marks}
        book.open_attempts = {(attempt.job, attempt.tick): attempt for attempt in attempts}
        book.emissions = {(each.event, each.id): each.tick for each in emissions}
        book.last_event, book.last_seen = last_event, last_seen
        book.now = last_seen or now or book.now
        for id in book.jobs:
            book.marks.setdefault(id, JobMark(id, book.now))
        if self.once:
            self._foreign = {run.key for run in book.ledger.all_live()}
        self.seats.gates.rates.learn(starts)
        self.calls.restore(book.ledger.all_live())
        for key, attempt in book.open_attempts.items():
            row = book.ledger.get(key)
            if row is not None and row.state is RunState.RUNNING and attempt.definition in definitions:
                self.seats.hold_as(row, definitions[attempt.definition])
        self.filling.restore(() if self.once else backfills, last_backfill)
        self._rebuild()

    def _rebuild(self, edit: Edit | None = None) -> None:
        """Make what is derived from the ledger and the configuration anew; `edit`: all that changed, if known."""
        self.waiting = WaitingRoom(self.book)
        self.ticks.frozen = self.once
        self.ticks = self.ticks.successor(self.waiting, edit or Edit(list(self.book.jobs), []))
        self.seats = self.seats.successor()
        self.deadlines = Deadlines(self.book)
        self.filling.rebuilt(self.waiting, self.ticks, self.seats, is_in_force=edit is not None)
        for run in list(self.book.ledger.all_live()):
            if run.job not in self.book.jobs or (self.once and run.state is not RunState.RUNNING):
                continue
            self.deadlines.watch(run)
            if run.state is RunState.WAITING:
                self.waiting.enter(run)
            else:
                self.seats.restore(run)

    # ------------------------------------------------------------ events

    def apply(self, event: events.Event) -> list[Command]:
        """Take one event and return what it wants kept and done.

        Raises Refused, before anything is changed, when a person asks for what cannot be.
        """
        self.book.begin(event.now)
        _HANDLERS[type(event)](self, event)
        self._settle()
        # Not before: within one event every row is still at hand.
        if self._ended:
            self._forget()
        return self.book.finish()

    def _forget(self) -> None:
        ledger = self.book.ledger
        for job in sorted(filter(ledger.wants_pruning, self._ended)):
            if not self._readers and job in self.book.jobs:
                forget_what_nothing_needs(self.book, job, self.filling.kept(job))
        self._ended.clear()

    def _settle(self) -> None:
        self._end_what_nothing_can_match()
        self._judge()
        if self.filling:
            self.filling.fill_all(self._judge)
        self._dispatch()
        while self.calls.abandoned:
            for run, caller in self.calls.take_abandoned():
                verbs.end(self.book, run, f"cancelled with {caller}")
            self._judge()
            self._dispatch()
        self.deadlines.tell()

    def _dispatch(self) -> None:
        while self.seats.dispatch():
            self._judge()

    def _judge(self) -> None:
        while True:
            self.waiting.settle()
            if not self.seats.admit():
                return

    def _changed(self, run: Run) -> None:
        """Hear of every change of a run's state, from the book."""
        state = run.state
        if state not in LIVE:
            self._is_over(run)
            return
        if state is RunState.WAITING:
            self.seats.leave(run)
            self.waiting.enter(run)
        elif state is RunState.QUEUED:
            self.waiting.leave(run.key)
            self.seats.arrive(run)
        elif state is RunState.RETRYING:
            # `run --once` settles what another daemon left, but starts only its own runs.
            (self.seats.leave if run.key in self._foreign else self.seats.rest)(run)
        job = self.book.jobs.get(run.job)
        if job is not None and job.deadline is not None and run.key not in self._foreign:
            self.deadlines.watch(run)

    def _is_over(self, run: Run) -> None:
        self.waiting.leave(run.key)
        self.seats.leave(run)
        self.deadlines.leave(run.key)
        self.waiting.upstream_changed(run)
        self._ended.add(run.job)
        if self.filling:
            self.filling.ended(run)
        if not self.once and not run.attempts:
            self._recount(run)
        if self.calls:
            self.calls.ended(run)

    def _end_what_nothing_can_match(self) -> None:
        """Leave out runs whose upstream has never had a tick once no schedule can ever supersede them."""
        for run in self.waiting.unmatched():
            if not self.ticks.can_ever_tick(run.job):
                name = next(link.job for link in run.links if link.tick is None and link.match is Match.LATEST)
                self.book.move(run, LeftOut(self.book.now, reasons.NEVER_A_TICK(name)))

    def _recount(self, run: Run) -> None:
        job = self.book.jobs.get(run.job)
        if job is None or job.schedule is None or job.schedule.max_runs is None:
            return
        if self.ticks.next_of(run.job) is None and run.job in self.book.marks:
            # A run the schedule had counted on never started: the schedule goes on, from now.
            mark = self.book.marks[run.job]
            self.book.save_mark(mark._replace(cursor=max(mark.cursor, self.book.now)))
            self.ticks.watch(run.job)

    @contextmanager
    def keeping_rows(self) -> Iterator[None]:
        """Let no row leave memory meanwhile: what is then read from the store, and is not in memory, stays as it is.

        Else a run that is read while it runs may end and be forgotten before the event that brings it is applied.
        """
        self._readers += 1
        try:
            yield
        finally:
            self._readers -= 1

    # ------------------------------------------------------------ time

    def _time_passed(self, event: events.TimePassed) -> None:
        # What was missed is decided by the configuration that comes, which may still be on its way.
        if _NO_CONFIG not in self._holds:
            self.ticks.make_due(at_most=DUE_AT_ONCE)

    def _clock_stepped(self, event: events.ClockStepped) -> None:
        """Move the ends of all delays with the clock: backoff is time that passes, not time of day."""
        for run in list(self.book.ledger.all_live()):
            if run.state is RunState.RETRYING and run.not_before is not None:
                self.book.amend(run, not_before=run.not_before + event.by)
        self.book.note("clock.stepped", reason=f"by {format_step(event.by)}")
        self.seats.rewind_timers(event.by)

    # ------------------------------------------------------------ configuration

    def _config_applied(self, event: events.ConfigApplied) -> None:
        if self.once:
            self._use_once(event)
            return
        self.seats.learn(event.starts, event.config)
        self.ticks.make_due(event.config.jobs)
        self._judge()
        verbs.remember(self.book, event.rows)
        self._rebuild(swap(self.book, event.config, event.number))
        self._hold(_NO_CONFIG, False)
        self.seats.stir_all()

    def _use_once(self, event: events.ConfigApplied) -> None:
        """Use a configuration for this one tick: nothing of it is kept, no reference moves."""
        self.book.use(event.config, event.number)
        for id in event.config.jobs:
            self.book.marks.setdefault(id, JobMark(id, event.now))
        self._rebuild()
        self._hold(_NO_CONFIG, False)

    # ------------------------------------------------------------ attempts

    def _recovered(self, event: events.Recovered) -> None:
        exits = {(exit.run, exit.attempt): exit for exit in event.exits}
        known = set()
        for run in [run for run in self.running() if (run.name, run.attempts) not in event.elsewhere]:
            attempt = (run.name, run.attempts)
            known.add(attempt)
            if attempt in exits:
                self._end_attempt(run, exits[attempt])
            elif attempt in event.living:
                self._adopt(run)
            elif attempt in event.recorded or event.rebooted:
                self._end_attempt(run, Exit(run.name, run.attempts, Outcome.LOST, event.now))
            elif run.key in self._foreign:
                continue
            elif run.job in self.book.jobs and not run.stopping:
                self.book.resend(run)
                # Its first order was counted when it was given, which may be long ago.
                self.seats.count_start(run)
            else:
                self._end_attempt(run, Exit(run.name, run.attempts, Outcome.LOST, event.now, reason="never started"))
        for name, number in sorted(event.living - known):
            self.book.note("attempt.unknown", reason=f"{name} attempt {number} is alive and in no row: stopped")
            self.book.stop(name, number, "cancel")

    def _adopt(self, run: Run) -> None:
        self.book.note("attempt.adopted", job=run.job, reason=f"{run.name} attempt {run.attempts} is alive")
        if run.stopping:
            self.book.stop(run.name, run.attempts, "cancel")

    def _attempt_began(self, event: events.AttemptBegan) -> None:
        attempt = self.book.open_attempts.get(parse_run_name(event.run))
        if attempt is not None and attempt.number == event.attempt:
            attempt = attempt._replace(pid=event.pid, started=event.started or attempt.started)
            self.book.open_attempts[(attempt.job, attempt.tick)] = attempt
            self.book.save_attempt(attempt)

    def _attempt_finished(self, event: events.AttemptFinished) -> None:
        run = self.book.ledger.get(parse_run_name(event.exit.run))
        # An end that was already taken, or of an attempt that is no longer the newest, changes nothing.
        if run is not None and run.state is RunState.RUNNING and run.attempts == event.exit.attempt:
            self._end_attempt(run, event.exit)

    def _end_attempt(self, run: Run, exit: Exit) -> None:
        attempt = self.book.open_attempts.pop(run.key, None) or Attempt(run.job, run.tick, run.attempts, exit.ended)
        self.book.save_attempt(
            attempt._replace(
                ended=exit.ended, outcome=exit.outcome, exit_code=exit.exit_code, signal=exit.signal,
                reason=reason_of(exit), log=exit.log, output_bytes=exit.output_bytes, pid=exit.pid or attempt.pid,
            )
        )  # fmt: skip
        if self.calls and exit.outcome is Outcome.TIMED_OUT:
            self.calls.given_up(run.name)
        self.book.move(run, change_after(self.book.jobs.get(run.job), run, exit, self.book.now), run.attempts)

    def _stop_requested(self, event: events.StopRequested) -> None:
        self._hold("the daemon is stopping", True)
        for run in list(self.book.ledger.all_live()):
            if run.state is RunState.RUNNING:
                self.book.stop(run.name, run.attempts, "stop")

    # ------------------------------------------------------------ helpers

    def _hold(self, why: str, held: bool) -> None:
        """Start nothing as long as there is any reason not to."""
        (self._holds.add if held else self._holds.discard)(why)
        self.seats.held = bool(self._holds)
        self.seats.held_for = ", ".join(sorted(self._holds - {_NO_CONFIG}))

    # ------------------------------------------------------------ what is asked of it

    def wake_at(self) -> datetime | None:
        """Return the next instant at which time alone changes something, None if nothing is to come."""
        ends = self.ticks.deaf_at() if self.waiting.unmatched() else None
        wakes = (self.ticks.wake_at(), self.seats.wake_at(), self.deadlines.wake_at(), self.filling.wake_at(), ends)
        return min((at for at in wakes if at is not None), default=None)

    def is_idle(self) -> bool:
        """Whether every run is terminal (`once`: every one of its own)."""
        if self._foreign:
            return not any(run.key not in self._foreign for run in self.book.ledger.all_live())
        return self.book.ledger.live_count == 0 and not self.filling

    def running(self) -> list[Run]:
        """Return the runs with an attempt under way."""
        return [run for run in self.book.ledger.all_live() if run.state is RunState.RUNNING]


_HANDLERS: dict[type[events.Event], Callable[[Plan, Any], None]] = {
    events.TimePassed: Plan._time_passed,
    events.ClockStepped: Plan._clock_stepped,
    events.ConfigApplied: Plan._config_applied,
    events.Recovered: Plan._recovered,
    events.AttemptBegan: Plan._attempt_began,
    events.AttemptFinished: Plan._attempt_finished,
    events.TriggerRequested: verbs.trigger,
    events.OnceRequested: verbs.once,
    events.EventEmitted: lambda plan, event: emit(plan.book, plan.ticks, event),
    events.RunCalled: verbs.call,
    events.CancelRequested: verbs.cancel,
    events.RerunRequested: verbs.rerun,
    events.BackfillRequested: lambda plan, event: plan.filling.ask(event),
    events.BackfillFed: lambda plan, event: plan.filling.fed(event),
    events.BackfillCancelRequested: lambda plan, event: plan.filling.cancel(event.id),
    events.PauseRequested: verbs.pause,
    events.ResumeRequested: verbs.resume,
    events.AckRequested: verbs.ack,
    events.Noted: lambda plan, event: plan.book.note(event.type, reason=event.reason, detail=event.detail),
    events.StartsHeld: lambda plan, event: plan._hold("the daemon is about to stop", event.held),
    events.StopRequested: Plan._stop_requested,
}
