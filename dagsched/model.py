"""The frozen values everything speaks of: jobs, runs, attempts, events.

What a job file declares stands in `declaration.py`. A *run* is one job for one tick and there is at most one; an
*attempt* is one try of a run, counted from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple

from dagsched.declaration import (
    EMPTY,
    Backoff,
    Calendar,
    Catchup,
    Config,
    Dependency,
    Job,
    Keep,
    Match,
    NotifyRule,
    OnCrash,
    OutputRef,
    Overlap,
    Param,
    Position,
    RateLimit,
    RetryPolicy,
    Schedule,
    TriggerRule,
    Window,
    cut_to_ms,
    format_instant,
    format_length,
    format_step,
    is_schedule_tick,
    parse_instant,
    utc,
)

__all__ = [
    "ACTIVE",
    "AWAITED",
    "BAD",
    "CALLED",
    "CALLER",
    "EMISSIONS_MAX",
    "EMPTY",
    "EVENT",
    "EVENT_DATA",
    "LEFT_OUT",
    "LIVE",
    "OK",
    "Again",
    "Attempt",
    "Backfill",
    "BackfillState",
    "Backoff",
    "Calendar",
    "Catchup",
    "Config",
    "ConfigVersion",
    "Dependency",
    "Emission",
    "EventRow",
    "Exit",
    "Job",
    "JobMark",
    "Keep",
    "Kept",
    "Link",
    "Match",
    "NotifyRule",
    "OnCrash",
    "Origin",
    "Outcome",
    "OutputRef",
    "Overlap",
    "Param",
    "Position",
    "RateLimit",
    "Request",
    "RetryPolicy",
    "Run",
    "RunState",
    "Schedule",
    "TriggerRule",
    "Window",
    "cut_to_ms",
    "format_instant",
    "format_length",
    "format_step",
    "is_schedule_tick",
    "parse_instant",
    "parse_run_name",
    "run_name",
    "utc",
]


class RunState(StrEnum):
    """Where a run stands; `engine/lifecycle.py` holds the transitions."""

    WAITING = "waiting"
    QUEUED = "queued"
    RUNNING = "running"
    RETRYING = "retrying"
    SUCCESS = "success"
    FAILED = "failed"
    SKIPPED = "skipped"
    UPSTREAM_FAILED = "upstream_failed"
    MISSED = "missed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        return self not in LIVE


LIVE = frozenset({RunState.WAITING, RunState.QUEUED, RunState.RUNNING, RunState.RETRYING})
ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.RETRYING})
OK = frozenset({RunState.SUCCESS})
BAD = frozenset({RunState.FAILED, RunState.UPSTREAM_FAILED, RunState.CANCELLED})
LEFT_OUT = frozenset({RunState.SKIPPED, RunState.MISSED})


EVENT, EVENT_DATA = "DAGSCHED_EVENT", "DAGSCHED_EVENT_DATA"
"""What a run made by an event is told besides its parameters, and kept with them: no parameter can have such a name."""

CALLER, CALLED, AWAITED = "DAGSCHED_CALLER", "DAGSCHED_CALLED", "DAGSCHED_AWAITED"
"""The same of runs that workflows make: which run made this one, which ones this one has made ("" parts a rerun from
what was before it), and that the caller waits."""

EMISSIONS_MAX = 10_000
"""So many ids of emitted events are remembered, the newest."""


class Outcome(StrEnum):
    """What an attempt ended with."""

    SUCCESS = "success"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    LOST = "lost"
    CANCELLED = "cancelled"
    SPAWN_ERROR = "spawn_error"


class Origin(StrEnum):
    """What made a run's tick; `history` calls it the trigger."""

    SCHEDULE = "schedule"
    CATCHUP = "catchup"
    UPSTREAM = "upstream"
    MANUAL = "manual"
    ONCE = "once"
    EVENT = "event"
    WORKFLOW = "workflow"
    BACKFILL = "backfill"


class Again(StrEnum):
    """Which ticks that have a row a backfill runs: those that never ran, failed ones too, or successes as well."""

    GAPS = "gaps"
    FAILED = "failed"
    ALL = "all"


class BackfillState(StrEnum):
    """Where a backfill stands."""

    ACTIVE = "active"
    DONE = "done"
    CANCELLED = "cancelled"


class Link(NamedTuple):
    """One upstream run that a run is judged against.

    `tick` None: the upstream has never had a tick, or (match `same`) has none at this one; `exact` marks a
    match on the same tick, which is never replaced by a stand-in.
    """

    job: str
    tick: datetime | None
    match: Match = Match.LATEST
    exact: bool = False


