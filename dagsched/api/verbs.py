"""The verbs that can be asked for over HTTP: the table that server and command line share. A new verb is one entry."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dagsched.api.access import Role
from dagsched.model import Again

API = "/api/v1"

FLAG: Mapping[str, Any] = {"type": "boolean", "default": False}
INSTANT: Mapping[str, Any] = {"type": "string", "format": "date-time", "minLength": 20, "maxLength": 40}


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb as a POST route.

    `path` is below /api/v1; a name in its braces goes into the body of the verb. `fields`: what else the body may
    hold, JSON Schema by name. `required`: which of them must be there. `keyed`: whether `Idempotency-Key` is heeded.
    """

    name: str
    path: str
    role: Role
    words: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    keyed: bool = False


VERBS = (
    Verb(
        "trigger",
        "/jobs/{job}/trigger",
        Role.OPERATOR,
        "Run a job now; what keeps it from starting is in `blocked`.",
        {"params": {"type": "object"}, "with_upstream": FLAG, "only": FLAG},
        keyed=True,
    ),
    Verb(
        "emit",
        "/events/{event}",
        Role.OPERATOR,
        "Say that an event has happened; `id` is the sender's own, and one that was given before makes nothing.",
        {"id": {"type": "string", "maxLength": 256}, "data": {"type": "object"}},
        keyed=True,
    ),
    Verb("pause", "/jobs/{job}/pause", Role.OPERATOR, "Let a job's ticks pass until it is resumed.", keyed=True),
    Verb("resume", "/jobs/{job}/resume", Role.OPERATOR, "End a pause.", keyed=True),
    Verb("cancel", "/runs/{run}/cancel", Role.OPERATOR, "Stop a run for good.", keyed=True),
    Verb("rerun", "/runs/{run}/rerun", Role.OPERATOR, "Run an ended run again.", {"downstream": FLAG}, keyed=True),
    Verb("ack", "/runs/{run}/ack", Role.OPERATOR, "Acknowledge a failed run.", keyed=True),
    Verb(
        "backfill",
        "/jobs/{job}/backfill",
        Role.OPERATOR,
        "Run a job's ticks of a stretch of the past, ends included; `dry_run` only says what would become of them.",
        {
            "dry_run": FLAG,
            "first": INSTANT,
            "last": INSTANT,
            "newest_first": FLAG,
            "downstream": FLAG,
            "max_active": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
            "again": {"type": "string", "enum": [str(again) for again in Again]},
            "params": {"type": "object"},
        },
        required=("first", "last", "max_active"),
        keyed=True,
    ),
    Verb(
        "backfill_cancel",
        "/backfills/cancel",
        Role.OPERATOR,
        "End a backfill: what has not started is cancelled.",
        {"id": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1}},
        required=("id",),
        keyed=True,
    ),
    Verb("retention", "/retention", Role.ADMIN, "Delete the runs that `keep` gives up.", {"dry_run": FLAG}),
    Verb("rollup", "/rollup", Role.ADMIN, "Work out the figures of all days that are over."),
    Verb("compact", "/compact", Role.ADMIN, "Give unused space back to the disk."),
    Verb("reload", "/reload", Role.OPERATOR, "Have the job files read again now."),
    Verb(
        "prune",
        "/prune",
        Role.ADMIN,
        "Delete runs that ended before an instant.",
        {"before": INSTANT, "dry_run": FLAG},
        required=("before",),
    ),
    Verb("stop", "/stop", Role.ADMIN, "Stop the daemon.", {"handover": FLAG}),
)
