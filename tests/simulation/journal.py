"""What the auditor has seen with its own eyes: processes, configurations, the durable rows as they became.

Nothing of the engine is used here. Rules of time come from the triggers, which have tests of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from dagsched.model import Attempt, Config, Job, Link, Run, RunState
from dagsched.triggers import trigger_of

Key = tuple[str, datetime]
SECOND = timedelta(seconds=1)
TERMINAL = frozenset(state for state in RunState if state.is_terminal)
ACTIVE = frozenset({RunState.QUEUED, RunState.RUNNING, RunState.RETRYING})
STARTED = frozenset({RunState.RUNNING, RunState.RETRYING})


class Broken(AssertionError):
    """A promise is broken: which one, by which run, and how."""

    def __init__(self, promise: str, run: str, words: str) -> None:
        self.promise, self.run, self.words = promise, run, words
        super().__init__(f"{promise} {run}: {words}")


@dataclass(frozen=True, slots=True)
class Version:
    """A configuration in force for ticks in (`low`, …]; `low` is certain, `high` the latest wall time seen by then."""

    number: int
    low: datetime
    high: datetime
    config: Config


@dataclass(slots=True)
class Life:
    """One attempt's process as it really was; `how` None while it lives."""

    how: str | None = None
    code: int | None = None


@dataclass(slots=True)
class Seen:
    """Everything seen so far."""

    versions: list[Version] = field(default_factory=list)
    lives: dict[tuple[str, int], Life] = field(default_factory=dict)
    rows: dict[str, dict[datetime, Run]] = field(default_factory=dict)
    open_attempts: dict[Key, tuple[Attempt, Job]] = field(default_factory=dict)

    def row(self, key: Key) -> Run | None:
        return self.rows.get(key[0], {}).get(key[1])

    def covering(self, job: str, tick: datetime) -> Run | None:
        """Return the row of a tick: its own, or the range it lies in."""
        rows = self.rows.get(job, {})
        if tick in rows:
            return rows[tick]
        return next((r for r in rows.values() if r.until is not None and r.tick <= tick <= r.until), None)

    def pointed(self, link: Link) -> Run | None:
        """Return the row a link speaks of: the one of its tick, or the one that stands in for that."""
        row = self.covering(link.job, link.tick) if link.tick is not None else None
        for _ in range(1000):
            if row is None or link.exact or row.stand_in is None or row.state not in TERMINAL:
                return row
            row = self.covering(link.job, row.stand_in)
        raise Broken("P3", f"job:{link.job}", "what stands in for it goes in a circle")

    def jobs_in_force(self, id: str, *, since: int = -1) -> list[Job]:
        """Return the definitions of a job in the newest versions: the last one, or all from place `since` on."""
        return [version.config.jobs[id] for version in self.versions[since:] if id in version.config.jobs]

    def has_tick(self, config: Config, id: str, tick: datetime) -> bool:
        """Whether the job has this schedule tick under that configuration, by itself or through its upstreams."""
        job = config.jobs.get(id)
        if job is None:
            return False
        if job.schedule is not None:
            return trigger_of(job.schedule).next(tick - SECOND) == tick
        return any(self.has_tick(config, edge.job, tick) for edge in job.depends_on)

    def due(self, config: Config, after: datetime, until: datetime) -> Iterator[Key]:
        """Yield every schedule tick in (after, until] of every job without `max_runs`, unscheduled ones included."""
        for id, ticks in self._due_of_all(config, after, until).items():
            for tick in sorted(ticks):
                yield id, tick

    def _due_of_all(self, config: Config, after: datetime, until: datetime) -> dict[str, set[datetime]]:
        found: dict[str, set[datetime]] = {}

        def of(id: str) -> set[datetime]:
            if id not in found:
                job = config.jobs[id]
                if job.schedule is None:
                    found[id] = set[datetime]().union(*(of(edge.job) for edge in job.depends_on))
                elif job.schedule.max_runs is not None:
                    found[id] = set()
                else:
                    found[id] = set(trigger_of(job.schedule).ticks(after, until))
            return found[id]

        for id in config.jobs:
            of(id)
        return found
