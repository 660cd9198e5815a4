"""What is around a run, by the page: the runs it was judged against, and those that wait for it.

Whatever went wrong or is not over comes first: of three hundred upstreams that is the one that somebody looks for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dagsched.model import Link, Match, Run, RunState
from dagsched.views.whole import linked
from dagsched.web.standing import WORST_FIRST, counted, graph_of
from dagsched.web.table import Look

SHOWN = 40
LOOKED_AT = 1000
"""Of more than that many links the states are only looked up for those that are shown."""


class Neighbour(NamedTuple):
    """A job before or after, and its run; `words` say what is particular, or why there is no run."""

    job: str
    run: Run | None
    words: str = ""


@dataclass(frozen=True, slots=True)
class Around:
    """A page of neighbours: numbers `first` to `last` of `total`, and how many of all are in each state, if looked at.

    `before`, `following`: the first number of the pages beside this one, None where there is none.
    """

    rows: Sequence[Neighbour]
    first: int
    total: int
    states: Sequence[tuple[str, int]] = ()

    @property
    def last(self) -> int:
        return self.first + len(self.rows) - 1

    @property
    def before(self) -> int | None:
        return max(1, self.first - SHOWN) if self.first > 1 else None

    @property
    def following(self) -> int | None:
        return self.last + 1 if self.last < self.total else None


async def upstream_of(look: Look, run: Run, first: int) -> Around:
    """Return the runs that this one was judged against, from number `first` on."""
    store, links = look.desk.store, run.links
    if len(links) > LOOKED_AT:
        page = await linked(store, links[first - 1 : first - 1 + SHOWN])
        return Around([_above(link, found) for link, found in page], first, len(links))
    return _page([_above(link, found) for link, found in await linked(store, links)], first)


def _above(link: Link, found: Run | None) -> Neighbour:
    if found is None:
        return Neighbour(link.job, None, "has had no tick" if link.tick is None else "the row is gone")
    return Neighbour(link.job, found, "" if link.match is Match.LATEST else str(link.match))


async def downstream_of(look: Look, run: Run, first: int) -> Around:
    """Return the jobs that wait for this one, with their runs of the same tick, from number `first` on."""
    config, graph = await look.config(), await graph_of(look)
    ids = [] if run.only else graph.downstream.get(run.job, ())
    # A tick is shared by jobs without a schedule; others have it by chance, and each of those is a look of its own.
    sharing = [id for id in ids if config.jobs[id].schedule is None]
    others = [id for id in ids if config.jobs[id].schedule is not None]
    if len(sharing) > LOOKED_AT:
        sharing, others = [], [*sharing, *others]
    found = dict(await look.desk.store.runs([(id, run.tick) for id in sharing]))
    known = sorted((Neighbour(id, found.get((id, run.tick)), "no run of this tick") for id in sharing), key=_urgency)
    shown = [*known, *(Neighbour(id, None, "by its own schedule") for id in others)]
    page = shown[first - 1 : first - 1 + SHOWN]
    late = [(each.job, run.tick) for each in page if each.job in set(others)]
    found |= await look.desk.store.runs(late) if late else {}
    rows = [each._replace(run=found.get((each.job, run.tick))) for each in page]
    return Around(rows, first, len(shown), _states([each for each in known if each.run is not None]))


def _page(rows: Sequence[Neighbour], first: int) -> Around:
    return Around(sorted(rows, key=_urgency)[first - 1 : first - 1 + SHOWN], first, len(rows), _states(rows))


def _urgency(row: Neighbour) -> int:
    return WORST_FIRST.index(row.run.state) if row.run is not None else WORST_FIRST.index(RunState.MISSED)


def _states(rows: Sequence[Neighbour]) -> Sequence[tuple[str, int]]:
    return counted(str(each.run.state) for each in rows if each.run is not None)
