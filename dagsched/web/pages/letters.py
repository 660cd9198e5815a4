"""*Dead letters*: failed runs that nobody has retried or acknowledged, and messages that nobody got."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from dagsched.api.cursors import cursor_text, page_of_runs, read_cursor
from dagsched.api.table import Query
from dagsched.errors import StoreError
from dagsched.model import Run, RunState
from dagsched.stores.contract import Store
from dagsched.stores.notices import Notices, Told
from dagsched.views.names import known_job
from dagsched.web.table import Look, Page
from dagsched.web.tails import last_line

ROWS = 100
LOOK = 1000
"""So many failed runs are looked at for one page: those that were acknowledged are among them."""
MESSAGES_MAX = 50


async def data(look: Look) -> Mapping[str, Any]:
    """Return a page of dead letters, newest first."""
    query, job = look.query, look.query["job"]
    if job is not None:
        known_job(job, await look.known_jobs())
    runs, older = await _unanswered(look.desk.store, job, query["cursor"])
    messages = await asyncio.to_thread(_undelivered, look.desk.home) if query["cursor"] is None and not job else []
    return {
        "runs": runs,
        "wrote": await asyncio.to_thread(_last_lines, look.desk.home, runs),
        "older": older,
        "messages": messages,
        "messages_max": MESSAGES_MAX,
        "query": {name: value for name, value in query.items() if value is not None},
    }


async def _unanswered(store: Store, job: str | None, cursor: str | None) -> tuple[Sequence[Run], str | None]:
    """Return dead letters behind a cursor and the cursor behind them; None at the end."""
    begin = read_cursor(cursor) if cursor is not None else None
    page, following = await page_of_runs(store, job, [RunState.FAILED], None, None, LOOK, begin)
    found = [run for run in page if not run.acked]
    if len(found) <= ROWS:
        return found, following
    return found[:ROWS], cursor_text(found[ROWS - 1])


def _last_lines(home: Path, runs: Sequence[Run]) -> Mapping[str, str]:
    return {run.name: last_line(home, run) for run in runs}


def _undelivered(home: Path) -> Sequence[Told]:
    try:
        with closing(Notices(home, write=False)) as notices:
            return notices.messages(failed=True, limit=MESSAGES_MAX + 1)
    except StoreError:
        return []  # there is no queue, or `doctor` says what is wrong with it


PAGE = Page(
    "/letters",
    "Dead letters",
    "letters.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        Query("job", "text", "Only runs of this job."),
        Query("cursor", "text", "The `next` of an earlier page."),
    ],
)
