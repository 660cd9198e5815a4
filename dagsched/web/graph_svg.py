"""A graph as the numbers of an SVG: where boxes stand and how edges run. Attributes only, for a strict policy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

from dagsched.web.layers import Drawing, Spot, lay_out

WIDTH, HEIGHT = 184, 40
GAP_X, GAP_Y = 52, 14
MARGIN = 8
LABEL_MAX = 20
KEPT = 64


class Box(NamedTuple):
    """The upper left corner of a node."""

    x: float
    y: float


class Picture(NamedTuple):
    """Boxes by node, paths by edge, and how large all of it is."""

    boxes: Sequence[Box]
    paths: Sequence[str]
    width: int
    height: int


@lru_cache(maxsize=KEPT)
def picture(count: int, edges: tuple[tuple[int, int], ...]) -> Picture:
    """Return the picture of a graph; paths are in the order of the edges."""
    drawn = lay_out(count, edges)
    boxes = [_box(drawn.spots[node]) for node in range(count)]
    width = max(1, drawn.layers) * (WIDTH + GAP_X) - GAP_X + 2 * MARGIN
    height = round(max(1.0, drawn.rows) * (HEIGHT + GAP_Y) - GAP_Y + 2 * MARGIN)
    return Picture(boxes, [_path(drawn, edge) for edge in edges], width, height)


def _box(spot: Spot) -> Box:
    return Box(MARGIN + spot.layer * (WIDTH + GAP_X), round(MARGIN + spot.row * (HEIGHT + GAP_Y), 1))


def _path(drawn: Drawing, edge: tuple[int, int]) -> str:
    """Return a line from the right side of one box to the left side of another, level where it passes a column."""
    begin, end = (_box(drawn.spots[node]) for node in edge)
    x, y = begin.x + WIDTH, begin.y + HEIGHT / 2
    parts = [f"M{_n(x)} {_n(y)}"]
    for bend in drawn.bends[edge]:
        there = _box(bend)
        parts += _curve(x, y, there.x, there.y + HEIGHT / 2)
        x, y = there.x + WIDTH, there.y + HEIGHT / 2
        parts.append(f"H{_n(x)}")
    parts += _curve(x, y, end.x - 5, end.y + HEIGHT / 2)
    return "".join(parts)


def _curve(x: float, y: float, to_x: float, to_y: float) -> Iterable[str]:
    if abs(y - to_y) < 0.5:
        return [f"L{_n(to_x)} {_n(to_y)}"]
    bow = max(abs(to_x - x) / 2, GAP_X / 2)
    return [f"C{_n(x + bow)} {_n(y)} {_n(to_x - bow)} {_n(to_y)} {_n(to_x)} {_n(to_y)}"]


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")


def short(label: str, most: int = LABEL_MAX) -> str:
    """Return a label that fits: long ones lose their middle, for names differ at their ends."""
    if len(label) <= most:
        return label
    tail = (most - 1) // 2
    return f"{label[: most - 1 - tail]}…{label[-tail:]}"
