"""Where a graph is drawn: every layout keeps the same promises, the library's and the plain one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.web import layers
from dagsched.web.graph_svg import picture, short
from dagsched.web.layers import lay_out, plainly

sugiyama = pytest.importorskip("dagsched.web.sugiyama")
WAYS = pytest.mark.parametrize("lay", [plainly, sugiyama.by_library], ids=["plain", "library"])
GRAPHS = st.integers(1, 12).flatmap(
    lambda count: st.tuples(
        st.just(count), st.lists(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1)), max_size=20)
    )
)


def overlaps(drawn) -> list[tuple[int, int]]:
    by_layer: dict[int, list[tuple[float, int]]] = {}
    for node, spot in drawn.spots.items():
        by_layer.setdefault(spot.layer, []).append((spot.row, node))
    found = []
    for column in by_layer.values():
        column.sort()
        found += [(one, other) for (row, one), (next_row, other) in pairwise(column) if next_row - row < 0.99]
    return found


@WAYS
@settings(max_examples=60, deadline=None)
@given(graph=GRAPHS)
def test_nodes_never_overlap_and_every_edge_is_drawn(lay, graph):
    count, edges = graph
    drawn = lay_out(count, edges, lay)
    assert set(drawn.spots) == set(range(count))
    assert overlaps(drawn) == []
    assert set(drawn.bends) == {(begin, end) for begin, end in edges if begin != end}
    assert all(spot.layer < drawn.layers and spot.row <= drawn.rows - 1 + 1e-9 for spot in drawn.spots.values())
    assert all(spot.layer >= 0 and spot.row >= -1e-9 for spot in drawn.spots.values())


@WAYS
@settings(max_examples=60, deadline=None)
@given(graph=GRAPHS)
def test_without_cycles_every_edge_leads_to_the_right_with_a_bend_in_each_layer_between(lay, graph):
    count, given_edges = graph
    edges = {(min(edge), max(edge)) for edge in given_edges if edge[0] != edge[1]}
    drawn = lay_out(count, edges, lay)
    for (begin, end), bends in drawn.bends.items():
        between = range(drawn.spots[begin].layer + 1, drawn.spots[end].layer)
        assert [bend.layer for bend in bends] == list(between)
        assert drawn.spots[begin].layer < drawn.spots[end].layer


@WAYS
def test_a_chain_is_one_row_and_a_diamond_is_symmetric(lay):
    chain = lay_out(4, [(0, 1), (1, 2), (2, 3)], lay)
    assert [(chain.spots[node].layer, chain.spots[node].row) for node in range(4)] == [(0, 0), (1, 0), (2, 0), (3, 0)]
    diamond = lay_out(4, [(0, 1), (0, 2), (1, 3), (2, 3)], lay)
    rows = [diamond.spots[node].row for node in range(4)]
    assert rows[0] == rows[3] == pytest.approx((rows[1] + rows[2]) / 2)


@WAYS
def test_the_same_graph_is_always_drawn_the_same_way(lay):
    edges = [(node // 2, node) for node in range(1, 60)] + [(3, 50), (1, 40)]
    assert lay_out(60, edges, lay) == lay_out(60, reversed(edges), lay)


def test_parts_are_packed_and_nodes_without_edges_stand_below_them():
    drawn = lay_out(8, [(0, 1), (2, 3)], plainly)
    below = {drawn.spots[node].row for node in (4, 5, 6, 7)}
    assert min(below) > max(drawn.spots[node].row for node in range(4))


def test_a_thicket_is_laid_out_without_the_library_and_with_straight_edges(monkeypatch):
    monkeypatch.setattr(layers, "BENDS_MAX", 50)
    edges = [(begin, end) for begin in range(30) for end in range(begin + 1, 30)]
    drawn = lay_out(30, edges, lambda count, inner: pytest.fail("too many edges for the library"))
    assert all(bends == () or not list(bends) for bends in drawn.bends.values())


def test_what_the_library_gives_up_on_is_laid_out_plainly(monkeypatch):
    class PanicException(BaseException):
        """As pyo3 raises it."""

    def panic(*_: object, **__: object) -> None:
        raise PanicException("index out of bounds")

    monkeypatch.setattr(sugiyama, "from_edges", panic)
    assert lay_out(3, [(0, 1), (1, 2)], sugiyama.by_library) == lay_out(3, [(0, 1), (1, 2)], plainly)


def test_an_interruption_is_not_taken_for_a_panic(monkeypatch):
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sugiyama, "from_edges", interrupt)
    with pytest.raises(KeyboardInterrupt):
        lay_out(2, [(0, 1)], sugiyama.by_library)


def test_a_picture_has_a_box_per_node_and_a_path_per_edge_within_its_size():
    drawn = picture(4, ((0, 1), (0, 2), (1, 3)))
    assert len(drawn.boxes) == 4
    assert len(drawn.paths) == 3
    assert all(path.startswith("M") for path in drawn.paths)
    assert all(box.x + 184 < drawn.width and box.y + 40 < drawn.height for box in drawn.boxes)
    assert picture(0, ()).boxes == []


def test_a_long_label_loses_its_middle():
    assert short("nightly") == "nightly"
    assert short("a-very-long-name-of-a-job-eu-west-1") == "a-very-lon…eu-west-1"
    assert len(short("x" * 99)) == 20
