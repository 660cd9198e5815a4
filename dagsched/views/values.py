"""Rows back to values: what `rows.py` and `whole.py` told, as far as they tell it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any

from dagsched.backfill import Survey
from dagsched.model import (
    Again,
    Attempt,
    Backfill,
    BackfillState,
    EventRow,
    Link,
    Match,
    Origin,
    Outcome,
    Run,
    RunState,
    parse_instant,
    parse_run_name,
)
from dagsched.stores.notices import Told


def run_of(row: Mapping[str, Any]) -> Run:
    """Return a run as far as its row tells it, of `history` or of `show`."""
    known: dict[str, Any] = {
        "job": row["job"],
        "tick": parse_instant(row["tick"]),
        "state": RunState(row["state"]),
        "until": instant_of(row["until"]),
        "reason": row["reason"],
        "origin": Origin(row["trigger"]),
        "attempts": row["attempts"],
        "started": instant_of(row["started"]),
        "ended": instant_of(row["ended"]),
        "exit_code": row["exit_code"],
        "config": row["config"],
        "created": instant_of(row.get("created")),
        "ready": instant_of(row.get("ready")),
        "not_before": instant_of(row.get("not_before")),
        "attempt_limit": row.get("attempt_limit", 1),
        "stand_in": parse_run_name(row["stand_in"])[1] if row.get("stand_in") else None,
        "only": row.get("only", False),
        "acked": row.get("acknowledged", False),
        "params": MappingProxyType(row.get("params", {})),
        "outputs": MappingProxyType(row.get("outputs", {})),
        "definition": row.get("definition", ""),
        "links": tuple(_link_of(link) for link in row.get("upstream", ())),
    }
    # What a later version tells of a run under a name of its own is taken over under that name.
    same = {name: row[name] for name in Run._fields if name in row and name not in known}
    return Run(**known, **same)


def _link_of(row: Mapping[str, Any]) -> Link:
    return Link(row["job"], parse_run_name(row["run"])[1] if row["run"] else None, Match(row["match"]))


def attempt_of(row: Mapping[str, Any], job: str, tick: datetime) -> Attempt:
    """Return an attempt as far as its row tells it."""
    return Attempt(
        job,
        tick,
        row["attempt"],
        parse_instant(row["started"]),
        instant_of(row["ended"]),
        Outcome(row["outcome"]) if row["outcome"] else None,
        row["exit_code"],
        row["signal"],
        row["reason"],
        row["pid"],
        output_bytes=row["output_bytes"],
        place=row.get("place") or "",  # a daemon of an earlier release tells none
    )


def event_of(row: Mapping[str, Any]) -> EventRow:
    """Return an event as far as its row tells it."""
    return EventRow(
        row["seq"],
        parse_instant(row["time"]),
        row["type"],
        row["job"] or "",
        parse_run_name(row["run"])[1] if row["run"] else None,
        row["attempt"],
        row["from"] or "",
        row["to"] or "",
        row["reason"],
    )


def instant_of(text: str | None) -> datetime | None:
    """Return the instant of JSON, None for none."""
    return parse_instant(text) if text else None


def survey_of(row: Mapping[str, Any]) -> Survey:
    """Return what would become of a job's ticks as its row tells it."""
    samples = [parse_instant(tick) for tick in row["first_ticks"]]
    return Survey(row["job"], row["new"], Counter(row["again"]), Counter(row["left_alone"]), samples)


def notice_of(row: Mapping[str, Any]) -> Told:
    """Return a message as its row tells it."""
    return Told(**{**row, **{key: instant_of(row[key]) for key in ("created", "next_try", "ended")}})


def backfill_of(row: Mapping[str, Any]) -> Backfill:
    """Return a backfill as its row tells it."""
    renamed = {"success": "succeeded"}
    known = {renamed.get(key, key): value for key, value in row.items()}
    instants = {key: instant_of(row[key]) for key in ("first", "last", "created", "ended")}
    return Backfill(**known | instants | {"again": Again(row["again"]), "state": BackfillState(row["state"])})
