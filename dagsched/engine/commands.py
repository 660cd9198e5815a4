"""What a plan wants done. Those to keep are committed together; only then the acts are carried out, in order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagsched.model import Attempt, ConfigVersion, EventRow, Job, JobMark, Run


@dataclass(frozen=True, slots=True)
class SaveRun:
    """Keep this row of the ledger, new or changed."""

    run: Run


@dataclass(frozen=True, slots=True)
class SplitRow:
    """Drop this range row: the rows saved beside it replace it."""

    job: str
    tick: datetime


@dataclass(frozen=True, slots=True)
class SaveAttempt:
    """Keep this attempt; `new` must not exist yet."""

    attempt: Attempt
    new: bool


@dataclass(frozen=True, slots=True)
class SaveMark:
    """Keep what is remembered of a job."""

    mark: JobMark


@dataclass(frozen=True, slots=True)
class SaveDefinition:
    """Keep a job under its hash."""

    digest: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SaveConfig:
    """Keep the configuration that came into force."""

    version: ConfigVersion


@dataclass(frozen=True, slots=True)
class RecordEvent:
    """Keep one line of the event log."""

    row: EventRow


@dataclass(frozen=True, slots=True)
class StartAttempt:
    """Start this attempt of a run as `job` says; `outputs` are those of its upstream runs by job."""

    job: Job
    run: Run
    outputs: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """End this attempt: TERM, and KILL after the grace."""

    run: str
    attempt: int
    cause: str


Command = (
    SaveRun | SplitRow | SaveAttempt | SaveMark | SaveDefinition | SaveConfig | RecordEvent | StartAttempt | StopAttempt
)
