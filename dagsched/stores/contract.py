"""What a store promises: everything that must survive a crash, behind few calls.

One daemon writes (`acquire` gives it an epoch, and each commit carries it); any number of readers read.
A `Batch` is applied as a whole and durably, or not at all. Readers see committed state only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from dagsched.model import Attempt, ConfigVersion, EventRow, JobMark, Request, Run, RunState


@dataclass(slots=True)
class Batch:
    """What one commit writes, in the order of the fields.

    `runs` are upserts by (job, tick): the newest value of a run wins. `split` names range rows (job, tick)
    that are deleted in this commit because `runs` replaces them by their parts. `attempts` are upserts by
    (job, tick, number), except those in `new_attempts`, which must not exist yet: a second insert of one
    is `IntegrityBroken`. `events` must continue the stored sequence without a gap, else `IntegrityBroken`.
    `definitions`: hash → JSON-able job, kept once. `done_requests`: ids to remove from the inbox.
    """

    split: list[tuple[str, datetime]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    new_attempts: list[Attempt] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)
    marks: list[JobMark] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    definitions: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    config: ConfigVersion | None = None
    done_requests: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(
            self.split or self.runs or self.new_attempts or self.attempts or self.marks or self.events
            or self.definitions or self.config or self.done_requests
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the engine starts from.

    `runs`: every live run, each job's newest row, each run that a live one is linked to, and the rows after
    each `horizon` given to `snapshot()`. `attempts`: the open attempts (not ended) of those runs.
    `last_event`: number of the newest event, 0 if none; `last_seen`: its time.
    """

    runs: Sequence[Run]
    attempts: Sequence[Attempt]
    marks: Sequence[JobMark]
    last_event: int
    last_seen: datetime | None
    config: ConfigVersion | None
    requests: Sequence[Request]


class Store(Protocol):
    """The contract every store keeps; `tests/stores/` is its text in executable form."""

    async def open(self, *, write: bool) -> None:
        """Open the state, making or migrating it when `write`; raises StoreError (never re-creates it)."""
        ...

    async def close(self) -> None:
        """Release everything; may be called twice."""
        ...

    async def acquire(self, holder: str) -> int:
        """Become the one writer and return the new epoch; earlier epochs are fenced out from here on."""
        ...

    async def commit(self, batch: Batch) -> None:
        """Write all of `batch` durably, or nothing; raises StoreUnavailable, FencedOut, IntegrityBroken."""
        ...

    async def snapshot(self, horizons: Mapping[str, datetime]) -> Snapshot:
        """Return what the engine starts from; `horizons`: job → instant after which all its rows are wanted."""
        ...

    async def run(self, job: str, tick: datetime) -> Run | None:
        """Return the row that covers this tick: the run itself, or the range row it lies in."""
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
        """Return rows by tick in (after, until], of one job or of all; a range row counts by its last tick."""
        ...

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        """Return the attempts of one run in order of their number."""
        ...

    async def events(
        self, *, since: int = 0, job: str | None = None, limit: int | None = None
    ) -> Sequence[EventRow]:
        """Return events with a number > `since`, oldest first."""
        ...

    async def marks(self) -> Mapping[str, JobMark]:
        """Return what is remembered of each job."""
        ...

    async def configs(self, *, limit: int | None = None, at: datetime | None = None) -> Sequence[ConfigVersion]:
        """Return configurations newest first; with `at`, only those applied at or before it."""
        ...

    async def definition(self, digest: str) -> Mapping[str, Any] | None:
        """Return the stored job of that hash."""
        ...

    async def statistics(self, job: str | None = None, *, since: datetime | None = None) -> Sequence[Mapping[str, Any]]:
        """Return one mapping per job: job, total, by state, durations and lateness in seconds (mean, p50, p95)."""
        ...

    async def post(self, verb: str, body: Mapping[str, Any], time: datetime) -> int:
        """Leave a changing command for the next daemon and return its number; needs no epoch."""
        ...

    async def prune(self, *, before: datetime, keep: frozenset[tuple[str, datetime]]) -> int:
        """Delete terminal rows that ended before `before`, with their attempts and events; return how many rows.

        Kept whatever their age: each job's newest row, live runs, rows a live run is linked to, rows in `keep`.
        """
        ...

    async def check(self) -> Sequence[str]:
        """Return what is wrong with the stored state, one sentence each; empty when all is well."""
        ...
