"""What a scheduler and other places tell each other, workers and other schedulers, by way of the state that they share.

An attempt of a job with a `queue` is written down together with its *dispatch*. A worker takes it under a new *fence*
number, starts it, and reports by that number how it began and ended; the scheduler commits the end, and with it the
dispatch is gone. Whatever a worker says of a dispatch that is gone, or that another number took, changes nothing.

What a scheduler started itself bears the name of its place, where alone that attempt may ever start: there the place is
the fence. One whose turn is over reports by it what became of its attempts, like a worker.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from dagsched.model import Exit, Outcome, format_instant, parse_instant, run_name

# A worker may take and start attempts for that long after it was last heard of.
LEASE, LEASE_S, LEASE_MIN_S = "DAGSCHED_WORKER_LEASE", 30.0, 12.0
# What of the lease is left to end its attempts: the spawner's grace until KILL, and a margin.
ENDING_S = 8.0
# How many renewals there are until then; so one may fail.
RENEWALS = 2.2
# Two machines do not count seconds alike to the last.
MARGIN_S = 3.0
# So much of what an attempt writes is kept.
OUTPUT_BYTES_MAX = 1024 * 1024

Key = tuple[str, datetime, int]


class Began(NamedTuple):
    """A worker has started the attempt."""

    run: str
    attempt: int
    pid: int
    started: datetime


class WorkerRow(NamedTuple):
    """A worker as it last said what it is. `running`: attempts that it has; `is_alive`: its lease runs."""

    name: str
    queues: Sequence[str]
    labels: Sequence[str]
    slots: int
    running: int
    version: str
    started: datetime
    seen: datetime
    is_alive: bool
    is_draining: bool

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        state = "gone" if not self.is_alive else "draining" if self.is_draining else "ready"
        return {
            "worker": self.name, "state": state, "queues": list(self.queues), "labels": list(self.labels),
            "slots": self.slots, "running": self.running, "version": self.version,
            "started": format_instant(self.started), "seen": format_instant(self.seen),
        }  # fmt: skip

    @classmethod
    def of_json(cls, row: Mapping[str, Any]) -> WorkerRow:
        """Return what `as_json` told."""
        return cls(
            row["worker"], row["queues"], row["labels"], row["slots"], row["running"], row["version"],
            parse_instant(row["started"]), parse_instant(row["seen"]), row["state"] != "gone",
            row["state"] == "draining",
        )  # fmt: skip


class Handed(NamedTuple):
    """An open attempt that is workers' business. `worker`: the name of the one that has it, "" while nobody has."""

    queue: str
    labels: Sequence[str]
    worker: str
    since: datetime

    @property
    def words(self) -> str:
        """What becomes of it now."""
        if self.worker:
            return f"worker {self.worker} has it"
        labels = f" with {' and '.join(self.labels)}" if self.labels else ""
        return f"no worker of queue {self.queue}{labels} has taken it since {format_instant(self.since)}"


class Waiting(NamedTuple):
    """Attempts that no worker has taken yet: of which queue, for which labels, how many, and since when the first."""

    queue: str
    labels: Sequence[str]
    attempts: int
    since: datetime

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON-able data."""
        return {**self._asdict(), "labels": list(self.labels), "since": format_instant(self.since)}

    @classmethod
    def of_json(cls, row: Mapping[str, Any]) -> Waiting:
        """Return what `as_json` told."""
        return cls(row["queue"], row["labels"], row["attempts"], parse_instant(row["since"]))

    def is_served_by(self, worker: WorkerRow) -> bool:
        """Whether that worker may take them, now or when it has slots again."""
        is_there = worker.is_alive and not worker.is_draining
        return is_there and self.queue in worker.queues and set(self.labels) <= set(worker.labels)


class Reports(NamedTuple):
    """What workers have said of attempts whose end is not committed."""

    began: Sequence[Began]
    ended: Sequence[Exit]


class Remainder(NamedTuple):
    """What a scheduler that stands by has left of the time in which it was active.

    `open`: its attempts, as (run name, number), and why each has been told to end, "" for those that have not.
    `until`: the second of CLOCK_BOOTTIME until which they may go on. `is_all`: another one has become active since, so
    there will be no others.
    """

    open: Mapping[tuple[str, int], str]
    until: float
    is_all: bool


class Fleet(Protocol):
    """What a scheduler does with attempts of other places, and for its own once it is not the active one.

    Each call raises StoreError, FencedOut among them.
    """

    async def dispatched(self) -> Sequence[Key]:
        """Return the open attempts that are workers' business."""
        ...

    async def left(self) -> Sequence[Key]:
        """Return the open attempts that schedulers on other machines have; once this one is active, no more come."""
        ...

    async def reports(self) -> Reports:
        """Return what was reported of those."""
        ...

    async def hand_over(self, ended: Sequence[Exit], *, vouches: bool) -> Remainder:
        """Report, standing by, how attempts of this state directory ended; return those that are open.

        `vouches`: those that live go on, for as long as the spawner is told. What was called lost before stays lost.
        Nothing is reported while nobody has become active since this one was.
        """
        ...

    async def stop(self, run: str, attempt: int, cause: str, now: datetime) -> None:
        """Have a worker end an attempt; one that nobody has taken yet has ended with that."""
        ...

    async def mend(self, now: datetime, *, is_left: bool = True) -> Sequence[Key]:
        """End the attempts of workers that are gone, and (`is_left`) of schedulers; return those.

        What was to be delivered and got lost is delivered again.
        """
        ...

    def listen(self, heard: Callable[[], None]) -> Callable[[], None]:
        """Have `heard` called in the event loop whenever something was reported; return what ends that."""
        ...


# ---------------------------------------------------------------- reports as JSON


def text_of(exit: Exit) -> str:
    """Return an exit as JSON text, without what the attempt itself is called."""
    body = {
        "outcome": exit.outcome.value, "ended": format_instant(exit.ended),
        "started": format_instant(exit.started) if exit.started else None, "exit_code": exit.exit_code,
        "signal": exit.signal, "cause": exit.cause, "reason": exit.reason, "outputs": dict(exit.outputs),
        "output_bytes": exit.output_bytes, "log": exit.log, "leftovers": exit.leftovers, "pid": exit.pid,
    }  # fmt: skip
    return json.dumps({key: value for key, value in body.items() if value not in (None, "", {})}, separators=(",", ":"))


def exit_of(job: str, tick: datetime, number: int, text: str) -> Exit:
    """Return what `text_of` wrote; raises ValueError, KeyError or TypeError on anything else."""
    body: Mapping[str, Any] = json.loads(text)
    more = {key: value for key, value in body.items() if key not in ("outcome", "ended", "started")}
    started = parse_instant(body["started"]) if "started" in body else None
    return Exit(run_name(job, tick), number, Outcome(body["outcome"]), parse_instant(body["ended"]), started, **more)


def began_text(began: Began) -> str:
    """Return a beginning as JSON text."""
    return json.dumps({"pid": began.pid, "started": format_instant(began.started)})


def began_of(job: str, tick: datetime, number: int, text: str) -> Began:
    """Return what `began_text` wrote; raises ValueError, KeyError or TypeError on anything else."""
    body = json.loads(text)
    return Began(run_name(job, tick), number, int(body["pid"]), parse_instant(body["started"]))
