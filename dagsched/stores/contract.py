"""What a store promises: everything that must survive a crash, behind few calls.

One daemon writes (`acquire` gives it an epoch, and each commit carries it); any number of readers read.
A `Batch` is applied as a whole and durably, or not at all. Readers see committed state only.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from dagsched.model import Attempt, Backfill, ConfigVersion, Emission, EventRow, JobMark, Kept, Request, Run, RunState
from dagsched.stores.fleet import Fleet, Handed, Waiting, WorkerRow

ANSWERS_KEPT = timedelta(days=7)


class Dispatch(NamedTuple):
    """A new attempt for a worker of `queue` that has all `labels`.

    `turn`: whom workers serve first, the earliest. `env`: what the job's own `env` came to.
    """

    job: str
    tick: datetime
    number: int
    queue: str
    labels: Sequence[str]
    turn: datetime
    env: Mapping[str, str]


@dataclass(slots=True)
class Batch:
    """What one commit writes, in the order of the fields.

    `runs` are upserts by (job, tick): the newest value of a run wins. `split` names range rows (job, tick)
    that are deleted in this commit because `runs` replaces them by their parts; one that is not there is
    `IntegrityBroken`. `attempts` are upserts by (job, tick, number), except those in `new_attempts`, which
    must not exist yet: a second insert of one is `IntegrityBroken`. `events` must continue the stored
    sequence without a gap, else `IntegrityBroken`. `definitions`: hash → JSON-able job, kept once.
    `config`: its number must be new, else `IntegrityBroken`. `backfills` are upserts by id. `done_requests`: ids
    to remove from the inbox; one that is gone already is no error. `emissions`: put behind those stored, of which the
    newest EMISSIONS_MAX stay. `answers`: upserts by key; those older than ANSWERS_KEPT before the newest of them are
    forgotten in the same commit. `dispatches`: new attempts that workers are to do; `settled`: those of them, as (job,
    tick, number), whose end is among `attempts`; `hidden`: variables that workers keep from attempts, but for those
    whose secrets they are. These three only where the store has a `fleet`.
    """

    split: list[tuple[str, datetime]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    new_attempts: list[Attempt] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    marks: list[JobMark] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    definitions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    config: ConfigVersion | None = None
    backfills: list[Backfill] = field(default_factory=list)
    done_requests: list[int] = field(default_factory=list)
    answers: list[Kept] = field(default_factory=list)
    emissions: list[Emission] = field(default_factory=list)
    dispatches: list[Dispatch] = field(default_factory=list)
    settled: list[tuple[str, datetime, int]] = field(default_factory=list)
    hidden: Sequence[str] | None = None

    def count(self) -> int:
        """Return how many rows it writes; the few that are rare, and small, are left out."""
        return len(self.split) + len(self.runs) + len(self.new_attempts) + len(self.attempts) + len(self.events)

    def __bool__(self) -> bool:
        return bool(
            self.split or self.runs or self.new_attempts or self.attempts or self.marks or self.events
            or self.definitions or self.config or self.backfills or self.done_requests or self.emissions or self.answers
            or self.dispatches or self.settled or self.hidden is not None
        )  # fmt: skip


class Snapshot(NamedTuple):
    """What the engine starts from.

    `runs`: every live run, each job's newest row, the rows whose last tick lies after the `horizon` given
    for their job, each row that a live one is linked to, and the run that stands in for any of these; in
    order of tick, then job. `attempts`: the open attempts (not ended) of those runs. `last_event`: number
    of the newest event ever, 0 if none; `last_seen`: its time. `requests`: the inbox, oldest first.
    `backfills`: those that are active, oldest first; `last_backfill`: number of the newest ever, 0 if none.
    `emissions`: oldest first.
    """

    runs: Sequence[Run]
    attempts: Sequence[Attempt]
    marks: Sequence[JobMark]
    last_event: int
    last_seen: datetime | None
    config: ConfigVersion | None
    requests: Sequence[Request]
    backfills: Sequence[Backfill] = ()
    last_backfill: int = 0
    emissions: Sequence[Emission] = ()


class Bound(NamedTuple):
    """How far retention goes in a job: rows whose last tick, and whose end, lie before `before`.

    `runs`: instead, rows older than that many newest ones (by tick), whose last tick lies before `before`.
    """

    job: str
    before: datetime
    runs: int | None = None


class Gone(NamedTuple):
    """A row that retention has deleted, and the paths of its attempts' logs, below the state directory."""

    job: str
    tick: datetime
    logs: Sequence[str]


class Term(NamedTuple):
    """Until when a lease lets its holder act, in seconds of CLOCK_BOOTTIME.

    `starts_until`: nothing is started after that. `attempts_until`: what runs is ended then.
    """

    starts_until: float
    attempts_until: float


