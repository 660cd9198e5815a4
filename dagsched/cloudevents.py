"""Lines of the event log as CloudEvents 1.0, for programs elsewhere (https://github.com/cloudevents/spec).

An envelope is a function of the line and of its source alone: whoever makes it, and however often, the pair of
`source` and `id` is the same, so a receiver that gets one twice can tell. `TYPES` lists every type there is;
docs/cloudevents.md has the same table for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from dagsched.handlers import traceparent
from dagsched.model import EventRow, format_instant, run_name

PREFIX = "dev.dagsched."
CONTENT_TYPE = "application/cloudevents+json"

TYPES: Mapping[str, str] = {
    "run.created": "a run was made for a tick, and waits or is queued",
    "run.queued": "its upstreams are as its trigger rule wants them",
    "run.waiting": "an upstream run it had been joined with was re-opened, and it waits again",
    "run.started": "an attempt starts",
    "run.retrying": "the attempt did not succeed and another one follows",
    "run.succeeded": "the run ended well",
    "run.failed": "the run did not succeed, and nobody will retry it",
    "run.upstream_failed": "the run cannot start, because one before it failed",
    "run.skipped": "the tick was left out, with a reason",
    "run.missed": "nobody watched when the tick was due, and it is not caught up",
    "run.cancelled": "a person, an edit or its overlap policy ended the run",
    "run.late": "its deadline has passed and it is not over",
    "run.stopping": "its attempt was told to end",
    "run.called": "a step of a workflow brought another run about",
    "run.reopened": "a person asked for the run again",
    "run.acked": "a person has seen that the run failed",
    "attempt.adopted": "a new daemon found the attempt alive and goes on with it",
    "attempt.unknown": "a living attempt that no row knows was stopped",
    "job.created": "an edit brought the job",
    "job.updated": "an edit changed what the job says",
    "job.deleted": "an edit took the job away",
    "job.paused": "its ticks are skipped from now on",
    "job.resumed": "its pause is over",
    "event.emitted": "somebody said that something has happened",
    "event.repeated": "an event with an id that was there before was emitted again, and makes nothing",
    "config.applied": "a configuration came into force",
    "config.rejected": "the job files changed and cannot be used; the last good ones stay in force",
    "config.mended": "the job files that could not be used say again what is in force",
    "config.unwatched": "changes of the job files are not noticed at present",
    "daemon.started": "the scheduler is up",
    "daemon.stopped": "the scheduler ended cleanly",
    "clock.stepped": "somebody set the wall clock",
    "executor.remark": "the process that starts attempts had something to say",
    "request.refused": "a command left for the next start could not be carried out",
}
"""What each line of the event log says, by its type."""

# What an edit did to jobs, by its word in the detail of `config.applied`.
_EDITS = {"added": "job.created", "changed": "job.updated", "removed": "job.deleted"}


def source_of(host: str, state_dir: str) -> str:
    """Return the URI reference of one scheduler's events: its host and its state directory.

    >>> source_of("etl1", "/srv/my jobs/.dagsched")
    '//etl1/srv/my%20jobs/.dagsched'
    """
    return f"//{quote(host)}{quote(state_dir)}"


def cloud_events(row: EventRow, source: str) -> list[dict[str, Any]]:
    """Return the envelopes of one line: its own, and behind `config.applied` one for each job it names.

    They are JSON-able; `data` has the facts of the line. Of an edit the log names 10,000 jobs of each kind at
    most, and so many have an envelope; `truncated` in the detail of `config.applied` says how many have none.
    """
    found = [_envelope(row, source)]
    if row.type == "config.applied":
        found += [
            _of_job(row, source, kind, job) for word, kind in _EDITS.items() for job in row.detail.get(word, ())
        ]
    return found


def id_of(row: EventRow) -> str:
    """Return what tells the line from all others of its source: its number, and its time should the state be anew."""
    return f"{row.seq}-{round(row.time.timestamp() * 1000)}"


def _envelope(row: EventRow, source: str) -> dict[str, Any]:
    run = run_name(row.job, row.tick) if row.job and row.tick else None
    envelope = {
        "specversion": "1.0",
        "id": id_of(row),
        "source": source,
        "type": PREFIX + row.type,
        "subject": run or row.job or None,
        "time": format_instant(row.time),
        "datacontenttype": "application/json",
        "sequence": f"{row.seq:012}",
        "traceparent": traceparent(run, row.attempt) if run and row.attempt else None,
        "data": _data(row, run),
    }
    return {name: value for name, value in envelope.items() if value is not None}


def _data(row: EventRow, run: str | None) -> dict[str, Any]:
    facts = {
        "seq": row.seq,
        "job": row.job or None,
        "run": run,
        "tick": format_instant(row.tick) if row.tick else None,
        "attempt": row.attempt,
        "from": row.from_state or None,
        "to": row.to_state or None,
        "reason": row.reason or None,
        "detail": dict(row.detail) or None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _of_job(row: EventRow, source: str, kind: str, job: str) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{id_of(row)}-{kind}-{job}",
        "source": source,
        "type": PREFIX + kind,
        "subject": job,
        "time": format_instant(row.time),
        "datacontenttype": "application/json",
        "sequence": f"{row.seq:012}",
        "data": {"seq": row.seq, "job": job, "config": row.detail.get("number")},
    }
