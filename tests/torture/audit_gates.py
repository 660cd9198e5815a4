"""Rate limits and deadlines: no window holds more starts than allowed, and who is late is told once and truly."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.torture.evidence import TERMINAL, instant
from tests.torture.lives import Lives

Finding = tuple[str, str, str]


def rates_hold_by_the_record(lives: Lives) -> Iterator[Finding]:
    """Judged only where every configuration that may have been in force at a start says one and the same limit."""
    starts: dict[str, list[datetime]] = {}
    for event in lives.evidence.events:
        if event["type"] != "run.started":
            continue
        at = instant(event["time"])
        mine = starts.setdefault(event["job"], [])
        mine.append(at)
        limits = {each.rate for each in lives.evidence.declared(event["job"], at, at)}
        limit = limits.pop() if len(limits) == 1 else None
        if limit is None:
            continue
        most, length = limit[0], timedelta(seconds=limit[1])
        within = sum(at - length < other <= at for other in mine)
        if within > most:
            yield "rate", event["run"], f"is start number {within} within {length}, and {most} are allowed"


def lateness_is_true(lives: Lives) -> Iterator[Finding]:
    told: set[str] = set()
    for event in lives.evidence.events:
        if event["type"] != "run.late":
            continue
        run, at = event["run"], instant(event["time"])
        if run in told:
            yield "late", run, "was told to be late twice"
        told.add(run)
        if event["to"] in TERMINAL:
            yield "late", run, f"is late and {event['to']}"
        due = at - instant(run.partition(":")[2].partition(":")[2])
        lengths = [each.deadline_s for each in lives.evidence.declared(event["job"], at, at)]
        if lengths and all(due.total_seconds() < length for length in lengths):
            yield "late", run, f"is late {due} after its tick, with a deadline of {lengths} s"


CHECKS = (rates_hold_by_the_record, lateness_is_true)
