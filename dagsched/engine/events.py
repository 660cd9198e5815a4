"""What can happen to a plan. Every event carries `now`, the engine has no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from dagsched.engine.rates import Start
from dagsched.model import EMPTY, Again, Config, Exit, Run


class Want(NamedTuple):
    """The next ticks of backfill `id`, in its order, for the jobs `jobs`, under configuration `config`.

    `after`: the tick that comes before them in that order, None at its beginning; `is_last`: no more follow.
    """

    id: int
    config: int
    after: datetime | None
    ticks: tuple[datetime, ...]
    is_last: bool
    jobs: tuple[str, ...]


class Event(Protocol):
    """Something that happened at `now` (aware UTC, milliseconds)."""

    @property
    def now(self) -> datetime: ...


class TimePassed(NamedTuple):
    """It is `now`; whatever is due by then is made."""

    now: datetime


class ClockStepped(NamedTuple):
    """Somebody set the wall clock: it shows `by` more (or less) than the time that really passed."""

    now: datetime
    by: timedelta


class ConfigApplied(NamedTuple):
    """A checked configuration comes into force as version `number`.

    `rows`: what the ledger holds of upstreams that the edit adds, as far as it may have left memory. `starts`: those
    that a rate limit counts which the edit makes or changes.
    """

    now: datetime
    config: Config
    number: int
    rows: tuple[Run, ...] = ()
    starts: tuple[Start, ...] = ()


class Recovered(NamedTuple):
    """What became of the attempts while nobody listened.

    `living` and `recorded` are (run name, attempt): processes that are alive, and attempts whose start was
    recorded. `exits` are the ends that nobody has taken yet. An open attempt in none of them was never
    started, unless the machine was `rebooted`. Of those that are `elsewhere`, on other machines, nothing is known.
    """

    now: datetime
    living: frozenset[tuple[str, int]]
    exits: tuple[Exit, ...]
    recorded: frozenset[tuple[str, int]]
    rebooted: bool = False
    elsewhere: frozenset[tuple[str, int]] = frozenset()


class AttemptBegan(NamedTuple):
    """The process of an attempt exists; `started`: since when, where that is later than the order to start it."""

    now: datetime
    run: str
    attempt: int
    pid: int
    started: datetime | None = None


class AttemptFinished(NamedTuple):
    """An attempt ended, and with it everything it had left behind."""

    now: datetime
    exit: Exit


class TriggerRequested(NamedTuple):
    """A person wants a run of `job` now; `params` are checked against the job's declaration."""

    now: datetime
    job: str
    params: Mapping[str, Any] = EMPTY
    with_upstream: bool = False
    only: bool = False


class EventEmitted(NamedTuple):
    """Something outside has happened that jobs may be scheduled on.

    `data` is JSON-able; `params`: by job, what of it the job takes as parameters, checked. `id` "": none was given;
    else a second emission of `event` with the same id makes nothing.
    """

    now: datetime
    event: str
    data: Mapping[str, Any] = EMPTY
    id: str = ""
    params: Mapping[str, Mapping[str, Any]] = EMPTY


class RunCalled(NamedTuple):
    """The run `caller`, a workflow under way, wants a run of `job` as one step; `params` are checked.

    `waits`: the caller's result will be that run's. `rows`: what the ledger holds of the runs it has called before.
    """

    now: datetime
    job: str
    caller: str
    params: Mapping[str, Any] = EMPTY
    waits: bool = True
    rows: tuple[Run, ...] = ()


class OnceRequested(NamedTuple):
    """One tick for exactly `jobs` (`run --once`), with checked `params` by job."""

    now: datetime
    jobs: tuple[str, ...]
    params: Mapping[str, Mapping[str, Any]] = EMPTY


class CancelRequested(NamedTuple):
    """A person wants a run to end."""

    now: datetime
    run: str


class RerunRequested(NamedTuple):
    """A person wants a terminal run again.

    `rows`: what the ledger holds of it, of its upstream runs and of the later ticks of its descendants, as far
    as they may have left memory. `downstream` re-opens successful descendants too.
    """

    now: datetime
    run: str
    downstream: bool = False
    rows: tuple[Run, ...] = ()


class BackfillRequested(NamedTuple):
    """A person wants the ticks of `job` from `first` to `last`, both included; there are `total` of them.

    `params` are checked against the job's declaration.
    """

    now: datetime
    job: str
    first: datetime
    last: datetime
    total: int
    newest_first: bool = False
    max_active: int = 1
    downstream: bool = False
    again: Again = Again.GAPS
    params: Mapping[str, Any] = EMPTY


class BackfillFed(NamedTuple):
    """The next ticks of a backfill, with what the ledger holds of them and of the upstream runs of those to come.

    `want` is what `Filling.want` had asked for.
    """

    now: datetime
    want: Want
    rows: tuple[Run, ...]


class BackfillCancelRequested(NamedTuple):
    """A person wants no more of a backfill."""

    now: datetime
    id: int


class PauseRequested(NamedTuple):
    """A person wants no new ticks of `job` to run."""

    now: datetime
    job: str


class ResumeRequested(NamedTuple):
    """A person wants `job` to go on."""

    now: datetime
    job: str


class AckRequested(NamedTuple):
    """A person has seen a dead letter; `rows` holds it in case it has left memory."""

    now: datetime
    run: str
    rows: tuple[Run, ...] = ()


class Noted(NamedTuple):
    """Something worth a line in the event log that changes no run (`config.rejected`, `daemon.started`)."""

    now: datetime
    type: str
    reason: str = ""
    detail: Mapping[str, Any] = EMPTY


class StartsHeld(NamedTuple):
    """No attempt may start from here on (`held`), or again (`not held`); what runs goes on."""

    now: datetime
    held: bool


class StopRequested(NamedTuple):
    """Every attempt under way is to end: the daemon stops."""

    now: datetime
