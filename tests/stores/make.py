"""Short ways to write down rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from dagsched.model import Attempt, EventRow, Link, Origin, Outcome, Run, RunState, utc
from dagsched.stores import Batch, Store

DAY = utc(2026, 11, 21)


def at(hour: float = 0, ms: int = 0) -> datetime:
    return DAY + timedelta(hours=hour, milliseconds=ms)


def row(job: str, hour: float, state: RunState = RunState.SUCCESS, **more: Any) -> Run:
    """Return a run; terminal ones ended half an hour after their tick."""
    if state.is_terminal:
        more.setdefault("ended", at(hour + 0.5))
    return Run(job, at(hour), state, **more)


def left_out(job: str, first: float, last: float, reason: str = "paused", **more: Any) -> Run:
    return Run(job, at(first), RunState.SKIPPED, until=at(last), reason=reason, ended=at(last), **more)


def attempt(job: str, hour: float, number: int = 1, **more: Any) -> Attempt:
    return Attempt(job, at(hour), number, started=more.pop("started", at(hour, ms=5)), **more)


def event(seq: int, hour: float = 0, **more: Any) -> EventRow:
    return EventRow(seq, at(hour), more.pop("type", "RunQueued"), **more)


FULL_RUN = Run(
    job="load",
    tick=at(1, ms=7),
    state=RunState.FAILED,
    until=at(3),
    reason="exit 3: Straße, 完了",
    origin=Origin.BACKFILL,
    created=at(4),
    ready=at(5),
    started=at(6),
    ended=at(7, ms=999),
    attempts=2,
    attempt_limit=5,
    not_before=at(8),
    exit_code=-9,
    links=(Link("extract", at(1), exact=True), Link("other", None)),
    stand_in=at(2),
    patient=True,
    only=True,
    stopping="cancelled by a person",
    params={"n": 1, "deep": {"a": [1, None, "é"]}},
    outputs={"rows": "17"},
    definition="ab" * 32,
    config=4,
    acked=True,
    late=True,
)
FULL_ATTEMPT = Attempt(
    "load",
    at(1, ms=7),
    2,
    at(6),
    at(7),
    Outcome.TIMED_OUT,
    -9,
    9,
    "no end in 5m",
    4711,
    "logs/x.log",
    12345,
    "ab",
)
FULL_EVENT = EventRow(
    1, at(7, ms=1), "AttemptFinished", "load", at(1, ms=7), 2, "running", "failed", "exit 3", {"by": ["p", 1]}
)


@asynccontextmanager
async def daemon(store: Store, *batches: Batch) -> AsyncIterator[Store]:
    """Open for writing, acquire, commit `batches`; close at the end."""
    await store.open(write=True)
    try:
        await store.acquire("the test")
        for batch in batches:
            await store.commit(batch)
        yield store
    finally:
        await store.close()


@asynccontextmanager
async def reader(store: Store) -> AsyncIterator[Store]:
    await store.open(write=False)
    try:
        yield store
    finally:
        await store.close()
