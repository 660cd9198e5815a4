"""Many jobs as few nodes of a graph: groups of jobs stand for those in them until they are opened."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from dagsched.graph import Graph
from dagsched.model import Job

NODES_MAX = 300
NODES_MIN = 6
"""Two files of hundreds of jobs each say nothing: some other way may part them better."""
DEPTHS = (3, 2, 1)
WAYS = ("file", "tag", "prefix", "flow")
"""What groups can be: the file of a job, its first tag, how its id begins, all that hangs together."""
_WORD = re.compile(r"[-_.]+")


@dataclass(frozen=True, slots=True)
class Node:
    """One node: a job, or a group, `label` being its name. `jobs`: one id, or those in the group."""

    label: str
    jobs: tuple[str, ...]
    is_group: bool = False


@dataclass(frozen=True, slots=True)
class Folded:
    """Nodes, the edges among them by number, and by what they were grouped, "" when they were not."""

    nodes: Sequence[Node]
    edges: Sequence[tuple[int, int]]
    by: str


def folded(
    jobs: Mapping[str, Job],
    graph: Graph,
    ids: Iterable[str],
    by: str = "auto",
    opened: Collection[str] = (),
    nodes_max: int = NODES_MAX,
) -> Folded:
    """Return these jobs as nodes, upstreams first. `by`: one of WAYS, "none", or "auto": grouped only if too many."""
    wanted = sorted(ids, key=graph.rank.__getitem__)
    group_of: Mapping[str, str] = {}
    if by == "auto":
        by, group_of = _fitting(jobs, graph, wanted, nodes_max) if len(wanted) > nodes_max else ("", {})
    elif by == "none":
        by = ""
    else:
        group_of = _way(by, jobs, graph, wanted)
    sizes = Counter(group_of.values())
    place: dict[str, int] = {}
    members: dict[str, list[str]] = defaultdict(list)
    labels: list[tuple[str, bool]] = []
    number: dict[str, int] = {}
    for id in wanted:
        group = group_of.get(id, "")
        is_group = sizes[group] > 1 and group != "" and group not in opened
        key = f"group {group}" if is_group else f"job {id}"
        if key not in number:
            number[key] = len(labels)
            labels.append((group if is_group else id, is_group))
        place[id] = number[key]
        members[key].append(id)
    nodes = [Node(label, tuple(members[key]), is_group) for key, (label, is_group) in zip(number, labels, strict=True)]
    edges = {
        (place[upstream], place[id])
        for id in wanted
        for upstream in graph.upstream[id]
        if upstream in place and place[upstream] != place[id]
    }
    return Folded(nodes, sorted(edges), by)


def _fitting(
    jobs: Mapping[str, Job], graph: Graph, wanted: Sequence[str], nodes_max: int
) -> tuple[str, Mapping[str, str]]:
    """Return the first way that makes few enough nodes and more than a handful, else than one; else none."""
    ways = [(by, _way(by, jobs, graph, wanted, nodes_max)) for by in WAYS]
    for least in (NODES_MIN, 2):
        for by, found in ways:
            if least <= _nodes(found, wanted) <= nodes_max:
                return by, found
    return "", {}


def _nodes(group_of: Mapping[str, str], wanted: Iterable[str]) -> int:
    return len({group_of.get(id) or f" {id}" for id in wanted})


def _way(
    by: str, jobs: Mapping[str, Job], graph: Graph, wanted: Sequence[str], nodes_max: int = NODES_MAX
) -> Mapping[str, str]:
    if by == "flow":
        return _flows(graph, wanted)
    if by == "prefix":
        return _prefixes(wanted, nodes_max)
    name_of: Callable[[Job], str] = _file if by == "file" else _tag
    return {id: name for id in wanted if (name := name_of(jobs[id]))}


def _file(job: Job) -> str:
    return PurePath(job.position.file).name if job.position is not None else ""


def _tag(job: Job) -> str:
    return job.tags[0] if job.tags else ""


def _prefixes(wanted: Sequence[str], nodes_max: int) -> Mapping[str, str]:
    """Return how each id begins: by as many words as still make few enough nodes."""
    found: Mapping[str, str] = {}
    for depth in DEPTHS:
        found = {id: begin for id in wanted if (begin := _begin(id, depth)) != id}
        if _nodes(found, wanted) <= min(nodes_max, len(wanted) - 1):
            break
    return found


def _begin(id: str, words: int) -> str:
    ends = [match.start() for match in _WORD.finditer(id)]
    return id[: ends[words - 1]] if len(ends) >= words else id


def flows(graph: Graph, wanted: Sequence[str]) -> list[list[str]]:
    """Return the ids that hang together, each flow with its upstreams first, in the order of `wanted`."""
    seen: set[str] = set()
    inside = set(wanted)
    found = []
    for start in wanted:
        if start in seen:
            continue
        seen.add(start)
        reached = [start]
        for id in reached:
            for beside in (*graph.upstream[id], *graph.downstream[id]):
                if beside in inside and beside not in seen:
                    seen.add(beside)
                    reached.append(beside)
        found.append(sorted(reached, key=graph.rank.__getitem__))
    return found


def _flows(graph: Graph, wanted: Sequence[str]) -> Mapping[str, str]:
    return {id: flow[0] for flow in flows(graph, wanted) for id in flow}


def around(graph: Graph, id: str, hops: int) -> list[str]:
    """Return the job, what it waits for and what waits for it, up to so many steps away; upstreams first."""
    found = {id}
    for beside in (graph.upstream, graph.downstream):
        reached, edge = {id}, {id}
        for _ in range(hops):
            edge = {each for here in edge for each in beside[here]} - reached
            reached.update(edge)
            if not edge:
                break
        found |= reached
    return sorted(found, key=graph.rank.__getitem__)
