"""The event log read as lives: which state each run was in when an event was written."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from tests.torture.evidence import FOREVER, TERMINAL, Evidence, Row, instant, run_parts

ENDS = frozenset({"run.succeeded", "run.retrying", "run.failed", "run.cancelled"})
ACTIVE = frozenset({"queued", "running", "retrying"})


class Lives:
    """Rows, events and shows of one round, by run and by job."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.rows = {row["run"]: row for row in evidence.history}
        self.by_job: dict[str, list[Row]] = defaultdict(list)
        for row in sorted(evidence.history, key=lambda row: instant(row["tick"])):
            self.by_job[row["job"]].append(row)
        self._firsts = {job: [instant(row["tick"]) for row in rows] for job, rows in self.by_job.items()}
        self.events: dict[str, list[Row]] = defaultdict(list)
        for event in evidence.events:
            if event["run"]:
                self.events[event["run"]].append(event)
        self._seqs = {run: [event["seq"] for event in events] for run, events in self.events.items()}
        self._last_of_moment = {event["time"]: event["seq"] for event in evidence.events}

    def state_at(self, run: str, seq: int) -> str | None:
        """Return the run's state when event `seq` had been written; None before its first event."""
        place = bisect_right(self._seqs.get(run, []), seq)
        return self.events[run][place - 1]["to"] if place else None

    def end_of_moment(self, event: Row) -> int:
        """Return the number of the last event that one and the same step of the engine wrote with this one."""
        return int(self._last_of_moment[event["time"]])

    def covering(self, job: str, tick: datetime) -> Row | None:
        """Return the row that accounts for this tick of the job."""
        rows = self.by_job.get(job, [])
        place = bisect_right(self._firsts.get(job, []), tick)
        for row in reversed(rows[max(0, place - 2) : place]):
            if instant(row["tick"]) == tick or (row["until"] and instant(row["until"]) >= tick):
                return row
        return None

    def is_only(self, run: str) -> bool:
        """Whether no join ever sees the run (`trigger --only`)."""
        return bool(self.evidence.shows.get(run, {}).get("only"))

    def is_reopened(self, run: str) -> bool:
        return any(event["type"] == "run.reopened" for event in self.events[run])

    def born(self, run: str) -> Row | None:
        """Return the run's first event."""
        return self.events[run][0] if self.events.get(run) else None

    def starts(self, run: str) -> list[Row]:
        return [event for event in self.events[run] if event["type"] == "run.started"]

    def first_starts(self) -> Iterator[Row]:
        """Yield the starts that took a seat: first attempts, and first ones after a rerun; in order."""
        seated: set[str] = set()
        for event in self.evidence.events:
            if event["type"] == "run.started" and event["run"] not in seated:
                seated.add(event["run"])
                yield event
            elif event["run"] in seated and event["to"] in TERMINAL:
                seated.discard(event["run"])

    def started_at(self, run: str, attempt: int) -> datetime | None:
        """Return when the attempt's start was written down."""
        times = [event["time"] for event in self.starts(run) if event["attempt"] == attempt]
        return instant(times[0]) if times else None

    def ended_at(self, run: str, attempt: int) -> datetime:
        """Return when the attempt's end was written down, far in the future if it was not."""
        times = [e["time"] for e in self.events[run] if e["type"] in ENDS and e["attempt"] == attempt]
        return instant(times[-1]) if times else FOREVER


def is_schedule_tick(tick: datetime) -> bool:
    """Whether a schedule can have made this tick: those are whole seconds, those people make never are."""
    return tick.microsecond == 0


def ticks_of(row: Row) -> tuple[datetime, datetime]:
    """Return the first and the last tick of a row."""
    first = run_parts(row["run"])[1]
    return first, instant(row["until"]) if row["until"] else first


def same_in_all(values: Sequence[object]) -> bool:
    """Whether there is exactly one opinion."""
    return len({repr(value) for value in values}) == 1