class Scheduler(NamedTuple):
    """One that writes (`is_active`) or stands by. `holder`: its own words (process id, host, since when).

    `remark`: what else is to be known of it, such as that its job files are not those in force; mostly "".
    """

    holder: str
    is_active: bool
    remark: str = ""

    @property
    def words(self) -> str:
        """Both, in one line."""
        return f"{self.holder}: {self.remark}" if self.remark else self.holder


class Store(Protocol):
    """The contract every store keeps; `tests/stores/` is its text in executable form."""

    async def open(self, *, write: bool) -> None:
        """Open the state, making or migrating it when `write`; raises StoreError (never re-creates it).

        Without `write` nothing is made or migrated, and StoreMissing is raised when there is nothing.
        """
        ...

    async def close(self) -> None:
        """Release everything; may be called twice."""
        ...

    async def acquire(self, holder: str) -> int:
        """Become the one writer and return the new epoch; earlier epochs are fenced out from here on.

        `holder` is one line of text that another daemon is shown. Raises StoreHeld, naming the holder, while
        another one lives; `close` and the end of the process let go.
        """
        ...

    def hear_terms(self, heard: Callable[[Term], None]) -> None:
        """Have `heard` called with each term of the lease, from `acquire` on; never where no other one can write."""
        ...

    def remark(self, words: str) -> None:
        """Have `schedulers` say this, too, of whoever acquires or tries to; "" for nothing."""
        ...

    async def schedulers(self) -> Sequence[Scheduler]:
        """Return who was heard of in the last seconds, the active one first; empty where there can be one only."""
        ...

    async def inbox(self) -> Sequence[Request]:
        """Return the commands that other machines left while somebody is active, oldest first.

        Empty where there can be one machine only: whoever leaves a command there has found nobody active.
        """
        ...

    @property
    def fleet(self) -> Fleet | None:
        """What a scheduler does with attempts that other places have; None where there are no others."""
        ...

    async def workers(self) -> Sequence[WorkerRow]:
        """Return the workers that were heard of in the last day, by name; empty where there can be none."""
        ...

    async def waiting(self) -> Sequence[Waiting]:
        """Return what waits for a worker, by queue and labels."""
        ...

    async def handed(self, attempt: Attempt) -> Handed | None:
        """Return who has an open attempt that is for workers; None for every other one."""
        ...

    async def output(self, attempt: Attempt, after: int, at_most: int) -> bytes:
        """Return the next bytes, at most so many, that a worker's attempt wrote after an offset.

        Nothing when no more have come here, or when no worker did it: then they are where it ran.
        """
        ...

    async def output_size(self, attempt: Attempt) -> int:
        """Return how many bytes of what a worker's attempt wrote have come here."""
        ...

    async def commit(self, batch: Batch) -> None:
        """Write all of `batch` durably, or nothing; raises StoreUnavailable, FencedOut, IntegrityBroken."""
        ...

    async def snapshot(self, horizons: Mapping[str, datetime]) -> Snapshot:
        """Return what the engine starts from; `horizons`: job → instant after which all rows are wanted."""
        ...

    async def run(self, job: str, tick: datetime) -> Run | None:
        """Return the row that covers this tick: the run itself, or the range row it lies in.

        Range rows of one job must not overlap each other; runs of single ticks may lie inside one.
        """
        ...

    async def runs(self, ticks: Collection[tuple[str, datetime]]) -> Mapping[tuple[str, datetime], Run]:
        """Return what `run` returns for each of these (job, tick), those without left out; one question for all."""
        ...

    async def rows(
        self,
        job: str | None = None,
        *,
        after: datetime | None = None,
        until: datetime | None = None,
        states: Sequence[RunState] = (),
        newest_first: bool = True,
        limit: int | None = None,
    ) -> Sequence[Run]:
        """Return rows by tick in (after, until], of one job or of all; a range row counts by its last tick.

        Sorted by (last tick, job, first tick), descending in all three when `newest_first`.
        """
        ...

    async def newest(
        self, jobs: Sequence[str], each: int, *, after: datetime | None = None, until: datetime | None = None
    ) -> Mapping[str, Sequence[Run]]:
        """Return up to `each` rows of each of these jobs with a first tick in (after, until], newest first.

        Jobs without such rows are left out. Rows are as lists show them: without links, parameters, outputs and
        definition. One question however many jobs: what it costs hangs on the rows it returns and not on how long
        history is.
        """
        ...

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        """Return the attempts of one run in order of their number, each with its place where several could have it."""
        ...

    async def started_since(self, since: datetime) -> Sequence[Attempt]:
        """Return the attempts that started at or after `since`, in order of (start, job, tick, number).

        Looks back from the newest one, so what it costs hangs on how many there are and not on how long history is.
        Where clocks were set by much, starts from before that may be left out.
        """
        ...

    async def events(self, *, since: int = 0, job: str | None = None, limit: int | None = None) -> Sequence[EventRow]:
        """Return events with a number > `since`, oldest first."""
        ...

    async def newest_events(
        self, *, after: int, before: int, limit: int, job: str | None = None, kind: str = ""
    ) -> Sequence[EventRow]:
        """Return events with after < number < before, newest first, whose type begins with `kind`.

        Without `job` each event between is looked at until there are `limit`; `after` bounds what that may cost.
        """
        ...

    async def marks(self) -> Mapping[str, JobMark]:
        """Return what is remembered of each job."""
        ...

    async def backfills(self, *, limit: int | None = None) -> Sequence[Backfill]:
        """Return backfills, newest first."""
        ...

    async def configs(self, *, limit: int | None = None, at: datetime | None = None) -> Sequence[ConfigVersion]:
        """Return configurations newest first; with `at`, only those applied at or before it."""
        ...

    async def definition(self, digest: str) -> Mapping[str, Any] | None:
        """Return the stored job of that hash."""
        ...

    async def answer(self, key: str) -> Kept | None:
        """Return the answer kept under this key."""
        ...

    async def counts(self) -> Mapping[str, Mapping[str, int]]:
        """Return for each job that has rows how many there are in each state that occurs."""
        ...

    async def last_ends(self) -> Mapping[str, Mapping[str, datetime]]:
        """Return for each job and state of which a run ever ended when the newest did, also of deleted ones."""
        ...

    async def statistics(
        self, job: str | None = None, *, since: datetime | None = None, by: str = ""
    ) -> Sequence[Mapping[str, Any]]:
        """Return one mapping per job that has rows with a last tick at or after `since`, in order of id.

        Keys: `job`, `total` (rows), one per state (`success`, `failed`, …), `success_rate` (of the runs that
        ended `success` or `failed`, None if none), `duration_mean_s`, `duration_p50_s`, `duration_p95_s` (of
        each run's newest attempt, if it ended), `lateness_mean_s`, `lateness_p95_s` (first start less tick,
        of runs that a schedule, a catch-up or an upstream made), `last_success`, `last_failure` (instants).
        Durations and lateness are those of the job's newest 50 runs with an attempt (and a tick from `since` on).
        Without `since`, `last_success` and `last_failure` are the newest ends ever committed, of runs since pruned or
        re-opened too.

        With `by` (`day`, `week`, `month`; UTC, weeks from Monday) one mapping per job and period instead, of rows that
        are over, deleted ones included, whose last tick lies in the day of `since` or a later one. Keys: `job`, `day`
        (or `week`, `month`: its first instant), `total`, one per terminal state, `success_rate`, `duration_mean_s`,
        `duration_p50_s`, `duration_p95_s` (at most a tenth off), `duration_max_s`, `lateness_mean_s`,
        `lateness_p95_s`. Days before the last `rollup` are as that saw them.
        """
        ...

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        """Leave a changing command for the next daemon and return its number; needs no epoch nor `write`.

        Raises StoreMissing when there is no state to leave it in.
        """
        ...

    async def prune(
        self,
        *,
        before: datetime,
        keep: frozenset[tuple[str, datetime]],
        bounds: Sequence[Bound] | None = None,
        events_before: datetime | None = None,
        dry_run: bool = False,
        dropped: Callable[[Sequence[Gone]], None] | None = None,
    ) -> int:
        """Delete terminal rows that ended before `before`, with attempts and events; return how many rows.

        Kept whatever their age: each job's newest row, live runs, rows a live run is linked to, rows in
        `keep`, and what stands in for any of these. A row whose last tick is not before `before` stays, and
        so do events at or after it. Only the one who acquired may prune; raises FencedOut otherwise.

        `bounds`: of these jobs alone, each up to its own; `before` is for the events then. `events_before`, not after
        `before`: events of no run (starts, edits, requests over HTTP) go when they are older. `dropped` is told, a
        part at a time, what is gone. Figures of what is deleted are added to those by day (`statistics` with `by`) in
        the very transaction that deletes it. `dry_run`: only count.
        """
        ...

    async def rollup(self, *, before: datetime) -> int:
        """Work out the figures by day of all rows with a last tick before `before`; return of how many days.

        The same again changes nothing. Only the one who acquired may; raises FencedOut otherwise.
        """
        ...

    async def compact(self) -> tuple[int, int]:
        """Give unused space back to the disk, a little at a time; return the bytes in use before and after."""
        ...

    async def check(self) -> Sequence[str]:
        """Return what is wrong with the stored state, one sentence each; empty when all is well."""
        ...
