"""`graph`: the same edges in four formats."""

from __future__ import annotations

import pytest

FILE = """\
version: 1
timezone: America/New_York
jobs:
  refresh: {schedule: "0 2 * * *", run: x}
  audit: {schedule: {every: 90m}, run: x, enabled: false}
  weekly: {schedule: "0 9 * * mon", depends_on: [refresh], run: x}
  publish: {depends_on: [weekly, {job: audit, match: same}], trigger_rule: all_done, run: x}
"""


@pytest.fixture(autouse=True)
def _file(here):
    (here / "jobs.yaml").write_text(FILE)


def test_text_is_a_tree_in_which_each_job_is_drawn_once(call):
    assert call("graph").lines == [
        "refresh  0 2 * * * America/New_York",
        "└── weekly  0 9 * * mon America/New_York",
        "    └── publish  after weekly, audit (same); all_done",
        "audit  every 1h30m; disabled",
        "└── publish (see above)",
    ]


def test_a_job_is_shown_with_all_it_waits_for_and_all_that_wait_for_it(call):
    assert [row["job"] for row in call("graph", "weekly", "--json").json["jobs"]] == [
        "refresh",
        "weekly",
        "publish",
    ]
    assert [row["job"] for row in call("graph", "audit", "--json").json["jobs"]] == ["audit", "publish"]


def test_json_has_edges_both_ways(call):
    rows = {row["job"]: row for row in call("graph", "--format", "json").json["jobs"]}
    assert rows["publish"] == {
        "job": "publish",
        "schedule": None,
        "timezone": None,
        "depends_on": [{"job": "weekly", "match": "latest"}, {"job": "audit", "match": "same"}],
        "trigger_rule": "all_done",
        "downstream": [],
        "enabled": True,
    }
    assert rows["refresh"]["downstream"] == ["weekly"]


def test_dot_is_for_graphviz(call):
    lines = call("graph", "--format", "dot").lines
    assert (lines[0], lines[-1]) == ("digraph jobs {", "}")
    assert '  "refresh" [label="refresh\\n0 2 * * * America/New_York"];' in lines
    assert '  "audit" [label="audit\\nevery 1h30m", style=dashed];' in lines
    assert '  "weekly" -> "publish";' in lines
    assert '  "audit" -> "publish" [label="same"];' in lines


def test_mermaid_is_for_markdown(call):
    lines = call("graph", "weekly", "--format", "mermaid").lines
    assert lines == [
        "flowchart LR",
        '  j0["refresh<br/>0 2 * * * America/New_York"]',
        '  j1["weekly<br/>0 9 * * mon America/New_York"]',
        '  j2["publish"]',
        "  j0 --> j1",
        "  j1 --> j2",
    ]


def test_an_unknown_job_is_named_with_the_nearest(call):
    result = call("graph", "refesh")
    assert (result.code, result.err) == (
        2,
        "dagsched: error: unknown job 'refesh'; did you mean 'refresh'?\n",
    )


def test_a_file_without_jobs_is_an_empty_graph(call, here):
    (here / "jobs.yaml").write_text("version: 1\njobs: {}\n")
    assert (call("graph").out, call("graph", "--json").json) == ("", {"jobs": []})


def test_a_chain_deeper_than_the_recursion_limit_is_drawn(call, here):
    lines = ["version: 1", "jobs:", "  j0: {run: x}"]
    lines += [f"  j{number}: {{run: x, depends_on: [j{number - 1}]}}" for number in range(1, 1200)]
    (here / "jobs.yaml").write_text("\n".join(lines) + "\n")
    assert call("graph").lines[-1].endswith("└── j1199")
