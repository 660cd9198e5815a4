"""Order, cycles and closures of the dependency graph."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagsched.errors import CycleFound
from dagsched.graph import Graph
from dagsched.model import Dependency, Job


def graph(*declared: str) -> Graph:
    """A graph from `b: a c` words, in that order."""
    jobs = {}
    for text in declared:
        id, _, above = text.partition(":")
        jobs[id] = Job(id, depends_on=tuple(Dependency(name) for name in above.split()))
    return Graph(jobs)


def test_upstreams_come_before_downstreams():
    assert graph("c: a b", "b: a", "a").order == ("a", "b", "c")


def test_the_files_order_decides_among_those_that_are_free_together():
    assert graph("z", "m", "a").order == ("z", "m", "a")


def test_rank_is_the_place_in_that_order():
    made = graph("b: a", "a")
    assert made.rank == {"a": 0, "b": 1}


def test_neighbours_are_in_the_files_order():
    made = graph("a", "c: a", "b: a")
    assert (made.downstream["a"], made.upstream["c"]) == (("c", "b"), ("a",))


def test_closures_leave_out_the_job_itself_and_are_in_topological_order():
    made = graph("d: b c", "b: a", "c: a", "a", "e")
    assert made.ancestors("d") == ("a", "b", "c")
    assert made.descendants("a") == ("b", "c", "d")
    assert made.with_ancestors(["b", "e"]) == tuple(id for id in made.order if id in ("a", "b", "e"))


def test_a_cycle_is_found_and_its_path_walks_along_the_edges():
    with pytest.raises(CycleFound) as found:
        graph("a: c", "b: a", "c: b", "d")
    path = found.value.path
    assert path[0] == path[-1]
    assert set(path) == {"a", "b", "c"}
    edges = {"a": "c", "b": "a", "c": "b"}
    assert all(edges[one] == two for one, two in itertools.pairwise(path))


def test_a_job_that_depends_on_itself_is_a_cycle():
    with pytest.raises(CycleFound, match="a -> a"):
        graph("a: a")


def test_edges_to_undeclared_jobs_are_ignored():
    assert graph("a: ghost").upstream == {"a": ()}


@given(st.data(), st.integers(1, 30))
def test_every_edge_points_forward_in_the_order_of_any_graph_without_cycles(data, size):
    names = [f"j{n}" for n in data.draw(st.permutations(range(size)))]
    declared = [
        f"{name}: "
        + " ".join(data.draw(st.lists(st.sampled_from(names[:place]), unique=True, max_size=4)) if place else [])
        for place, name in enumerate(names)
    ]
    made = graph(*data.draw(st.permutations(declared)))
    assert all(made.rank[above] < made.rank[id] for id, ups in made.upstream.items() for above in ups)
    assert sorted(made.order) == sorted(names)


def test_ten_thousand_jobs_in_a_chain_are_no_trouble():
    made = graph("j0", *(f"j{n}: j{n - 1}" for n in range(1, 10_000)))
    assert len(made.descendants("j0")) == 9_999
