"""*Grid*, *Timeline* and *Graph*: many runs and jobs at one look."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from dagsched.model import Run, RunState
from dagsched.stores import SqliteStore
from tests.web.browser import tags_of, text_of
from tests.web.stored import HOSTILE, ago, page, pages, ran

JOBS = """\
version: 1
jobs:
  extract: {schedule: "0 * * * *", run: "true", tags: [etl], description: Orders of the hour}
  load: {depends_on: [extract], run: "true", tags: [etl]}
  report: {depends_on: [load], run: "true"}
  alone: {schedule: {every: 5m}, run: "true"}
  off: {schedule: "@daily", run: "true", enabled: false}
"""
HOURS = [ago(minutes=30) - timedelta(hours=n) for n in range(6)]
RUNS = [
    *(ran("extract", tick, took_s=300) for tick in HOURS),
    *(ran("load", tick, took_s=120) for tick in HOURS[1:]),
    Run(
        "load",
        HOURS[0],
        RunState.FAILED,
        ready=HOURS[0],
        started=HOURS[0],
        ended=ago(minutes=20),
        attempts=1,
        reason=HOSTILE,
    ),
    *(Run("report", tick, RunState.UPSTREAM_FAILED, ended=tick) for tick in HOURS[:1]),
    Run("alone", ago(minutes=5), RunState.RUNNING, ready=ago(minutes=5), started=ago(minutes=4), attempts=1),
    Run("off", ago(hours=5), RunState.SKIPPED, until=ago(hours=2), reason="disabled", ended=ago(hours=2)),
]
WIDE = ("grid", "timeline", "timeline?view=table", "graph", "graph?view=list", "graph?job=load&hops=1")


@pytest.mark.parametrize("path", WIDE)
def test_a_page_is_there_without_a_state_to_show_and_with_one(tmp_path: Path, path: str) -> None:
    for place, jobs in enumerate(("", "version: 1\njobs: {}\n", JOBS)):
        (tmp_path / str(place)).mkdir()
        [answer] = pages(tmp_path / str(place), [path], jobs)
        assert answer.status_code == (404 if "job=load" in path and jobs != JOBS else 200), answer.text


@pytest.mark.parametrize("path", WIDE)
def test_hostile_words_stay_words(tmp_path: Path, path: str) -> None:
    hostile = """version: 1
jobs:
  extract: {schedule: "0 * * * *", run: "true", tags: ["<i>t</i>"], description: "<script>alert(1)</script>"}
  load: {depends_on: [extract], run: "true"}
