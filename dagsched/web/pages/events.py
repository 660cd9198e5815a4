"""*Events*: the event log, newest first, by kind and job; what happens meanwhile is put on top of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagsched.api.table import Query
from dagsched.web.table import Look, Page

ROWS = 100
LOOK = 20_000
"""So many events are looked at for one page when only some kinds are wanted."""
KINDS = ("run", "attempt", "job", "config", "daemon", "event", "backfill", "clock", "api", "executor")


async def data(look: Look) -> Mapping[str, Any]:
    """Return a page of events, and where the one before it ends."""
    query, job, kind = look.query, look.query["job"], look.query["kind"]
    newest = await look.desk.news.newest()
    before = min(query["before"] or newest + 1, newest + 1)
    after = max(0, before - 1 - LOOK) if kind else 0
    begin = "" if kind is None else f"{kind}."
    rows = await look.desk.store.newest_events(after=after, before=before, limit=ROWS, job=job, kind=begin)
    return {
        "rows": rows,
        "query": {name: value for name, value in query.items() if value is not None},
        "older": rows[-1].seq if len(rows) == ROWS else after + 1 if after else None,
        "is_newest": query["before"] is None,
        "looked_from": after,
        "kinds": KINDS,
        "rows_max": 3 * ROWS,
    }


PAGE = Page(
    "/events",
    "Events",
    "events.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        Query("kind", "choice", "Only events of this kind.", choices=KINDS),
        Query("job", "text", "Only events of this job."),
        Query("before", "count", "Only events with a smaller number.", least=1),
    ],
)
