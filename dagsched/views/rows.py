"""Runs and events as the JSON rows that programs rely on; their keys are part of the interface."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from dagsched.model import Attempt, Backfill, EventRow, Run, format_instant, run_name
from dagsched.views.times import instant_or_none

if TYPE_CHECKING:
    from dagsched.stores.notices import Told


def run_row(run: Run) -> dict[str, Any]:
    """Return a run as `history` prints it. `duration_s`: from `started` to `ended`."""
    return {
        "run": run.name,
        "job": run.job,
        "tick": format_instant(run.tick),
        "until": instant_or_none(run.until),
        "state": str(run.state),
        "reason": run.reason,
        "trigger": str(run.origin),
        "attempts": run.attempts,
        "started": instant_or_none(run.started),
        "ended": instant_or_none(run.ended),
        "duration_s": duration_s(run),
        "exit_code": run.exit_code,
        "config": run.config,
        "late": run.late,
    }


def reason_of(run: Run) -> str:
    """Return a run's reason for people, with a word in front if it was late."""
    return "; ".join(filter(None, ("late" if run.late else "", run.reason)))


def duration_s(timed: Run | Attempt) -> float | None:
    """Return seconds from start to end, None when either is missing."""
    if timed.started is None or timed.ended is None:
        return None
    return round((timed.ended - timed.started).total_seconds(), 3)


def attempt_row(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt as `show` prints it."""
    return {
        "attempt": attempt.number,
        "outcome": str(attempt.outcome) if attempt.outcome else None,
        "started": format_instant(attempt.started),
        "ended": instant_or_none(attempt.ended),
        "duration_s": duration_s(attempt),
        "exit_code": attempt.exit_code,
        "signal": attempt.signal,
        "reason": attempt.reason,
        "pid": attempt.pid,
        "output_bytes": attempt.output_bytes,
        "place": attempt.place or None,
    }


def event_row(event: EventRow) -> dict[str, Any]:
    """Return an event as `events` prints it."""
    return {
        "seq": event.seq,
        "time": format_instant(event.time),
        "type": event.type,
        "job": event.job or None,
        "run": run_name(event.job, event.tick) if event.job and event.tick else None,
        "attempt": event.attempt,
        "from": event.from_state or None,
        "to": event.to_state or None,
        "reason": event.reason,
    }


def statistics_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a job's figures as `stats` prints them."""
    return {key: format_instant(value) if isinstance(value, datetime) else value for key, value in row.items()}


def notice_row(told: Told) -> dict[str, Any]:
    """Return a message to people or programs as JSON."""
    return {
        "id": told.id, "notifier": told.notifier, "kind": told.kind, "title": told.title, "state": told.state,
        "created": format_instant(told.created), "tries": told.tries, "next_try": instant_or_none(told.next_try),
        "ended": instant_or_none(told.ended), "error": told.error,
    }  # fmt: skip


def backfill_row(each: Backfill) -> dict[str, Any]:
    """Return a backfill as JSON."""
    return {
        "id": each.id, "job": each.job, "first": format_instant(each.first), "last": format_instant(each.last),
        "newest_first": each.newest_first, "max_active": each.max_active, "downstream": each.downstream,
        "again": str(each.again), "params": dict(each.params), "state": str(each.state), "reason": each.reason,
        "total": each.total, "handled": each.handled, "made": each.made, "reopened": each.reopened,
        "success": each.succeeded, "failed": each.failed, "skipped": each.skipped,
        "created": instant_or_none(each.created), "ended": instant_or_none(each.ended),
    }  # fmt: skip
