"""Runs by the page. A cursor names the last row of a page: what comes next is found by index, however deep."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from dagsched.api.answers import Turned
from dagsched.model import Run, RunState, format_instant, parse_instant
from dagsched.stores.contract import Store


class Cursor(NamedTuple):
    """The place of a row in the order of the store: by last tick, then job, then first tick."""

    last: datetime
    job: str
    tick: datetime


def cursor_text(run: Run) -> str:
    """Return the cursor of a page that ends with this row."""
    parts = [format_instant(run.until or run.tick), run.job, format_instant(run.tick)]
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def read_cursor(text: str) -> Cursor:
    """Return what `cursor_text` wrote; raises Turned for anything else."""
    try:
        last, job, tick = json.loads(base64.urlsafe_b64decode(text.encode() + b"=" * (-len(text) % 4)))
        if not isinstance(job, str):
            raise TypeError("a job is text")
        return Cursor(parse_instant(last), job, parse_instant(tick))
    except (ValueError, TypeError, AttributeError, RecursionError):
        raise Turned(400, "malformed", "'cursor' is the `next` of an earlier answer, unchanged") from None


async def page_of_runs(
    store: Store,
    job: str | None,
    states: Sequence[RunState],
    after: datetime | None,
    until: datetime | None,
    limit: int,
    cursor: Cursor | None,
) -> tuple[Sequence[Run], str | None]:
    """Return the next runs, newest first, and the cursor of the page after them, None at the end."""
    if cursor is not None:
        until = cursor.last if until is None else min(until, cursor.last)
    wanted = limit + 1
    while True:
        # Rows that share the cursor's last tick come again: of many jobs that are due together, that may be many.
        rows = await store.rows(job, after=after, until=until, states=states, limit=wanted)
        fresh = [row for row in rows if cursor is None or _place(row) < cursor]
        if len(fresh) > limit or len(rows) < wanted:
            break
        wanted *= 2
    page = fresh[:limit]
    return page, cursor_text(page[-1]) if len(fresh) > limit else None


def _place(run: Run) -> Cursor:
    return Cursor(run.until or run.tick, run.job, run.tick)