class Run(NamedTuple):
    """One row of the ledger: one job for one tick, or for a range of ticks left out for one reason.

    `until` > `tick` makes it a range row (both ends included; terminal, never started). `attempts` is the
    number started; no attempt beyond `attempt_limit` is. `not_before` delays the next start (jitter,
    backoff). `patient` runs (caught-up, backfilled, re-opened, manual) queue where others would be left out.
    `stand_in`: the tick of the same job whose run stands in for this left-out one. `stopping`: why its
    attempt has been told to end, if it has. `only`: `trigger --only`, no join ever sees it. `definition`:
    hash of the job as it was at the newest start (else at creation). `config`: number of the configuration. `late`: it
    was not over at its deadline.
    """

    job: str
    tick: datetime
    state: RunState
    until: datetime | None = None
    reason: str = ""
    origin: Origin = Origin.SCHEDULE
    created: datetime | None = None
    ready: datetime | None = None
    started: datetime | None = None
    ended: datetime | None = None
    attempts: int = 0
    attempt_limit: int = 1
    not_before: datetime | None = None
    exit_code: int | None = None
    links: tuple[Link, ...] = ()
    stand_in: datetime | None = None
    patient: bool = False
    only: bool = False
    stopping: str = ""
    params: Mapping[str, Any] = EMPTY
    outputs: Mapping[str, str] = EMPTY
    definition: str = ""
    config: int = 0
    acked: bool = False
    late: bool = False

    @property
    def name(self) -> str:
        return run_name(self.job, self.tick)

    @property
    def key(self) -> tuple[str, datetime]:
        return (self.job, self.tick)


class Attempt(NamedTuple):
    """One try of a run. `ended` None: not over. `log`: path below the state directory, "" when nothing was written.

    `place`: the machine or the worker that has it or had it, as far as `attempts` of a shared store tells; "" else.
    """

    job: str
    tick: datetime
    number: int
    started: datetime
    ended: datetime | None = None
    outcome: Outcome | None = None
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""
    pid: int | None = None
    log: str = ""
    output_bytes: int = 0
    definition: str = ""
    place: str = ""


class Exit(NamedTuple):
    """How an attempt ended, as its executor saw it; `seq` is to be acknowledged once durable (0: never)."""

    run: str
    attempt: int
    outcome: Outcome
    ended: datetime
    started: datetime | None = None
    seq: int = 0
    exit_code: int | None = None
    signal: int | None = None
    cause: Literal["", "timeout", "cancel", "stop", "lease"] = ""
    reason: str = ""
    outputs: Mapping[str, str] = EMPTY
    output_bytes: int = 0
    log: str = ""
    leftovers: int = 0
    pid: int | None = None


class EventRow(NamedTuple):
    """One durable line of the event log; `seq` is gapless from 1. `detail` is JSON-able."""

    seq: int
    time: datetime
    type: str
    job: str = ""
    tick: datetime | None = None
    attempt: int | None = None
    from_state: str = ""
    to_state: str = ""
    reason: str = ""
    detail: Mapping[str, Any] = EMPTY


class JobMark(NamedTuple):
    """What is remembered of a job besides its runs.

    Every schedule tick at or before `cursor` is accounted for. `started_runs` counts runs its schedule
    started since `schedule_since`. `paused` is the instant of the pause, None when not paused.
    """

    job: str
    cursor: datetime
    paused: datetime | None = None
    started_runs: int = 0
    schedule_since: datetime | None = None


class Backfill(NamedTuple):
    """Ticks of a job that a person asked for: from `first` to `last`, both included, and how far that has come.

    At most `max_active` of its ticks are under way at a time. `downstream`: unscheduled descendants get the same
    ticks. `position`: the tick that was looked at last, in its order; `handled` of `total` ticks have been. Of the
    runs of all its jobs, `made` had no row before and `reopened` had one; `succeeded`, `failed` and `skipped`
    count how they ended.
    """

    id: int
    job: str
    first: datetime
    last: datetime
    newest_first: bool = False
    max_active: int = 1
    downstream: bool = False
    again: Again = Again.GAPS
    params: Mapping[str, Any] = EMPTY
    state: BackfillState = BackfillState.ACTIVE
    reason: str = ""
    position: datetime | None = None
    total: int = 0
    handled: int = 0
    made: int = 0
    reopened: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    created: datetime | None = None
    ended: datetime | None = None


class ConfigVersion(NamedTuple):
    """A configuration that was put in force: its number (from 1), instant, files and what it changed."""

    number: int
    applied: datetime
    digest: str
    files: Mapping[str, str]
    summary: str = ""


class Kept(NamedTuple):
    """An answer kept for whoever asks again with the same key.

    `asked`: a digest of what was asked, to tell the same question from another one with its key. `answer` is JSON-able.
    """

    key: str
    time: datetime
    asked: str
    answer: Mapping[str, Any]


class Emission(NamedTuple):
    """An event that was emitted under an `id` of its sender's choice, and the tick it made; never is one made twice."""

    event: str
    id: str
    tick: datetime


class Request(NamedTuple):
    """A changing command left for the daemon while none was running; `body` is JSON-able."""

    id: int
    time: datetime
    verb: str
    body: Mapping[str, Any]


# ---------------------------------------------------------------- names


def run_name(job: str, tick: datetime) -> str:
    """Return the run's name, `job:{id}:{tick}`; the same on every machine and after every restart."""
    return f"job:{job}:{format_instant(tick)}"


def parse_run_name(name: str) -> tuple[str, datetime]:
    """Return (job id, tick) of a run's name; raises ValueError when it is none."""
    kind, _, rest = name.partition(":")
    job, _, tick = rest.partition(":")
    if kind != "job" or not job or not tick:
        raise ValueError(f"{name!r} is no run name; one looks like job:nightly:2026-11-23T14:00:00Z")
    return job, parse_instant(tick)
