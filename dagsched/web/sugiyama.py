"""Layered drawings by `fast-sugiyama`, which is imported nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

from fast_sugiyama import from_edges

from dagsched.web.layers import BEND_ROWS, Drawing, Edge, Spot, plainly

UNIT = 100
PANIC = "PanicException"


def by_library(count: int, edges: Sequence[Edge]) -> Drawing:
    """Lay out one part without cycles; in the plain way if the library gives up on it."""
    try:
        # Alone at a place per row, and narrow where an edge only passes.
        [(places, _, _, pieces)] = from_edges(
            list(edges), vertex_spacing=UNIT, dummy_vertices=True, dummy_size=BEND_ROWS * UNIT, check_layout=False
        )
    except BaseException as error:
        # What panics in Rust is no Exception, so that nobody catches it unasked.
        if type(error).__name__ != PANIC and not isinstance(error, ValueError):
            raise
        return plainly(count, edges)
    top = max(place[1] for _, place in places)
    low = min(place[0] for _, place in places)
    spots = {int(node): Spot(round((top - y) / UNIT), (x - low) / UNIT) for node, (x, y) in places}
    following: dict[int, int] = {}
    begins: dict[Edge, int] = {}
    for begin, end in pieces or ():
        if int(begin) >= count:
            following[int(begin)] = int(end)
    for begin, end in pieces or ():
        if int(begin) < count:
            bend = int(end)
            while bend >= count:
                bend = following[bend]
            begins[int(begin), bend] = int(end)
    bends: dict[Edge, list[Spot]] = {}
    for edge in edges:
        bends[edge] = []
        bend = begins[edge]
        while bend >= count:
            bends[edge].append(spots[bend])
            bend = following[bend]
    return Drawing(
        {node: spots[node] for node in range(count)},
        bends,
        1 + max(spot.layer for spot in spots.values()),
        1 + max(spot.row for spot in spots.values()),
    )
