"""What a plan wants done. Those to keep are committed together; only then the acts are carried out, in order."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dagsched.model import Attempt, Backfill, ConfigVersion, Emission, EventRow, Job, JobMark, Run


class SaveRun(NamedTuple):
    """Keep this row of the ledger; `new`: nothing stood under its tick before this event, or only what it splits."""

    run: Run
    new: bool = False


class SplitRow(NamedTuple):
    """Drop this range row: the rows saved beside it replace it."""

    job: str
    tick: datetime


class SaveAttempt(NamedTuple):
    """Keep this attempt; `new` must not exist yet."""

    attempt: Attempt
    new: bool


class SaveMark(NamedTuple):
    """Keep what is remembered of a job."""

    mark: JobMark


class SaveBackfill(NamedTuple):
    """Keep a backfill as it now is."""

    backfill: Backfill


class SaveDefinition(NamedTuple):
    """Keep a job under its hash."""

    digest: str
    definition: Mapping[str, Any]


class SaveConfig(NamedTuple):
    """Keep the configuration that came into force."""

    version: ConfigVersion


class SaveEmission(NamedTuple):
    """Keep the id of an emitted event."""

    emission: Emission


class RecordEvent(NamedTuple):
    """Keep one line of the event log."""

    row: EventRow


class StartAttempt(NamedTuple):
    """Start this attempt of a run as `job` says; `outputs` are those of its upstream runs by job."""

    job: Job
    run: Run
    outputs: Mapping[str, Mapping[str, str]]


class StopAttempt(NamedTuple):
    """End this attempt: TERM, and KILL after the grace."""

    run: str
    attempt: int
    cause: str


Command = (
    SaveRun
    | SplitRow
    | SaveAttempt
    | SaveMark
    | SaveBackfill
    | SaveDefinition
    | SaveConfig
    | SaveEmission
    | RecordEvent
    | StartAttempt
    | StopAttempt
)
