"""Where the nodes and edges of a graph are drawn: in layers, what comes before further left.

After Sugiyama, Tagawa and Toda (1981): edges that close a cycle are turned round, nodes get layers, an edge over
several layers gets a bend in each of them, the order within layers is improved until few edges cross, and places are
given so that edges are short. `fast-sugiyama` does the last four where it is installed (extra `graph`); the plain way
below is for everywhere else, and for what that library cannot do.

Places are without a unit: `layer` counts columns, `row` counts rows, and a node is one row high. Parts of a graph that
have nothing to do with each other are laid out apart and packed like words on shelves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

BENDS_MAX = 12_000
"""With more bends than that edges go straight: the picture is a thicket anyway, and must not take seconds."""
SWEEPS = 8
BEND_ROWS = 0.4
BETWEEN = 0.5
"""So many rows are free between parts."""
SHAPE = 1.1
"""How many columns wide a drawing is for each row of a third that height: what fills a screen."""

THICK = 1.25
"""So many edges for each node (and FEW more) are laid out by the library; more of them take it seconds."""
FEW = 60

Edge = tuple[int, int]


class Spot(NamedTuple):
    """The place of a node or bend: its column, and its row, which may lie between two."""

    layer: int
    row: float


@dataclass(frozen=True, slots=True)
class Drawing:
    """A spot for each node, and for each edge those of its bends, from its begin to its end."""

    spots: Mapping[int, Spot]
    bends: Mapping[Edge, Sequence[Spot]]
    layers: int
    rows: float


Lay = Callable[[int, Sequence[Edge]], Drawing]


def lay_out(count: int, edges: Iterable[Edge], lay: Lay | None = None) -> Drawing:
    """Return where `count` nodes, 0 and up, and the edges among them are drawn; cycles are allowed.

    `lay` lays out one connected part without cycles; the best there is by default. The same graph is always drawn
    the same way.
    """
    known = sorted({edge for edge in edges if edge[0] != edge[1]})
    turned = _turned(count, known)
    parts = _parts(count, turned)
    drawn = [(part, _part(part, turned, lay or best())) for part in parts if len(part) > 1]
    alone = [part[0] for part in parts if len(part) == 1]
    return _backwards(_packed(drawn, alone), known, turned)


def best() -> Lay:
    """Return the best way of laying out that is installed."""
    try:
        from dagsched.web.sugiyama import by_library
    except ImportError:
        return plainly
    return by_library


# ---------------------------------------------------------------- without cycles, in parts


def _turned(count: int, edges: Sequence[Edge]) -> list[Edge]:
    """Return the edges with those turned round that would close a cycle, so that none is left."""
    after: list[list[int]] = [[] for _ in range(count)]
    for begin, end in edges:
        after[begin].append(end)
    state = [0] * count  # 1 while on the path walked, 2 when done
    back: set[Edge] = set()
    for start in range(count):
        if state[start]:
            continue
        state[start] = 1
        path = [(start, iter(after[start]))]
        while path:
            node, rest = path[-1]
            following = next(rest, None)
            if following is None:
                state[node] = 2
                path.pop()
            elif state[following] == 1:
                back.add((node, following))
            elif not state[following]:
                state[following] = 1
                path.append((following, iter(after[following])))
    return sorted({(end, begin) if (begin, end) in back else (begin, end) for begin, end in edges})


def _parts(count: int, edges: Iterable[Edge]) -> list[list[int]]:
    """Return the connected parts, the largest first, each with its nodes in order."""
    leader = list(range(count))

    def find(node: int) -> int:
        while leader[node] != node:
            leader[node] = leader[leader[node]]
            node = leader[node]
        return node

    for begin, end in edges:
        leader[max(find(begin), find(end))] = min(find(begin), find(end))
    found: dict[int, list[int]] = {}
    for node in range(count):
        found.setdefault(find(node), []).append(node)
    return sorted(found.values(), key=lambda part: (-len(part), part[0]))


def _part(part: Sequence[int], edges: Iterable[Edge], lay: Lay) -> Drawing:
    """Return one part laid out, its nodes named as in the whole."""
    number = {node: place for place, node in enumerate(part)}
    inner = [(number[begin], number[end]) for begin, end in edges if begin in number]
    drawn = (lay if len(inner) <= THICK * len(part) + FEW else plainly)(len(part), inner)
    return Drawing(
        {part[node]: spot for node, spot in drawn.spots.items()},
        {(part[begin], part[end]): bends for (begin, end), bends in drawn.bends.items()},
        drawn.layers,
        drawn.rows,
    )


def _packed(drawn: Sequence[tuple[Sequence[int], Drawing]], alone: Sequence[int]) -> Drawing:
    """Return the parts side by side on shelves, and below them the nodes without any edge."""
    area = sum(part.layers * (part.rows + 1) for _, part in drawn) + len(alone)
    width = max([round((area / 3) ** 0.5 * SHAPE), 3, *(part.layers for _, part in drawn)])
    spots: dict[int, Spot] = {}
    bends: dict[Edge, Sequence[Spot]] = {}
    top = height = 0.0
    used = 0
    for _, part in sorted(drawn, key=lambda each: (-each[1].layers, -each[1].rows, each[0][0])):
        if used and used + part.layers > width:
            top, height, used = top + height + BETWEEN, 0.0, 0
        for node, spot in part.spots.items():
            spots[node] = Spot(spot.layer + used, spot.row + top)
        for edge, through in part.bends.items():
            bends[edge] = [Spot(spot.layer + used, spot.row + top) for spot in through]
        used += part.layers
        height = max(height, part.rows)
    top = top + height + BETWEEN if drawn else 0.0
    for place, node in enumerate(alone):
        spots[node] = Spot(place % width, top + place // width)
    rows = max((spot.row for spot in [*spots.values(), *(one for many in bends.values() for one in many)]), default=-1)
    return Drawing(spots, bends, 1 + max((spot.layer for spot in spots.values()), default=-1), rows + 1)


def _backwards(drawn: Drawing, edges: Sequence[Edge], turned: Iterable[Edge]) -> Drawing:
    """Return the drawing with the edges as they were given: those that were turned round run backwards."""
    there = set(turned)
    bends: dict[Edge, Sequence[Spot]] = {}
    for begin, end in edges:
        if (begin, end) in there and (begin, end) in drawn.bends:
            bends[begin, end] = drawn.bends[begin, end]
        else:
            bends[begin, end] = drawn.bends.get((end, begin), ())[::-1]
    return Drawing(drawn.spots, bends, drawn.layers, drawn.rows)


# ---------------------------------------------------------------- the plain way


def plainly(count: int, edges: Sequence[Edge]) -> Drawing:
    """Lay out one part without cycles: longest paths, middles of neighbours, places as near to them as fit."""
    layer_of = layers_of(count, edges)
    bends, chains = count, dict[Edge, list[int]]()
    layer = dict(enumerate(layer_of))
    goes_straight = _bends(layer_of, edges) > BENDS_MAX
    for begin, end in edges:
        between = () if goes_straight else range(layer_of[begin] + 1, layer_of[end])
        chains[begin, end] = []
        for place in between:
            layer[bends] = place
            chains[begin, end].append(bends)
            bends += 1
    before, after = _neighbours(bends, chains)
    columns: list[list[int]] = [[] for _ in range(1 + max(layer_of, default=0))]
    for node in range(bends):
        columns[layer[node]].append(node)
    _order(columns, before, after)
    rows = _rows(columns, before, after, count)
    low = min(rows.values(), default=0.0)
    spot = {node: Spot(layer[node], row - low) for node, row in rows.items()}
    return Drawing(
        {node: spot[node] for node in range(count)},
        {edge: [spot[bend] for bend in chain] for edge, chain in chains.items()},
        len(columns),
        1 + max((each.row for each in spot.values()), default=-1),
    )


def _bends(layer: Sequence[int], edges: Iterable[Edge]) -> int:
    return sum(layer[end] - layer[begin] - 1 for begin, end in edges)


def layers_of(count: int, edges: Sequence[Edge]) -> list[int]:
    """Return the length of the longest path to each node, or more, where more of its edges get shorter by that."""
    after: list[list[int]] = [[] for _ in range(count)]
    missing = [0] * count
    for begin, end in edges:
        after[begin].append(end)
        missing[end] += 1
    before = list(missing)
    found, free = [0] * count, [node for node in range(count) if not missing[node]]
    for node in free:
        for following in after[node]:
            found[following] = max(found[following], found[node] + 1)
            missing[following] -= 1
            if not missing[following]:
                free.append(following)
    for node in reversed(free):
        if before[node] < len(after[node]):
            found[node] = min(found[following] for following in after[node]) - 1
    return found


def _neighbours(count: int, chains: Mapping[Edge, Sequence[int]]) -> tuple[list[list[int]], list[list[int]]]:
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for (begin, end), chain in chains.items():
        for left, right in zip([begin, *chain], [*chain, end], strict=True):
            after[left].append(right)
            before[right].append(left)
    return before, after


def _order(columns: list[list[int]], before: list[list[int]], after: list[list[int]]) -> None:
    """Sort each column by the middle of its neighbours in the one before, then in the one after, and again."""
    place = {node: float(number) for column in columns for number, node in enumerate(column)}
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        beside = before if forwards else after
        for column in columns if forwards else reversed(columns):
            middle = {
                node: sum(place[each] for each in beside[node]) / len(beside[node]) if beside[node] else place[node]
                for node in column
            }
            column.sort(key=middle.__getitem__)
            place.update((node, float(number)) for number, node in enumerate(column))


def _rows(
    columns: Sequence[Sequence[int]], before: list[list[int]], after: list[list[int]], count: int
) -> dict[int, float]:
    """Return a row for each node: as near to the middle of its neighbours as the order of its column allows."""
    rows: dict[int, float] = {}
    for column in columns:
        rows.update(zip(column, _apart([0.0] * len(column), column, count), strict=True))
    for sweep in range(SWEEPS):
        forwards = sweep % 2 == 0
        for column in columns if forwards else reversed(columns):
            wanted = []
            for node in column:
                beside = (before if forwards else after)[node] or (after if forwards else before)[node]
                wanted.append(sum(rows[each] for each in beside) / len(beside) if beside else rows[node])
            rows.update(zip(column, _apart(wanted, column, count), strict=True))
    return rows


def _apart(wanted: Sequence[float], column: Sequence[int], count: int) -> list[float]:
    """Return rows in this order, far enough apart, with the least sum of squared distances from what is wanted.

    By pooling adjacent violators: neighbours that would come too near become a block that is moved as one.
    """
    offsets, offset = list[float](), 0.0
    for number, node in enumerate(column):
        if number:
            half = [0.5 if each < count else BEND_ROWS / 2 for each in (column[number - 1], node)]
            offset += sum(half)
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for want, shift in zip(wanted, offsets, strict=True):
        total, size = want - shift, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / size:
            more, nodes = blocks.pop()
            total, size = total + more, size + nodes
        blocks.append((total, size))
    means = [total / size for total, size in blocks for _ in range(size)]
    return [mean + shift for mean, shift in zip(means, offsets, strict=True)]
