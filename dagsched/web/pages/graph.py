"""*Graph*: who waits for whom, with the state of each job, around one job or all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagsched.api.table import Query
from dagsched.graph import Graph
from dagsched.model import Config
from dagsched.triggers.text import schedule_text
from dagsched.views.names import known_job
from dagsched.web.folding import NODES_MAX, WAYS, Folded, Node, around, folded
from dagsched.web.graph_svg import HEIGHT, WIDTH, Box, picture, short
from dagsched.web.standing import Standing, counted, graph_of, standing, worst
from dagsched.web.table import Look, Page

HOPS, HOPS_MAX = 2, 999
ZOOMS = ("25", "50", "75", "100", "150", "fit")
ROWS_MAX = 200
NAMES_MAX = 400
DASHED_MAX = 4000
"""A drawing that is higher has no dashed edges."""
WORDS_MAX = 22


@dataclass(frozen=True, slots=True)
class Shown:
    """A node as it is drawn. `words`: its state and, for a group, how many of its jobs are in which."""

    node: Node
    box: Box
    state: str
    words: str
    label: str
    title: str
    run: str = ""
    is_focus: bool = False


async def data(look: Look) -> Mapping[str, Any]:
    """Return the nodes and edges to draw, or the rows of the same as a list."""
    query = look.query
    config, graph = await look.config(), await graph_of(look)
    focus = query["job"]
    ids: Sequence[str] = graph.order
    if focus:
        known_job(focus, config.jobs)
        ids = around(graph, focus, query["hops"])
    stands = await standing(look, ids)
    common = {
        "query": _link_query(look),
        "focus": focus,
        "total": len(ids),
        "counts": counted(each.state for each in stands.values()),
        "known": list(config.jobs) if len(config.jobs) <= NAMES_MAX else [],
        "ways": WAYS,
        "zooms": ZOOMS,
        "nodes_max": NODES_MAX,
        "hops_max": HOPS_MAX,
        "title": f"Graph of {focus}" if focus else "Graph",
    }
    if query["view"] == "list":
        return {**common, **_rows(look, ids, graph, config, stands)}
    shape = folded(config.jobs, graph, ids, query["by"], frozenset(query["open"]))
    return {**common, **await asyncio.to_thread(_drawing, shape, stands, config, focus)}


def _link_query(look: Look) -> dict[str, Any]:
    """Return the query without what is there by default, for links that change some of it."""
    query = look.query
    defaults = {"hops": HOPS, "by": "auto", "view": "picture", "zoom": "100", "after": None}
    kept = {name: value for name, value in query.items() if value != defaults.get(name)}
    return kept if query["job"] else {name: value for name, value in kept.items() if name != "hops"}


def _drawing(shape: Folded, stands: Mapping[str, Standing], config: Config, focus: str | None) -> dict[str, Any]:
    drawn = picture(len(shape.nodes), tuple(shape.edges))
    nodes = [
        _shown(node, box, stands, config, node.jobs == (focus,))
        for node, box in zip(shape.nodes, drawn.boxes, strict=True)
    ]
    edges = [
        (path, shape.nodes[begin].label, shape.nodes[end].label, nodes[begin].state)
        for path, (begin, end) in zip(drawn.paths, shape.edges, strict=True)
    ]
    return {
        "nodes": nodes,
        "edges": edges,
        "by": shape.by,
        "is_large": len(nodes) > NODES_MAX,
        "groups": sum(node.is_group for node in shape.nodes),
        "dashed_max": DASHED_MAX,
        "width": drawn.width,
        "height": drawn.height,
        "box": (WIDTH, HEIGHT),
    }


def _shown(node: Node, box: Box, stands: Mapping[str, Standing], config: Config, is_focus: bool) -> Shown:
    if node.is_group:
        counts = counted(stands[id].state for id in node.jobs)
        said = [f"{count} {state.replace('_', ' ') or 'never ran'}" for state, count in counts]
        words = _fitting(said)
        title = f"{node.label}: {len(node.jobs)} jobs, {', '.join(said)}"
        return Shown(node, box, worst(state for state, _ in counts), words, short(node.label), title)
    [id] = node.jobs
    stand, job = stands[id], config.jobs[id]
    told = [id, job.description, schedule_text(job.schedule) or "", stand.run.reason if stand.run else ""]
    run = stand.run.name if stand.run is not None else ""
    return Shown(node, box, stand.state, "", short(id), "\n".join(filter(None, told)), run, is_focus)


def _fitting(said: Sequence[str]) -> str:
    """Return as many of the counts as fit into a node, the first in any case."""
    shown = 1
    while shown < len(said) and len(", ".join(said[: shown + 1])) <= WORDS_MAX:
        shown += 1
    return ", ".join(said[:shown]) + (" …" if shown < len(said) else "")


def _rows(
    look: Look, ids: Sequence[str], graph: Graph, config: Config, stands: Mapping[str, Standing]
) -> dict[str, Any]:
    """Return a page of the same as a list, upstreams first."""
    begin = look.query["after"]
    start = ids.index(begin) + 1 if begin in ids else 0
    page = ids[start : start + ROWS_MAX]
    rows = [
        (id, stands[id], graph.upstream[id], graph.downstream[id], str(config.jobs[id].trigger_rule)) for id in page
    ]
    return {"rows": rows, "following": page[-1] if start + ROWS_MAX < len(ids) else None}


PAGE = Page(
    "/graph",
    "Graph",
    "graph.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        Query("job", "text", "Only what is around this job."),
        Query("hops", "count", "So many steps around it.", HOPS, least=1, most=HOPS_MAX),
        Query("by", "choice", "What groups are.", "auto", choices=("auto", "none", *WAYS)),
        Query("open", "text", "Groups that are shown job by job.", many=True),
        Query("view", "choice", "As a picture or as a list.", "picture", choices=("picture", "list")),
        Query("zoom", "choice", "How large, in percent.", "100", choices=ZOOMS),
        Query("after", "text", "The `next` of an earlier page of the list."),
    ],
)
