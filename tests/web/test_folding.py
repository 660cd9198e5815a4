"""Many jobs as few nodes, what is around a job, and jobs by the page with what they hang on."""

from __future__ import annotations

import pytest

from dagsched.api.answers import Turned
from dagsched.graph import Graph
from dagsched.model import Dependency, Job, Position
from dagsched.web.folding import around, flows, folded
from dagsched.web.picking import fitting, page_of_flows


def jobs_of(*lines: str, **more: dict[str, object]) -> dict[str, Job]:
    """Return jobs from lines like `load after extract clean`."""
    found = {}
    for line in lines:
        id, _, above = line.partition(" after ")
        found[id] = Job(id, depends_on=tuple(Dependency(each) for each in above.split()), **more.get(id, {}))  # type: ignore[arg-type]
    return found


TEAMS = [f"team{n // 100}-step-{n % 100:02}" for n in range(1000)]


def nodes(shape) -> list[str]:
    return [node.label for node in shape.nodes]


def test_few_jobs_are_shown_one_by_one():
    jobs = jobs_of("extract", "load after extract", "publish after load extract")
    shape = folded(jobs, Graph(jobs), jobs)
    assert nodes(shape) == ["extract", "load", "publish"]
    assert list(shape.edges) == [(0, 1), (0, 2), (1, 2)]
    assert shape.by == ""


def test_many_jobs_are_grouped_by_how_their_names_begin():
    jobs = jobs_of(*TEAMS)
    shape = folded(jobs, Graph(jobs), jobs)
    assert (shape.by, len(shape.nodes)) == ("prefix", 10)
    assert all(node.is_group and len(node.jobs) == 100 for node in shape.nodes)


def test_many_jobs_are_grouped_by_file_before_anything_else_and_by_tag_before_the_name():
    for field, by in (
        (lambda n: {"position": Position(f"/x/{n % 7}.yaml", 1, 1)}, "file"),
        (lambda n: {"tags": (f"t{n % 8}",)}, "tag"),
    ):
        jobs = {id: Job(id, **field(n)) for n, id in enumerate(TEAMS)}
        assert folded(jobs, Graph(jobs), jobs).by == by


def test_two_large_files_are_no_groups_where_something_else_parts_the_jobs_better():
    jobs = {id: Job(id, position=Position(f"/x/{n % 2}.yaml", 1, 1)) for n, id in enumerate(TEAMS)}
    assert folded(jobs, Graph(jobs), jobs).by == "prefix"
    alike = {f"job{n:03}": Job(f"job{n:03}", position=Position(f"/x/{n % 2}.yaml", 1, 1)) for n in range(400)}
    shape = folded(alike, Graph(alike), alike)
    assert (shape.by, len(shape.nodes)) == ("file", 2)  # for want of a better one


def test_an_opened_group_shows_its_jobs_and_the_others_stay_closed():
    jobs = jobs_of(*TEAMS)
    shape = folded(jobs, Graph(jobs), jobs, opened=["team3-step"])
    assert len(shape.nodes) == 9 + 100
    assert sum(node.is_group for node in shape.nodes) == 9


def test_edges_among_groups_are_those_among_their_jobs_and_may_make_a_cycle():
    jobs = jobs_of("a-1", "b-1 after a-1", "a-2 after b-1", "c")
    shape = folded(jobs, Graph(jobs), jobs, "prefix")
    names = nodes(shape)
    assert {(names[begin], names[end]) for begin, end in shape.edges} == {("a", "b-1"), ("b-1", "a")}
    assert [node.label for node in shape.nodes if node.is_group] == ["a"]


def test_jobs_that_nothing_tells_apart_are_left_as_they_are():
    jobs = {f"j{n}": Job(f"j{n}") for n in range(400)}
    shape = folded(jobs, Graph(jobs), jobs)
    assert (shape.by, len(shape.nodes)) == ("", 400)


@pytest.mark.parametrize(
    ("hops", "expected"),
    [(1, "b c d"), (2, "a b c d e"), (99, "a b c d e"), (0, "c")],
)
def test_around_a_job_is_what_leads_to_it_and_what_it_leads_to(hops, expected):
    jobs = jobs_of("a", "b after a", "c after b", "d after c", "e after d", "side after a")
    assert around(Graph(jobs), "c", hops) == expected.split()


def test_flows_are_what_hangs_together():
    jobs = jobs_of("x", "b after a", "a", "y", "c after b")
    assert flows(Graph(jobs), list(jobs)) == [["x"], ["a", "b", "c"], ["y"]]


def test_pages_keep_flows_whole_and_lose_no_job():
    jobs = jobs_of("a", "b after a", "c after b", "x", "y", "d", "e after d")
    graph, seen, after = Graph(jobs), [], None
    pages = 0
    while True:
        page, after = page_of_flows(graph, jobs, after, 3)
        seen += [id for flow in page for id in flow]
        pages += 1
        if after is None:
            break
    assert sorted(seen) == sorted(jobs)
    assert pages == 3
    assert seen[:3] == ["a", "b", "c"]


def test_a_flow_longer_than_a_page_is_cut():
    jobs = jobs_of("s0", *(f"s{n} after s{n - 1}" for n in range(1, 7)))
    graph = Graph(jobs)
    assert page_of_flows(graph, jobs, None, 3) == ([["s0", "s1", "s2"]], "s2")
    assert page_of_flows(graph, jobs, "s2", 3) == ([["s3", "s4", "s5"]], "s5")
    assert page_of_flows(graph, jobs, "s5", 3) == ([["s6"]], None)
    assert page_of_flows(graph, jobs, "s6", 3) == ([], None)
    with pytest.raises(Turned):
        page_of_flows(graph, jobs, "nobody", 3)


def test_jobs_are_picked_by_a_text_and_a_tag():
    jobs = {
        "load": Job("load", description="Into the Warehouse", tags=("etl",)),
        "warehouse-check": Job("warehouse-check"),
        "mail": Job("mail", tags=("etl",)),
    }
    assert fitting(jobs, {"q": "WAREHOUSE", "tag": None}) == ["load", "warehouse-check"]
    assert fitting(jobs, {"q": None, "tag": "etl"}) == ["load", "mail"]
    assert fitting(jobs, {"q": " ", "tag": ""}) == list(jobs)
