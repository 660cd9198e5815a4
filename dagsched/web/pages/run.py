"""*Run*: one run with its attempts, why it waits or waited, what it wrote, and its verbs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from dagsched.api.client import call
from dagsched.api.outputs import written
from dagsched.api.reads import run_of
from dagsched.api.table import Query
from dagsched.errors import DagschedError, Unknown
from dagsched.explaining import why
from dagsched.model import BAD, CALLER, Attempt, Run, RunState, format_instant, run_name
from dagsched.triggers import local
from dagsched.views.whole import called_by_it, event_of, given_params
from dagsched.web import tails
from dagsched.web.around import downstream_of, upstream_of
from dagsched.web.table import Look, Page

CALLED_SHOWN = 50
WORDS_MAX = 200


async def data(look: Look) -> Mapping[str, Any]:
    """Return all that is known of one run."""
    store = look.desk.store
    run = await run_of(store, look.path["run"])
    job = (await look.config()).jobs.get(run.job)
    attempts = await store.attempts(run.job, run.tick)
    attempt = _chosen(run, attempts, look.query["attempt"])
    return {
        "title": f"{run.job} {format_instant(run.tick)}",
        "run": run,
        "job": job,
        "zone": job.timezone if job else "UTC",
        "local_tick": local(run.tick, job.timezone) if job else run.tick,
        "attempts": attempts,
        "has_places": any(each.place for each in attempts),
        "attempt": attempt,
        "upstream": await upstream_of(look, run, look.query["above"]),
        "downstream": await downstream_of(look, run, look.query["below"]) if job else None,
        "usual_s": (await look.shelf.usual_s({run.job})).get(run.job),
        "params": given_params(run),
        "event": event_of(run),
        "caller_run": run.params.get(CALLER),
        "called": called_by_it(run)[-CALLED_SHOWN:],
        "called_more": max(0, len(called_by_it(run)) - CALLED_SHOWN),
        "stand_in": run_name(run.job, run.stand_in) if run.stand_in else None,
        "run_name_of": run_name,
        "why": await _why(look, run),
        "can": _verbs(run),
        "query": dict(look.query),
        "kept": _kept(look.query),
        **(await _log(look, attempt)),
    }


def _kept(query: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the query for links that change some of it, without what is so by default."""
    kept = {name: value for name, value in query.items() if value and not (name in ("above", "below") and value == 1)}
    return kept | ({"why": "true"} if query["why"] else {})


def _chosen(run: Run, attempts: Sequence[Attempt], number: int | None) -> Attempt | None:
    if number is None:
        return attempts[-1] if attempts else None
    for attempt in attempts:
        if attempt.number == number:
            return attempt
    raise Unknown(f"attempt of {run.name}:", str(number), [str(each.number) for each in attempts])


async def _log(look: Look, attempt: Attempt | None) -> Mapping[str, Any]:
    words = (look.query["find"] or "").strip()[:WORDS_MAX]
    if attempt is None:
        return {"tail": None, "found": None}
    desk, found = look.desk, None
    if words:
        found = await asyncio.to_thread(tails.find_in, await written(desk.store, desk.home, attempt), words)
    tail = await asyncio.to_thread(tails.tail_in, await written(desk.store, desk.home, attempt))
    return {"tail": tail, "found": found}


async def _why(look: Look, run: Run) -> Sequence[str]:
    """Return why an open run does what it does, from the daemon; of others, on request, from the record."""
    if not run.state.is_terminal:
        try:
            told = await call(look.desk.home, "why", {"job": run.job, "tick": format_instant(run.tick)})
        except DagschedError:
            told = None
        if told and told["lines"]:
            return list(map(str, told["lines"]))
    if not look.query["why"]:  # it may take a while: a plan is made of what is stored
        return ()
    config, daemon = await look.config(), await look.shelf.daemon()
    return (await why(look.desk.store, config, run.job, run.tick, look.now, daemon=daemon)).lines


def _verbs(run: Run) -> Mapping[str, bool]:
    """Return which verbs make sense for a run."""
    is_over, is_range = run.state.is_terminal, run.until is not None
    return {
        "cancel": not is_over,
        "rerun": is_over and not is_range and (run.state in BAD or run.state is RunState.SUCCESS),
        "ack": run.state is RunState.FAILED and not run.acked,
    }


PAGE = Page(
    "/runs/{run}",
    "Run",
    "run.html",
    data,
    within="/jobs",
    follows=True,
    query=[
        Query("attempt", "count", "Whose output is shown; the newest attempt's without it.", least=1),
        Query("find", "text", "Show the lines of the output that have these words in them."),
        Query("why", "flag", "Explain a run that is over.", False),
        Query("above", "count", "The number of the first upstream run that is listed.", 1, least=1, most=10**6),
        Query("below", "count", "The number of the first downstream job that is listed.", 1, least=1, most=10**6),
    ],
)
