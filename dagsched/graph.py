"""Who comes before whom: order, cycles and closures of the dependency graph.

The order is `graphlib.TopologicalSorter`'s (what `graphlib-backport` gives to Pythons before 3.9), made
stable: among jobs that are free at the same time the file's order decides, so that every replica and every
replay makes ticks in the same sequence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter

from dagsched.declaration import Job
from dagsched.errors import CycleFound


class Graph:
    """The jobs of one configuration and their edges.

    `order`: all ids, upstreams first. `rank`: id → place in that order. `upstream` and `downstream`: id →
    direct neighbours, in the order of the files. Edges to ids that are not declared are ignored (the
    loader reports them). Raises CycleFound.
    """

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self.upstream = {id: tuple(edge.job for edge in job.depends_on if edge.job in jobs) for id, job in jobs.items()}
        below: dict[str, list[str]] = {id: [] for id in jobs}
        for id, above in self.upstream.items():
            for upstream in above:
                below[upstream].append(id)
        self.downstream = {id: tuple(ids) for id, ids in below.items()}
        self.order = _order(self.upstream)
        self.rank = {id: place for place, id in enumerate(self.order)}

    def ancestors(self, id: str) -> tuple[str, ...]:
        """Return everything `id` waits for, directly or not, in topological order; `id` is not among them."""
        return self._closure([id], self.upstream)

    def descendants(self, id: str) -> tuple[str, ...]:
        """Return everything that waits for `id`, directly or not, in topological order."""
        return self._closure([id], self.downstream)

    def with_ancestors(self, ids: Iterable[str]) -> tuple[str, ...]:
        """Return `ids` and all they wait for, in topological order."""
        wanted = list(ids)
        return tuple(sorted({*wanted, *self._closure(wanted, self.upstream)}, key=self.rank.__getitem__))

    def _closure(self, ids: Iterable[str], edges: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        start = set(ids)
        found: set[str] = set()
        frontier = list(start)
        while frontier:
            for neighbour in edges[frontier.pop()]:
                if neighbour not in found:
                    found.add(neighbour)
                    frontier.append(neighbour)
        return tuple(sorted(found, key=self.rank.__getitem__))


def _order(upstream: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    place = {id: number for number, id in enumerate(upstream)}
    # Jobs that wait for nobody come first anyway, and are most of them.
    free = [id for id, above in upstream.items() if not above]
    waiting = {id: [each for each in above if upstream[each]] for id, above in upstream.items() if above}
    sorter = TopologicalSorter(waiting)
    try:
        sorter.prepare()
    except CycleError as error:
        # graphlib walks from a node to what it waits for, last to first.
        raise CycleFound(tuple(reversed(error.args[1]))) from None
    order = free
    while sorter.is_active():
        ready = sorted(sorter.get_ready(), key=place.__getitem__)
        order.extend(ready)
        sorter.done(*ready)
    return tuple(order)
