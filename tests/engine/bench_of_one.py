"""A plan on a bench: declared in a few words, driven by hand, read as plain text.

`plan_of("extract", "load after extract")` makes unscheduled jobs; `job(...)` objects may stand beside the words.
Nothing here decides anything: it applies events to a real plan and keeps what the plan wanted kept and done.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from dagsched.config.rates import parse_rate
from dagsched.definition import from_json
from dagsched.engine import Plan, commands, events
from dagsched.engine.rates import Start
from dagsched.model import (
    Backfill,
    Calendar,
    Config,
    Dependency,
    Emission,
    EventRow,
    Exit,
    Job,
    Match,
    Outcome,
    Overlap,
    RateLimit,
    RetryPolicy,
    Run,
    RunState,
    Schedule,
    format_instant,
    parse_instant,
    utc,
)

START = utc(2026, 3, 2, 0, 0)  # a Monday


def job(text: str, **fields: Any) -> Job:
    """Return a job from `id [after a b:all c:same] [at <cron>] [every 5m]`; keyword arguments win."""
    head, _, schedule = text.partition(" at ")
    id, _, after = head.partition(" after ")
    made: dict[str, Any] = {"run": "true"}
    if after:
        made["depends_on"] = tuple(
            Dependency(name, Match(match or "latest"))
            for name, _, match in (word.partition(":") for word in after.split())
        )
    if schedule:
        made["schedule"] = Schedule(cron=(schedule,))
    if isinstance(fields.get("retry"), int):
        fields["retry"] = RetryPolicy(fields["retry"], delay=timedelta(seconds=10))
    if isinstance(fields.get("rate_limit"), str):
        fields["rate_limit"] = parse_rate(fields["rate_limit"])
    if "overlap" in fields:
        fields["overlap"] = Overlap(fields["overlap"])
    if fields.get("overlap") is Overlap.ALLOW and "max_active_runs" not in fields:
        fields["max_active_runs"] = None
    return Job(id.strip(), **{**made, **fields})


class Bench:
    """A plan, the time it is shown, and everything it has asked for."""

    def __init__(
        self,
        *jobs: str | Job,
        now: datetime = START,
        pools: dict[str, int] | None = None,
        rates: dict[str, RateLimit] | None = None,
        calendars: dict[str, Calendar] | None = None,
        **options: Any,
    ) -> None:
        self.now = now
        self.plan = Plan(**options)
        self.kept: dict[tuple[str, datetime], Run] = {}
        self.backfills: dict[int, Backfill] = {}
        self.log: list[EventRow] = []
        self.definitions: dict[str, Any] = {}
        self.emissions: list[Emission] = []
        self.starts: list[tuple[str, int]] = []
        self.start_commands: list[commands.StartAttempt] = []
        self.stops: list[tuple[str, int, str]] = []
        self.number = 0
        self.configure(*jobs, pools=pools, rates=rates, calendars=calendars)

    # -- what happens

    def configure(
        self,
        *jobs: str | Job,
        pools: dict[str, int] | None = None,
        rates: dict[str, RateLimit] | None = None,
        starts: tuple[Start, ...] = (),
        calendars: dict[str, Calendar] | None = None,
    ) -> None:
        """Put these jobs in force."""
        self.number += 1
        made = [item if isinstance(item, Job) else job(item) for item in jobs]
        config = Config(
            {item.id: item for item in made}, pools or {}, digest=str(self.number), pool_rates=rates or {},
            calendars=calendars or {},
        )  # fmt: skip
        self.apply(events.ConfigApplied(self.now, config, self.number, starts=starts))

    def apply(self, event: events.Event) -> None:
        """Apply one event and keep what comes of it."""
        for command in self.plan.apply(event):
            self._take(command)

    def _take(self, command: Any) -> None:
        if isinstance(command, commands.SplitRow):
            del self.kept[(command.job, command.tick)]
        elif isinstance(command, commands.SaveRun):
            self.kept[command.run.key] = command.run
        elif isinstance(command, commands.SaveBackfill):
            self.backfills[command.backfill.id] = command.backfill
        elif isinstance(command, commands.SaveDefinition):
            self.definitions[command.digest] = command.definition
        elif isinstance(command, commands.SaveEmission):
            self.emissions.append(command.emission)
        elif isinstance(command, commands.RecordEvent):
            self.log.append(command.row)
        elif isinstance(command, commands.StartAttempt):
            self.starts.append((command.run.name, command.run.attempts))
            self.start_commands.append(command)
        elif isinstance(command, commands.StopAttempt):
            self.stops.append((command.run, command.attempt, command.cause))

    def to(self, when: str | datetime | timedelta) -> None:
        """Let time pass to an instant (`"09:00"` of the same day, or after a length), waking when the plan wants to."""
        until = self._instant(when)
        while (at := self.plan.wake_at()) is not None and at <= until:
            self.now = max(at, self.now)
            self.apply(events.TimePassed(self.now))
        self.now = until
        self.apply(events.TimePassed(until))

    def sleep_to(self, when: str | datetime | timedelta) -> None:
        """Let time pass with nobody watching."""
        self.now = self._instant(when)
        self.apply(events.TimePassed(self.now))

    def _instant(self, when: str | datetime | timedelta) -> datetime:
        if isinstance(when, timedelta):
            return self.now + when
        if isinstance(when, datetime):
            return when
        if "T" in when:
            return parse_instant(when)
        hour, minute = when.split(":")[:2]
        return self.now.replace(hour=int(hour), minute=int(minute), second=0, microsecond=0)

    def finish(self, job: str, outcome: Outcome | str = Outcome.SUCCESS, **fields: Any) -> None:
        """End the oldest running attempt of `job`."""
        run = next(run for run in self.plan.running() if run.job == job)
        self.end(run.name, run.attempts, outcome, **fields)

    def fail(self, job: str, exit_code: int = 1) -> None:
        """End the oldest running attempt of `job` with a failure."""
        self.finish(job, Outcome.FAILED, exit_code=exit_code)

    def end(self, run: str, attempt: int, outcome: Outcome | str = Outcome.SUCCESS, **fields: Any) -> None:
        """End one attempt."""
        outcome = Outcome(outcome)
        if outcome is Outcome.SUCCESS:
            fields.setdefault("exit_code", 0)
        self.apply(events.AttemptFinished(self.now, Exit(run, attempt, outcome, self.now, **fields)))

    def run_to_end(self, outcomes: dict[str, str] | None = None, limit: int = 1000) -> None:
        """Finish every attempt as it starts until nothing runs; `outcomes` by job, success unless named."""
        for _ in range(limit):
            running = self.plan.running()
            if not running:
                return
            run = running[0]
            self.end(run.name, run.attempts, (outcomes or {}).get(run.job, "success"))
        raise AssertionError("it never ends")

    def trigger(self, job: str, **fields: Any) -> datetime:
        """Trigger `job` by hand and return the tick."""
        self.apply(events.TriggerRequested(self.now, job, **fields))
        newest = self.plan.book.ledger.newest_of_all(job)
        assert newest is not None
        return newest.tick

    def restart(self, *jobs: str | Job, after: timedelta = timedelta(0), living: Iterable[tuple[str, int]] = (),
                exits: Iterable[Exit] = (), recorded: Iterable[tuple[str, int]] = (), rebooted: bool = False,
                pools: dict[str, int] | None = None) -> None:  # fmt: skip
        """Throw the plan away, let time pass, and restore from what was kept."""
        old = self.plan
        book = old.book
        config = Config(
            book.jobs, book.pools, digest=str(self.number), pool_rates=book.pool_rates, calendars=book.calendars
        )
        plan = Plan(old.seats.slots_max)
        plan.restore(
            runs=list(self.kept.values()), attempts=list(old.book.open_attempts.values()),
            marks=list(old.book.marks.values()), last_event=len(self.log), last_seen=self.now,
            config=config, config_number=self.number,
            emissions=self.emissions,
            definitions={d: from_json(data) for d, data in self.definitions.items()},
            backfills=[each for each in self.backfills.values() if each.state == "active"],
            last_backfill=max(self.backfills, default=0),
        )  # fmt: skip
        self.plan = plan
        self.now += after
        self.apply(events.Recovered(self.now, frozenset(living), tuple(exits), frozenset(recorded), rebooted))
        if jobs:
            self.configure(*jobs, pools=pools)
        else:
            self.apply(events.ConfigApplied(self.now, config, self.number))

    # -- what can be seen

    def row(self, job: str, tick: str | datetime | None = None) -> Run:
        """Return the row of a job's tick, its newest without one."""
        if tick is None:
            return max((run for run in self.kept.values() if run.job == job), key=lambda run: run.tick)
        instant = self._instant(tick)
        found = next((r for r in self.kept.values() if r.job == job and r.tick <= instant <= (r.until or r.tick)), None)
        assert found is not None, f"no row of {job} at {tick}; there are {sorted(r.name for r in self.kept.values())}"
        return found

    def state(self, job: str, tick: str | datetime | None = None) -> str:
        """Return the state of a row as text."""
        return str(self.row(job, tick).state)

    def states(self) -> dict[str, str]:
        """Return the state of each job's newest row."""
        return {id: self.state(id) for id in dict.fromkeys(job for job, _ in self.kept)}

    def rows(self, job: str) -> list[str]:
        """Return a job's rows in words, oldest first: `09:00 success`, `10:00-12:00 missed (down ...)`."""
        found = sorted((run for run in self.kept.values() if run.job == job), key=lambda run: run.tick)
        return [_words(run) for run in found]

    def started(self) -> list[str]:
        """Return the jobs in the order in which attempts were started."""
        return [name.split(":")[1] for name, _ in self.starts]

    def live(self) -> list[Run]:
        """Return the live runs."""
        return [run for run in self.kept.values() if not run.state.is_terminal]

    def reasons(self, job: str) -> list[str]:
        """Return the reasons of a job's rows, oldest first."""
        return [run.reason for run in sorted(self.kept.values(), key=lambda r: r.tick) if run.job == job]


def _words(run: Run) -> str:
    def clock(tick: datetime) -> str:
        return format_instant(tick)[11:16]

    span = clock(run.tick) + (f"-{clock(run.until)}" if run.until else "")
    return f"{span} {run.state}"


def plan_of(*jobs: str | Job, **options: Any) -> Bench:
    """Return a bench with these jobs in force."""
    return Bench(*jobs, **options)


def copy_of(source: Job, **fields: Any) -> Job:
    """Return a job that differs in `fields`."""
    return source._replace(**fields)


__all__ = ["START", "Bench", "RunState", "copy_of", "job", "plan_of", "utc"]
