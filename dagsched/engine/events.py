"""What can happen to a plan. Every event carries `now`, the engine has no clock of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dagsched.model import EMPTY, Config, Exit, Run


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at `now` (aware UTC, milliseconds)."""

    now: datetime


@dataclass(frozen=True, slots=True)
class TimePassed(Event):
    """It is `now`; whatever is due by then is made."""


@dataclass(frozen=True, slots=True)
class ClockStepped(Event):
    """Somebody set the wall clock: it shows `by` more (or less) than the time that really passed."""

    by: timedelta


@dataclass(frozen=True, slots=True)
class ConfigApplied(Event):
    """A checked configuration comes into force as version `number`.

    `rows`: what the ledger holds of upstreams that the edit adds, as far as it may have left memory.
    """

    config: Config
    number: int
    rows: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Recovered(Event):
    """What became of the attempts while nobody listened.

    `living` and `recorded` are (run name, attempt): processes that are alive, and attempts whose start was
    recorded. `exits` are the ends that nobody has taken yet. An open attempt in none of them was never
    started, unless the machine was `rebooted`.
    """

    living: frozenset[tuple[str, int]]
    exits: tuple[Exit, ...]
    recorded: frozenset[tuple[str, int]]
    rebooted: bool = False


@dataclass(frozen=True, slots=True)
class AttemptBegan(Event):
    """The process of an attempt exists."""

    run: str
    attempt: int
    pid: int


@dataclass(frozen=True, slots=True)
class AttemptFinished(Event):
    """An attempt ended, and with it everything it had left behind."""

    exit: Exit


@dataclass(frozen=True, slots=True)
class TriggerRequested(Event):
    """A person wants a run of `job` now; `params` are checked against the job's declaration."""

    job: str
    params: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    with_upstream: bool = False
    only: bool = False


@dataclass(frozen=True, slots=True)
class OnceRequested(Event):
    """One tick for exactly `jobs` (`run --once`)."""

    jobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CancelRequested(Event):
    """A person wants a run to end."""

    run: str


@dataclass(frozen=True, slots=True)
class RerunRequested(Event):
    """A person wants a terminal run again.

    `rows`: what the ledger holds of it, of its upstream runs and of the later ticks of its descendants, as far
    as they may have left memory. `downstream` re-opens successful descendants too.
    """

    run: str
    downstream: bool = False
    rows: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class PauseRequested(Event):
    """A person wants no new ticks of `job` to run."""

    job: str


@dataclass(frozen=True, slots=True)
class ResumeRequested(Event):
    """A person wants `job` to go on."""

    job: str


@dataclass(frozen=True, slots=True)
class AckRequested(Event):
    """A person has seen a dead letter; `rows` holds it in case it has left memory."""

    run: str
    rows: tuple[Run, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something worth a line in the event log that changes no run (`config.rejected`, `daemon.started`)."""

    type: str
    reason: str = ""
    detail: Mapping[str, Any] = field(default_factory=lambda: EMPTY)


@dataclass(frozen=True, slots=True)
class StartsHeld(Event):
    """No attempt may start from here on (`held`), or again (`not held`); what runs goes on."""

    held: bool


@dataclass(frozen=True, slots=True)
class StopRequested(Event):
    """Every attempt under way is to end: the daemon stops."""
