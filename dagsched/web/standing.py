"""How jobs stand: the state of each, as `status` says it, from one look at the runs of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakKeyDictionary

from dagsched.api.desk import Desk
from dagsched.graph import Graph
from dagsched.model import LIVE, Config, JobMark, Run, RunState
from dagsched.views.status import JobLine
from dagsched.web.table import Look

WORST_FIRST = (
    "failed", "upstream_failed", "running", "retrying", "queued", "waiting", "cancelled", "missed", "skipped",
    "success", "paused", "disabled", "removed", "",
)  # fmt: skip
"""The order in which states want to be seen: of several, the first one counts."""
_URGENT = (RunState.RUNNING, RunState.RETRYING, RunState.QUEUED, RunState.WAITING)

_graphs: WeakKeyDictionary[Desk, tuple[Config, Graph]] = WeakKeyDictionary()


class Standing(NamedTuple):
    """A job's state, and the run that is behind it: one under way, else its newest."""

    state: str
    run: Run | None


async def standing(look: Look, ids: Sequence[str]) -> dict[str, Standing]:
    """Return how each of these jobs stands."""
    store = look.desk.store
    config = await look.config()
    marks = await look.marks()
    newest = dict(await look.shelf.newest(ids))
    for run in await store.rows(states=sorted(LIVE)):
        known = newest.get(run.job)
        if known is None or _urgency(run) > _urgency(known):
            newest[run.job] = run
    return {id: _of(id, newest.get(id), config, marks) for id in ids}


def _urgency(run: Run) -> int:
    return len(_URGENT) - _URGENT.index(run.state) if run.state in _URGENT else 0


def _of(id: str, run: Run | None, config: Config, marks: Mapping[str, JobMark]) -> Standing:
    job, mark = config.jobs.get(id), marks.get(id)
    is_enabled = job.enabled if job is not None else True
    line = JobLine(id, is_enabled, mark.paused if mark else None, run, None, {}, removed=job is None)
    return Standing(line.state, run)


def worst(states: Iterable[str]) -> str:
    """Return the state that wants to be seen first."""
    return min(states, key=WORST_FIRST.index, default="")


def counted(states: Iterable[str]) -> list[tuple[str, int]]:
    """Return how often each state occurs, the worst first."""
    return sorted(Counter(states).items(), key=lambda item: WORST_FIRST.index(item[0]))


async def graph_of(look: Look) -> Graph:
    """Return the graph of the configuration in force; it is made once for each configuration."""
    config = await look.config()
    known = _graphs.get(look.desk)
    if known is None or known[0] is not config:
        known = _graphs[look.desk] = config, Graph(config.jobs)
    return known[1]