"""
    text = page(tmp_path, path, hostile, runs=[run for run in RUNS if run.job in ("extract", "load")])
    assert "<script>alert" not in text
    assert "<i>t</i>" not in text


def test_the_grid_puts_jobs_that_hang_together_together_under_the_ticks_they_share(tmp_path: Path) -> None:
    text = page(tmp_path, "grid", JOBS, runs=RUNS)
    tables = re.findall(r"<table class=\"grid\">.*?</table>", text, re.DOTALL)
    assert [re.findall(r'jobs/([a-z]+)"', table) for table in tables] == [
        ["extract", "load", "report"],
        ["alone", "off"],
    ]
    assert "<thead>" in tables[0]
    assert "<thead>" not in tables[1]
    rows = re.findall(r"<tr><th scope.*?</tr>", tables[0], re.DOTALL)
    # The newest run of each of the three stands in the same, the last column.
    assert [re.findall(r"<td>(.*?)</td>", row)[-1][:40].split('"')[1] for row in rows] == [
        "cell s-success",
        "cell s-failed",
        "cell s-upstream_failed",
    ]
    assert "6/6" in rows[0]
    assert "5/6" in rows[1]


def test_the_grid_goes_back_in_time_without_leaving_a_run_out(tmp_path: Path) -> None:
    runs = [ran("extract", ago(minutes=30) - timedelta(hours=n)) for n in range(40)]
    first, *_ = pages(tmp_path, ["grid?n=15"], JOBS, runs=runs)
    seen = set(re.findall(r"runs/(job:extract:[^\"]+)", first.text))
    assert len(seen) == 15
    older = re.search(r'href="([^"]+)">Older', first.text)
    assert older is not None
    (tmp_path / "again").mkdir()
    [second] = pages(tmp_path / "again", [older[1].replace("&amp;", "&").removeprefix("./")], JOBS, runs=runs)
    there = set(re.findall(r"runs/(job:extract:[^\"]+)", second.text))
    assert len(there) == 15
    assert not seen & there
    assert min(seen) > max(there)


def test_a_filter_says_when_nothing_fits(tmp_path: Path) -> None:
    for path in ("grid?q=nobody", "timeline?tag=nobody"):
        (tmp_path / path[:4]).mkdir()
        assert "No job fits that." in text_of(page(tmp_path / path[:4], path, JOBS, runs=RUNS))
    assert "jobs/alone" not in page(tmp_path, "grid?tag=etl", JOBS, runs=RUNS)


def test_the_timeline_draws_waits_runs_marks_and_what_is_to_come(tmp_path: Path) -> None:
    text = page(tmp_path, "timeline", JOBS, runs=RUNS)
    kinds = [rect.get("class") for rect in tags_of(text, "rect")]
    assert {"run-wait", "run-bar", "run-cut", "run-mark", "run-coming"} <= set(kinds)
    assert "ran 5 min" in text
    assert "waited 30 s" in text


def test_the_timeline_as_a_table_says_the_same_in_words(tmp_path: Path) -> None:
    text = text_of(page(tmp_path, "timeline?view=table", JOBS, runs=RUNS))
    assert "extract success 08:00 30 s 08:00:30 5 min" in text
    assert "off skipped 03:30 … 06:30" in text


def test_the_timeline_moves_back_by_its_own_length_and_knows_no_future_there(tmp_path: Path) -> None:
    text = page(tmp_path, "timeline?span=1h&until=2026-11-26T05:00:00Z", JOBS, runs=RUNS)
    assert "until=2026-11-26T04%3A00%3A00Z" in text
    assert "until=2026-11-26T06%3A00%3A00Z" in text
    assert 'class="now-line"' not in text
    assert 'class="run-coming"' not in text.partition("</section>")[0]


def test_a_run_that_began_long_ago_and_goes_on_is_drawn(tmp_path: Path) -> None:
    run = Run("alone", ago(days=30), RunState.RUNNING, ready=ago(days=30), started=ago(days=30), attempts=1)
    assert "runs/job:alone:" in page(tmp_path, "timeline?span=1h", JOBS, runs=[run])


def test_the_graph_has_a_node_per_job_with_its_state_and_an_edge_per_dependency(tmp_path: Path) -> None:
    text = page(tmp_path, "graph", JOBS, runs=RUNS)
    nodes = {tag["data-node"]: tag["class"] for tag in tags_of(text, "a") if "data-node" in tag}
    assert nodes == {
        "extract": "node s-success",
        "load": "node s-failed",
        "report": "node s-upstream_failed",
        "alone": "node s-running",
        "off": "node s-disabled",
    }
    edges = [(tag["data-from"], tag["data-to"], tag["class"]) for tag in tags_of(text, "path") if "data-from" in tag]
    assert edges == [("extract", "load", "edge e-success"), ("load", "report", "edge e-failed")]


def test_the_graph_around_a_job_shows_so_many_steps(tmp_path: Path) -> None:
    one, all_of_it, unknown = pages(
        tmp_path, ["graph?job=report&hops=1", "graph?job=report&hops=999", "graph?job=reprot"], JOBS, runs=RUNS
    )
    assert [tag["data-node"] for tag in tags_of(one.text, "a") if "data-node" in tag] == ["load", "report"]
    assert "is-focus" in one.text
    assert 'data-node="extract"' in all_of_it.text
    assert unknown.status_code == 404
    assert 'href="./jobs/report"' in unknown.text


def test_the_graph_as_a_list_says_who_waits_for_whom(tmp_path: Path) -> None:
    text = text_of(page(tmp_path, "graph?view=list", JOBS, runs=RUNS))
    assert "load failed extract report" in text


def many(count: int) -> str:
    """Return a file of chains of 50 jobs."""
    lines = []
    for n in range(count):
        chain, step = divmod(n, 50)
        above = f", depends_on: [team{chain:02}-step-{step - 1:02}]" if step else ""
        lines.append(f"  team{chain:02}-step-{step:02}: {{run: 'true'{above}}}")
    return "\n".join(["version: 1", "jobs:", *lines, ""])


def test_a_graph_of_a_thousand_jobs_is_grouped_and_opens_group_by_group(tmp_path: Path) -> None:
    closed, opened, all_of_it = pages(tmp_path, ["graph", "graph?open=team03-step", "graph?by=none"], many(1000))
    groups = [tag for tag in tags_of(closed.text, "a") if "is-group" in str(tag.get("class"))]
    assert len(groups) == 20
    assert "1,000 jobs as 20 nodes" in text_of(closed.text)
    assert 'href="./graph?open=team03-step"' in closed.text
    assert len([tag for tag in tags_of(opened.text, "a") if "data-node" in tag]) == 19 + 50
    assert len([tag for tag in tags_of(all_of_it.text, "a") if "data-node" in tag]) == 1000


@pytest.mark.parametrize("path", ["grid", "timeline", "timeline?span=7d", "graph", "graph?by=none"])
def test_how_often_the_store_is_asked_does_not_hang_on_how_much_there_is(
    tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("rows", "newest", "run", "attempts", "marks", "events", "statistics", "counts", "snapshot"):
        original = getattr(SqliteStore, name)

        async def counting(self, *args, _name=name, _original=original, **more):
            asked.append(_name)
            return await _original(self, *args, **more)

        monkeypatch.setattr(SqliteStore, name, counting)

    def questions(jobs: int) -> list[str]:
        folder = tmp_path / str(jobs)
        folder.mkdir()
        runs = [ran(f"team{n // 50:02}-step-{n % 50:02}", ago(minutes=90)) for n in range(jobs)]
        asked.clear()
        page(folder, path, many(jobs), runs=runs)
        return sorted(asked)

    assert questions(3) == questions(120)
    assert len(asked) < 10
