"""The engine's memory and its pen: what is known, and what one event changes.

Every change of a run goes through `born`, `move` or `leave_out`, so that the ledger in memory, the row to be
kept and the line of the event log can never disagree. `begin` and `finish` bracket one event; in between,
rows are gathered by key (only the last value is written) and events in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dagsched.definition import digest_of, to_json
from dagsched.engine.commands import (
    Command,
    RecordEvent,
    SaveAttempt,
    SaveBackfill,
    SaveConfig,
    SaveDefinition,
    SaveEmission,
    SaveMark,
    SaveRun,
    SplitRow,
    StartAttempt,
    StopAttempt,
)
from dagsched.engine.joins import resolve
from dagsched.engine.ledger import Key, Ledger
from dagsched.engine.lifecycle import EVENTS, Change, LeftOut, Started, step
from dagsched.graph import Graph
from dagsched.model import (
    EMISSIONS_MAX,
    EMPTY,
    Attempt,
    Backfill,
    Calendar,
    Config,
    ConfigVersion,
    Emission,
    EventRow,
    Job,
    JobMark,
    Origin,
    RateLimit,
    Run,
    RunState,
    is_schedule_tick,
)


class Edit(NamedTuple):
    """What sets two configurations apart: ids whose job is new or not the very same, and ids that are gone."""

    fresh: list[str]
    removed: list[str]


def edit_of(old: Mapping[str, Job], new: Mapping[str, Job]) -> Edit:
    """Return what leads from one configuration's jobs to another's.

    A reload hands on the jobs of the files that did not change, so most are the very same, and cost only this look.
    """
    fresh = [id for id, before, job in zip(new, map(old.get, new), new.values(), strict=True) if before is not job]
    gone = old.keys() - new.keys()
    return Edit(fresh, [id for id in old if id in gone] if gone else [])


class Book:
    """What the engine knows. Everything but `begin`, `finish` and the writers is for reading."""

    def __init__(self) -> None:
        self.jobs: Mapping[str, Job] = {}
        self.graph = Graph({})
        self.pools: Mapping[str, int] = {}
        self.pool_rates: Mapping[str, RateLimit] = {}
        self.calendars: Mapping[str, Calendar] = {}
        self.config_number = 0
        self.ledger = Ledger()
        self.marks: dict[str, JobMark] = {}
        self.open_attempts: dict[Key, Attempt] = {}
        self.emissions: dict[tuple[str, str], datetime] = {}
        self.last_event = 0
        self.last_seen: datetime | None = None
        self.now = datetime.min
        self.on_change: Callable[[Run], None] = lambda run: None
        self._digests: dict[str, str] = {}
        self._kept_digests: dict[str, str] = {}
        self._clear()

    # ------------------------------------------------------------ one event

    def begin(self, now: datetime) -> None:
        """Start gathering what an event at `now` changes."""
        self._clear()
        self.now = now

    def finish(self) -> list[Command]:
        """Return everything the event wants kept, then what it wants done."""
        self.last_seen = self.now
        kept: list[Command] = [SplitRow(*key) for key in self._splits]
        kept += [SaveDefinition(*item) for item in self._definitions]
        fresh, unsaved = self._fresh, self._unsaved
        kept += [SaveRun(run, key in fresh or key in unsaved) for key, run in self._dirty.items()]
        kept += [SaveAttempt(attempt, key in self._new_attempts) for key, attempt in self._attempts.items()]
        kept += [SaveMark(mark) for mark in self._marks.values()]
        kept += [SaveConfig(version) for version in self._configs]
        kept += [SaveBackfill(backfill) for backfill in self._backfills.values()]
        kept += [SaveEmission(emission) for emission in self._emissions]
        kept += map(RecordEvent, self._events)
        self.last_event += len(self._events)
        return kept + self._acts

    def _clear(self) -> None:
        self._dirty: dict[Key, Run] = {}
        self._events: list[EventRow] = []
        self._splits: list[Key] = []
        self._attempts: dict[tuple[str, datetime, int], Attempt] = {}
        self._new_attempts: set[tuple[str, datetime, int]] = set()
        self._marks: dict[str, JobMark] = {}
        self._configs: list[ConfigVersion] = []
        self._backfills: dict[int, Backfill] = {}
        self._emissions: list[Emission] = []
        self._definitions: list[tuple[str, Mapping[str, Any]]] = []
        self._acts: list[Command] = []
        self._fresh: set[Key] = set()
        self._unsaved: set[Key] = set()

    def _log(
        self, type: str, run: Run, reason: str = "", attempt: int | None = None, before: RunState | None = None
    ) -> None:
        """Add a line to the event log of a run as it now is; `before`: the state it was in, None for a new row."""
        number = self.last_event + len(self._events) + 1
        was = str(before) if before is not None else ""
        self._events.append(
            EventRow(number, self.now, type, run.job, run.tick, attempt, was, str(run.state), reason, EMPTY)
        )

    # ------------------------------------------------------------ rows

    def born(self, run: Run) -> Run:
        """Take a new live run."""
        self.ledger.put(run)
        self._dirty[run.key] = run
        self._fresh.add(run.key)
        self._log("run.created", run, run.reason)
        self.on_change(run)
        return run

    def move(self, run: Run, change: Change, attempt: int | None = None) -> Run:
        """Take `run` one step further and return it as it then is."""
        if isinstance(change, LeftOut) and run.key in self._fresh:
            return self._unborn(run, change)
        after = step(run, change)
        self._keep(after)
        self._log(EVENTS[type(change)], after, change.reason, attempt, run.state)
        self.on_change(after)
        return after

    def amend(self, run: Run, event: str = "", reason: str = "", **fields: Any) -> Run:
        """Change fields of a run that are no part of its life's steps; `event` names a line of the log, if any."""
        after = run._replace(**fields)
        self._keep(after)
        if event:
            self._log(event, after, reason, None, run.state)
        return after

    def leave_out(
        self,
        job: str,
        tick: datetime,
        state: RunState,
        reason: str,
        *,
        origin: Origin = Origin.SCHEDULE,
        stand_in: datetime | None = None,
        until: datetime | None = None,
        params: Mapping[str, Any] = EMPTY,
    ) -> Run:
        """Account for a tick that does not run: a new row, or more of the row before it.

        `until`: the last of several ticks in a row that are left out together, None when it is one.
        """
        before = self.ledger.row_before(job, tick)
        is_asked_for = origin is Origin.BACKFILL
        # The row before a backfilled tick need not be in memory, so that what looks like it may not be it.
        if before is not None and not is_asked_for and _extends(before, tick, state, reason, stand_in):
            row = before._replace(until=until or tick)
            self._keep(row)
            return row
        row = Run(
            job, tick, state, until, reason, origin, stand_in=stand_in,
            created=self.now, ended=self.now, attempt_limit=0, params=params,
            config=self.config_number,
        )  # fmt: skip
        self._keep(row)
        self._unsaved.add(row.key)
        self._log(f"run.{state}", row, reason)
        self.on_change(row)
        return row

    def split(self, row: Run, parts: Iterable[Run]) -> None:
        """Replace a range row by its parts, in this very commit; each new first tick gets its own event."""
        self.ledger.remove(row.key)
        self._dirty.pop(row.key, None)
        if row.key not in self._unsaved:
            self._splits.append(row.key)
        for part in parts:
            self._keep(part)
            self._unsaved.add(part.key)
            if part.tick != row.tick:
                self._log(f"run.{part.state}", part, part.reason)

    def _unborn(self, run: Run, change: LeftOut) -> Run:
        # Made and left out by one event: nobody has seen it live, so its tick may extend the row before.
        self.ledger.remove(run.key)
        self._fresh.discard(run.key)
        self._dirty.pop(run.key, None)
        others = [row for row in self._events if (row.job, row.tick) != run.key]
        self._events = [row._replace(seq=number) for number, row in enumerate(others, self.last_event + 1)]
        row = self.leave_out(
            run.job, run.tick, RunState.SKIPPED, change.reason, origin=run.origin, stand_in=change.stand_in,
            params=run.params,
        )  # fmt: skip
        if row.tick != run.tick:
            # Those who watch the tick itself must hear of it under its own key.
            self.on_change(row._replace(tick=run.tick, until=None))
        return row

    def _keep(self, run: Run) -> None:
        self.ledger.put(run)
        self._dirty[run.key] = run

    # ------------------------------------------------------------ attempts and acts

    def start(self, run: Run) -> Run:
        """Begin the next attempt of a run: its row, its number, and the order to start it."""
        job = self.jobs[run.job]
        digest_ = self.digest_of(job)
        run = self.move(run, Started(self.now, definition=digest_, config=self.config_number), run.attempts + 1)
        attempt = Attempt(run.job, run.tick, run.attempts, self.now, definition=digest_)
        self.open_attempts[run.key] = attempt
        self.save_attempt(attempt, new=True)
        self._acts.append(StartAttempt(job, run, self.outputs_for(run)))
        if run.attempts == 1 and run.origin in _BY_SCHEDULE:
            mark = self.marks[run.job]
            self.save_mark(mark._replace(started_runs=mark.started_runs + 1))
        return run

    def resend(self, run: Run) -> None:
        """Order the start of an attempt again whose first order never arrived."""
        self._acts.append(StartAttempt(self.jobs[run.job], run, self.outputs_for(run)))

    def stop(self, run_name: str, attempt: int, cause: str) -> None:
        """Order the end of an attempt."""
        self._acts.append(StopAttempt(run_name, attempt, cause))

    def save_attempt(self, attempt: Attempt, *, new: bool = False) -> None:
        """Keep an attempt as it now is."""
        key = (attempt.job, attempt.tick, attempt.number)
        self._attempts[key] = attempt
        if new:
            self._new_attempts.add(key)

    def outputs_for(self, run: Run) -> Mapping[str, Mapping[str, str]]:
        """Return the outputs of the upstream runs that `run` was joined with, by job."""
        found: dict[str, Mapping[str, str]] = {}
        for link in run.links:
            row = resolve(link, self.ledger)
            if row is not None and row.outputs:
                found[link.job] = row.outputs
        return found

    # ------------------------------------------------------------ the rest

    def save_mark(self, mark: JobMark) -> None:
        """Keep what is remembered of a job."""
        self.marks[mark.job] = mark
        self._marks[mark.job] = mark

    def save_backfill(self, backfill: Backfill) -> None:
        """Keep a backfill as it now is."""
        self._backfills[backfill.id] = backfill

    def save_emission(self, emission: Emission) -> None:
        """Remember the id of an emitted event, and forget the oldest beyond EMISSIONS_MAX."""
        self.emissions[emission.event, emission.id] = emission.tick
        self._emissions.append(emission)
        while len(self.emissions) > EMISSIONS_MAX:
            del self.emissions[next(iter(self.emissions))]

    def note(self, type: str, *, job: str = "", reason: str = "", detail: Mapping[str, Any] = EMPTY) -> None:
        """Add a line to the event log that belongs to no run."""
        number = self.last_event + len(self._events) + 1
        self._events.append(EventRow(number, self.now, type, job, reason=reason, detail=detail))

    def use(self, config: Config, number: int, edit: Edit | None = None) -> None:
        """Make `config` the one in force, without judging anything by it; `edit`: what leads to it, if known."""
        before, self.jobs = self.jobs, config.jobs
        self.pools, self.pool_rates, self.config_number = config.pools, config.pool_rates, number
        self.calendars = config.calendars
        fresh, removed = edit or edit_of(before, config.jobs)
        for id in fresh:
            self._digests.pop(id, None)
        for id in removed:
            self._digests.pop(id, None)
            self._kept_digests.pop(id, None)
        edges = any(id not in before or before[id].depends_on != config.jobs[id].depends_on for id in fresh)
        if edges or list(before) != list(config.jobs):
            self.graph = Graph(config.jobs)

    def save_config(self, version: ConfigVersion) -> None:
        """Keep the configuration that came into force."""
        self._configs.append(version)

    def digest_of(self, job: Job) -> str:
        """Return the job's hash, and see to it that the definition is kept."""
        found = self._digests.get(job.id)
        if found is None:
            definition = to_json(job)
            found = self._digests[job.id] = digest_of(definition)
            # An edit that leaves a job as it was makes it anew all the same, with the hash it had.
            if found != self._kept_digests.get(job.id):
                self._kept_digests[job.id] = found
                self._definitions.append((found, definition))
        return found


_BY_SCHEDULE = frozenset({Origin.SCHEDULE, Origin.CATCHUP, Origin.EVENT})


def _extends(before: Run, tick: datetime, state: RunState, reason: str, stand_in: datetime | None) -> bool:
    return (
        before.state is state
        and before.reason == reason
        and before.stand_in == stand_in
        and before.tick < tick
        and before.attempt_limit == 0  # a row that never was a run
        and before.origin is not Origin.BACKFILL
        and is_schedule_tick(before.tick)
        and is_schedule_tick(tick)
    )
