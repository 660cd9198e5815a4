"""One run with all its parts: attempts, the upstream runs it was judged against, parameters and outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagsched.model import CALLED, CALLER, EVENT, EVENT_DATA, Attempt, Link, Run, run_name
from dagsched.stores.contract import Store
from dagsched.views.rows import attempt_row, run_row
from dagsched.views.times import instant_or_none


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything known of one run. `upstream`: each link with the run it leads to, if there is one."""

    run: Run
    attempts: Sequence[Attempt]
    upstream: Sequence[tuple[Link, Run | None]]


async def read_whole(store: Store, run: Run) -> Whole:
    """Return a run with everything that belongs to it."""
    attempts = await store.attempts(run.job, run.tick)
    return Whole(run, attempts, await linked(store, run.links))


async def linked(store: Store, links: Sequence[Link]) -> Sequence[tuple[Link, Run | None]]:
    """Return each link with the run that it leads to, if there is one."""
    found = await store.runs([(link.job, link.tick) for link in links if link.tick is not None])
    return [(link, None if link.tick is None else found.get((link.job, link.tick))) for link in links]


def whole_doc(whole: Whole) -> dict[str, Any]:
    """Return all of it as `show --json` prints it."""
    found = whole.run
    return {
        **run_row(found),
        "created": instant_or_none(found.created),
        "ready": instant_or_none(found.ready),
        "not_before": instant_or_none(found.not_before),
        "attempt_limit": found.attempt_limit,
        "stand_in": run_name(found.job, found.stand_in) if found.stand_in else None,
        "only": found.only,
        "acknowledged": found.acked,
        "params": given_params(found),
        "event": event_of(found),
        "caller": found.params.get(CALLER),
        "called": called_by_it(found),
        "outputs": dict(found.outputs),
        "definition": found.definition,
        "attempt_list": [attempt_row(attempt) for attempt in whole.attempts],
        "upstream": [_link_row(link, upstream) for link, upstream in whole.upstream],
    }


def _link_row(link: Link, upstream: Run | None) -> dict[str, Any]:
    return {
        "job": link.job,
        "match": str(link.match),
        "run": run_name(link.job, link.tick) if link.tick else None,
        "state": str(upstream.state) if upstream else None,
        "reason": upstream.reason if upstream else "",
    }


def given_params(found: Run) -> dict[str, Any]:
    """Return the parameters that somebody gave, without what dagsched keeps among them."""
    return {name: value for name, value in found.params.items() if not name.startswith("DAGSCHED_")}


def event_of(found: Run) -> dict[str, Any] | None:
    """Return name and data of the event that the run came of."""
    return {"name": found.params[EVENT], "data": found.params.get(EVENT_DATA, {})} if EVENT in found.params else None


def called_by_it(found: Run) -> list[str]:
    """Return the runs that a workflow has made as its step, the newest last."""
    return [name for name in found.params.get(CALLED, ()) if name]
