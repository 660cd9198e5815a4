"""The real engine on a clock that is moved by hand, with attempts that end as somebody says: a daemon without a world.

What `plan`, `simulate` and users' tests look ahead with. Nothing is decided here: events go to a real `Plan`, its rows
are kept as a store would keep them, and an attempt that it starts ends after the length and with the outcome that
`behave` gives for it. A workflow whose step is another job has that job run, and ends with it. There is no clock, no
store and no process; the same configuration, start and `behave` give the same rows, for ever.

At one instant things happen in one order: attempts that end then, in the order in which they were started; then delays
that end and ticks that are due. So a run that ends at 02:00:00 has freed its seat and its slots for the tick of 02:00.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush
from typing import Any, Literal, NamedTuple

from dagsched.engine import Plan, commands, events
from dagsched.engine.commands import Command
from dagsched.engine.ledger import Key
from dagsched.engine.rates import Start
from dagsched.model import (
    EMPTY,
    Attempt,
    Config,
    Emission,
    EventRow,
    Exit,
    Job,
    JobMark,
    Match,
    Outcome,
    Run,
    cut_to_ms,
    is_schedule_tick,
    parse_run_name,
)
from dagsched.virtual_steps import Steps

MILLISECOND = timedelta(milliseconds=1)
NOTHING = timedelta(0)


class End(NamedTuple):
    """How an attempt goes: it ends `duration` after its start; `exit_code` None is 0 for a success and else 1."""

    duration: timedelta = NOTHING
    outcome: Outcome = Outcome.SUCCESS
    outputs: Mapping[str, str] = EMPTY
    exit_code: int | None = None
    reason: str = ""


Behave = Callable[[Job, Run, int], End]


def succeeds_at_once(job: Job, run: Run, attempt: int) -> End:
    """Return the end of an attempt that takes no time and succeeds."""
    return End()


class _Coming(NamedTuple):
    """An end that is to come; `order` counts starts."""

    at: datetime
    order: int
    exit: Exit


class Virtual:
    """A daemon of straw around one plan, with `config` in force from `start` (aware UTC) on.

    `behave(job, run, attempt)` is asked once when an attempt starts. The rest is what a store holds, nothing for a
    first start: `in_force` is the configuration that was in force until then, as version `config_number`, `definitions`
    the jobs by hash as the open `attempts` were started with. Open attempts go on: each takes as long as `behave` says,
    counted from when it started. With `keeps_events` False no events are kept, which saves memory.

    `plan` is to be looked at, not to be applied to: `apply` keeps what comes of an event.
    """

    def __init__(
        self,
        config: Config,
        start: datetime,
        *,
        behave: Behave = succeeds_at_once,
        slots_max: int | None = None,
        runs: Iterable[Run] = (),
        attempts: Iterable[Attempt] = (),
        marks: Iterable[JobMark] = (),
        last_event: int = 0,
        last_seen: datetime | None = None,
        in_force: Config | None = None,
        config_number: int = 0,
        definitions: Mapping[str, Job] = EMPTY,
        keeps_events: bool = True,
    ) -> None:
        plan = Plan(slots_max)
        plan.restore(
            runs=runs, attempts=attempts, marks=marks, last_event=last_event, last_seen=last_seen, config=in_force,
            config_number=config_number, definitions=definitions,
        )  # fmt: skip
        self._take_up(plan, config, start, behave, keeps_events)

    @classmethod
    def resumed(
        cls, plan: Plan, config: Config, start: datetime, *, behave: Behave = succeeds_at_once,
        keeps_events: bool = True,
    ) -> Virtual:  # fmt: skip
        """Return a virtual daemon that goes on from a plan as it was restored from a store; nothing was applied to it.

        The plan is its own from then on. `config` comes into force at `start`, as a new version if it says anything
        else than the plan's.
        """
        self = cls.__new__(cls)
        self._take_up(plan, config, start, behave, keeps_events)
        return self

    def _take_up(self, plan: Plan, config: Config, start: datetime, behave: Behave, keeps_events: bool) -> None:
        self.plan, self.config, self.now, self.behave = plan, config, cut_to_ms(start), behave
        self.events: list[EventRow] = []
        self._keeps_events = keeps_events
        self._rows: dict[str, dict[datetime, Run]] = {}
        self._attempts: dict[Key, dict[int, Attempt]] = {}
        self._definitions: dict[str, Job] = {}
        self._coming: list[_Coming] = []
        self._steps = Steps(self)
        self._started = 0
        # What looks on: it is called with the commands of each event, after they were taken.
        self.on_commands: Callable[[Sequence[Command]], None] | None = None
        for job in plan.book.jobs:
            for run in plan.book.ledger.between(job, None, datetime.max.replace(tzinfo=start.tzinfo)):
                self._rows.setdefault(job, {})[run.tick] = run
        for run in plan.book.ledger.all_live():
            self._rows.setdefault(run.job, {})[run.tick] = run
        for key, attempt in plan.book.open_attempts.items():
            self._attempts[key] = {attempt.number: attempt}
        running = plan.running()
        for run in running:
            self._expect(plan.book.jobs.get(run.job) or Job(run.job), run, run.started or self.now)
        living = frozenset((run.name, run.attempts) for run in running)
        self.give(events.Recovered(self.now, living, (), frozenset()))
        self._use(config)

    # ------------------------------------------------------------ time

    def next_at(self) -> datetime | None:
        """Return the next instant at which anything happens by itself, None if nothing is to come."""
        wake = self.plan.wake_at()
        end = self._coming[0].at if self._coming else None
        return min((at for at in (wake, end) if at is not None), default=None)

    def advance(self) -> datetime | None:
        """Go to the next instant at which something happens, let it happen, and return it; None if nothing comes."""
        at = self.next_at()
        if at is None:
            return None
        self.now = max(self.now, at)
        self._let_happen()
        return self.now

    def run_until(self, until: datetime) -> None:
        """Let everything happen that happens up to `until`, that instant included, and be there."""
        while self._step(until):
            pass
        self.now = max(self.now, cut_to_ms(until))

    def run_to_rest(self, until: datetime) -> bool:
        """Go on until every run is over, or to `until`; return whether every run is."""
        while not self.plan.is_idle():
            at = self.next_at()
            if at is None or at > until:
                break
            self.advance()
        return self.plan.is_idle()

    def _let_happen(self) -> None:
        """Let everything happen that is due now, until nothing is left."""
        while self._step(self.now):
            pass

    def _step(self, until: datetime) -> bool:
        """Let the next thing happen that is due by `until`, and be there; False if there is none.

        Of what is due at one instant, ends come first, then delays and ticks.
        """
        wake = self.plan.wake_at()
        if self._coming:
            at = max(self._coming[0].at, self.now)
            if at <= until and (wake is None or at <= wake or wake <= self.now == at):
                self.now = at
                self.give(events.AttemptFinished(at, heappop(self._coming).exit))
                return True
        if wake is None or wake > until:
            return False
        self.now = max(wake, self.now)
        self.give(events.TimePassed(self.now))
        return True

    # ------------------------------------------------------------ what happens to it

    def apply(self, event: events.Event) -> Sequence[Command]:
        """Have the plan take an event at `self.now`, let happen what follows at once, and return what the event wanted.

        Raises Refused, before anything is changed, as the plan does.
        """
        found = self.give(event)
        self._let_happen()
        return found

    def apply_config(self, config: Config) -> None:
        """Put another configuration in force now, as a reload does."""
        self._use(config)

    def trigger(
        self, job: str, params: Mapping[str, Any] = EMPTY, *, with_upstream: bool = False, only: bool = False
    ) -> Run:
        """Have a person ask for a run of `job` now, and return it; raises Refused or Unknown."""
        before = set(self._rows.get(job, ()))
        self.apply(events.TriggerRequested(self.now, job, params, with_upstream, only))
        tick = max(tick for tick in self._rows[job] if tick not in before)
        return self._rows[job][tick]

    def listeners(self, event: str) -> list[str]:
        """Return the jobs for which an event makes a tick now."""
        return self.plan.ticks.listeners(event)

    def emit(
        self,
        event: str,
        data: Mapping[str, Any] = EMPTY,
        *,
        id: str = "",
        params: Mapping[str, Mapping[str, Any]] = EMPTY,
    ) -> list[Run]:
        """Have an event happen now, and return the runs of the jobs that listen; `params`: by job, checked."""
        listeners = self.listeners(event)
        before = {job: set(self._rows.get(job, ())) for job in listeners}
        self.apply(events.EventEmitted(self.now, event, data, id, params))
        new = [(job, tick) for job in listeners for tick in self._rows.get(job, ()) if tick not in before[job]]
        return [self._rows[job][tick] for job, tick in new]

    def pause(self, job: str) -> None:
        """Have a person pause `job` now; raises Unknown."""
        self.apply(events.PauseRequested(self.now, job))

    def resume(self, job: str) -> None:
        """Have a person end the pause of `job` now; raises Unknown."""
        self.apply(events.ResumeRequested(self.now, job))

    def cancel(self, run: str) -> None:
        """Have a person cancel a run, by its name; raises Refused or Unknown."""
        self.apply(events.CancelRequested(self.now, run))

    def rerun(self, run: str, *, downstream: bool = False) -> None:
        """Have a person ask for a run again that is over, by its name; raises Refused or Unknown."""
        self.apply(events.RerunRequested(self.now, run, downstream, tuple(self.rows())))

    def ack(self, run: str) -> None:
        """Have a person acknowledge a failed run, by its name; raises Refused or Unknown."""
        self.apply(events.AckRequested(self.now, run, tuple(self.rows(parse_run_name(run)[0]))))

    def step_clock(self, by: timedelta) -> None:
        """Have somebody set the wall clock forward, or with a negative `by` back; attempts take as long as before."""
        self.now = cut_to_ms(self.now + by)
        self._coming = [
            coming._replace(at=coming.at + by, exit=coming.exit._replace(ended=coming.exit.ended + by))
            for coming in self._coming
        ]
        heapify(self._coming)
        self.apply(events.ClockStepped(self.now, by))

    def down(self, until: datetime, *, config: Config | None = None, rebooted: bool = False) -> None:
        """Have the daemon be away from now until `until`; `config`: what the job files say when it is back.

        Attempts go on meanwhile and their ends are taken at the start, unless the machine was `rebooted`: then all of
        them are lost.
        """
        book = self.plan.book
        plan = Plan(self.plan.seats.slots_max)
        plan.restore(
            runs=self.rows(), attempts=list(book.open_attempts.values()), marks=list(book.marks.values()),
            last_event=book.last_event, last_seen=self.now, config=self.config, config_number=book.config_number,
            definitions=self._definitions, starts=self._starts_for(until, self.config, config or self.config),
            emissions=[Emission(event, id, tick) for (event, id), tick in book.emissions.items()],
        )  # fmt: skip
        ended = [] if rebooted else sorted(coming for coming in self._coming if coming.at <= until)
        self._coming = [] if rebooted else [coming for coming in self._coming if coming.at > until]
        heapify(self._coming)
        self.plan, self.now = plan, cut_to_ms(until)
        if rebooted:
            self._steps = Steps(self)
        under_way = ((coming.exit.run, coming.exit.attempt) for coming in self._coming)
        living = frozenset({*under_way, *self._steps.callers()})
        exits = tuple(coming.exit for coming in ended)
        self.give(events.Recovered(self.now, living, exits, frozenset(), rebooted))
        self._use(config or self.config)

    def _use(self, config: Config) -> None:
        book = self.plan.book
        is_known = book.config_number > 0 and (book.jobs, book.pools, book.pool_rates, book.calendars) == (
            config.jobs, config.pools, config.pool_rates, config.calendars
        )  # fmt: skip
        number = book.config_number if is_known else book.config_number + 1
        rows, starts = tuple(self._rows_for(config)), tuple(self._starts_for(self.now, config))
        self.config = config
        self.apply(events.ConfigApplied(self.now, config, number, rows, starts))

    def _rows_for(self, config: Config) -> Iterator[Run]:
        """Yield the rows of the upstreams of edges that `config` adds, which may have left the plan's memory."""
        old = self.plan.book.jobs
        for job in config.jobs.values():
            known = old.get(job.id)
            for edge in job.depends_on:
                if known is not None and edge in known.depends_on:
                    continue
                if edge.match is Match.ALL:
                    yield from self._rows.get(edge.job, {}).values()
                    continue
                for run in self.plan.book.ledger.live(job.id):
                    row = self.row(edge.job, run.tick) or self._newest(edge.job, run.tick)
                    yield from () if row is None else (row,)

    def _starts_for(self, now: datetime, *configs: Config) -> Iterator[Start]:
        """Yield the starts that rate limits of these configurations still count at `now`."""
        limits = [job.rate_limit for config in configs for job in config.jobs.values() if job.rate_limit is not None]
        limits += [limit for config in configs for limit in config.pool_rates.values()]
        if not limits:
            return
        jobs = {id for config in configs for id, job in config.jobs.items() if job.rate_limit is not None}
        pools = {name for config in configs for name in config.pool_rates}
        since = now - max(limit.per for limit in limits)
        for attempt in (each for tries in self._attempts.values() for each in tries.values() if each.started > since):
            # A pool counts what took a slot of it then, wherever the job is now.
            then = self._definitions.get(attempt.definition)
            pool = then.pool if then is not None else None
            yield Start(attempt.job if attempt.job in jobs else "", pool if pool in pools else "", attempt.started)

    def _newest(self, job: str, until: datetime) -> Run | None:
        return max((row for row in self._rows.get(job, {}).values() if row.tick <= until), default=None, key=_by_tick)

    # ------------------------------------------------------------ what it keeps

    def row(self, job: str, tick: datetime) -> Run | None:
        """Return what became of this tick: its row, or the range row that it lies in; None without one."""
        rows = self._rows.get(job, {})
        if tick in rows or not is_schedule_tick(tick):
            return rows.get(tick)
        return next((row for row in rows.values() if row.until and row.tick <= tick <= row.until), None)

    def rows(self, job: str | None = None) -> list[Run]:
        """Return all rows of a job, of every job without one, in order of tick, then job."""
        wanted = self._rows.values() if job is None else [self._rows.get(job, {})]
        return sorted((row for rows in wanted for row in rows.values()), key=_by_tick)

    def attempts(self, job: str, tick: datetime) -> list[Attempt]:
        """Return the attempts of a run in order of their number."""
        found = self._attempts.get((job, tick), {})
        return [found[number] for number in sorted(found)]

    # ------------------------------------------------------------ commands

    def give(self, event: events.Event) -> Sequence[Command]:
        """Have the plan take an event, and keep what comes of it; what follows at once is still to happen."""
        found = self.plan.apply(event)
        for command in found:
            take = _TAKERS.get(type(command))
            if take is not None:
                take(self, command)
        if self.on_commands is not None:
            self.on_commands(found)
        self._steps.make()
        return found

    def _take_run(self, command: commands.SaveRun) -> None:
        run = command.run
        rows = self._rows.get(run.job)
        if rows is None:
            rows = self._rows[run.job] = {}
        rows[run.tick] = run
        if self._steps.waiting and run.state.is_terminal:
            self._steps.ended(run)

    def _take_split(self, command: commands.SplitRow) -> None:
        # Its parts are saved by the same event, and a row under the same tick is one of them.
        self._rows[command.job].pop(command.tick, None)

    def _take_attempt(self, command: commands.SaveAttempt) -> None:
        attempt = command.attempt
        self._attempts.setdefault((attempt.job, attempt.tick), {})[attempt.number] = attempt

    def _take_event(self, command: commands.RecordEvent) -> None:
        if self._keeps_events:
            self.events.append(command.row)

    def _take_start(self, command: commands.StartAttempt) -> None:
        self._definitions[command.run.definition] = command.job
        self._expect(command.job, command.run, self.now)

    def _expect(self, job: Job, run: Run, started: datetime) -> None:
        """Ask how an attempt goes, and keep when and how it ends."""
        end = self.behave(job, run, run.attempts)
        if end.outcome is Outcome.SUCCESS and job.handler == "workflow" and "job" in job.with_:
            self._steps.asked(job, run, started)
            if job.timeout is None:
                return
            # It may take no longer than that; its end comes in the place of this one.
            end = End(job.timeout + MILLISECOND)
        length, outcome = max(NOTHING, end.duration), end.outcome
        if job.timeout is not None and length > job.timeout:
            length, outcome = job.timeout, Outcome.TIMED_OUT
        at = cut_to_ms(started + length)
        if outcome is Outcome.SUCCESS:
            exit = Exit(run.name, run.attempts, outcome, at, started, exit_code=0, outputs=end.outputs)
        else:
            code = end.exit_code if end.exit_code is not None else 1 if outcome is Outcome.FAILED else None
            exit = Exit(run.name, run.attempts, outcome, at, started, exit_code=code, reason=end.reason)
            if outcome is Outcome.TIMED_OUT:
                exit = exit._replace(cause="timeout", reason=end.reason or "ran longer than its timeout")
        self._started += 1
        heappush(self._coming, _Coming(max(at, self.now), self._started, exit._replace(ended=max(at, self.now))))

    def _take_stop(self, command: commands.StopAttempt) -> None:
        """End an attempt now instead of when it would have ended by itself; one that is over stays as it is."""
        for number, coming in enumerate(self._coming):
            exit = coming.exit
            if (exit.run, exit.attempt) == (command.run, command.attempt):
                if coming.at > self.now:
                    self.end_now(_stopped(exit.run, exit.attempt, exit.started, command, self.now), number)
                return
        started = self._steps.stopped(command.run, command.attempt)
        if started is not None:
            self.end_now(_stopped(command.run, command.attempt, started, command, self.now))

    def end_now(self, exit: Exit, number: int | None = None) -> None:
        """Have an attempt end now, in the place of the end at `number` of those to come, if it has one."""
        if number is not None:
            del self._coming[number]
            heapify(self._coming)
        self._started += 1
        heappush(self._coming, _Coming(self.now, self._started, exit))

    def end_of(self, run: str, attempt: int) -> int | None:
        """Return where the end of an attempt stands among those to come, None if it has none."""
        found = (number for number, each in enumerate(self._coming) if each.exit[:2] == (run, attempt))
        return next(found, None)

    def is_over(self, number: int) -> bool:
        """Whether the end at `number` of those to come has come."""
        return self._coming[number].at <= self.now


def _stopped(run: str, attempt: int, started: datetime | None, command: commands.StopAttempt, now: datetime) -> Exit:
    return Exit(run, attempt, Outcome.CANCELLED, now, started, cause=_cause(command))


def _cause(command: commands.StopAttempt) -> Literal["cancel", "stop"]:
    return "stop" if command.cause == "stop" else "cancel"


def _by_tick(row: Run) -> tuple[datetime, str]:
    return (row.tick, row.job)


_TAKERS: Mapping[type[Any], Callable[[Virtual, Any], None]] = {
    commands.SaveRun: Virtual._take_run,
    commands.SplitRow: Virtual._take_split,
    commands.SaveAttempt: Virtual._take_attempt,
    commands.RecordEvent: Virtual._take_event,
    commands.StartAttempt: Virtual._take_start,
    commands.StopAttempt: Virtual._take_stop,
}
