"""Whole graphs: that they are what they are said to be, and that times are read where they are written."""

from __future__ import annotations

import importlib
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).parent.parent.parent / "bench"


@pytest.fixture(autouse=True)
def scripts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCH))


@pytest.mark.parametrize(
    ("call", "jobs", "levels"),
    [("fan()", 1002, 3), ("fan(198)", 200, 3), ("layers()", 2000, 20), ("layers(10)", 200, 20), ("chain()", 500, 500)],
)
def test_a_graph_has_the_shape_that_the_table_of_figures_says(call: str, jobs: int, levels: int):
    graphs = importlib.import_module("yard.graphs")
    edges = eval(call, vars(graphs))
    level: dict[str, int] = {}
    for id, upstream in edges.items():
        level[id] = 1 + max((level[each] for each in upstream), default=0)
    assert (len(edges), max(level.values())) == (jobs, levels)
    assert edges == eval(call, vars(graphs))


def in_order(folder: Path, edges: Mapping[str, list[str]], commands: Mapping[str, str]) -> None:
    """Run a chain as nobody would: 50 ms between any two jobs."""
    for id in edges:
        subprocess.run(commands[id], shell=True, cwd=folder, check=True)
        time.sleep(0.05)


@pytest.mark.parametrize("kind", ["direct", "sh"])
def test_the_commands_of_a_chain_tell_the_step(kind: str, monkeypatch: pytest.MonkeyPatch):
    pipeline = importlib.import_module("pipeline")
    graphs = importlib.import_module("yard.graphs")
    monkeypatch.setattr(pipeline, "chain", lambda: graphs.chain(5))
    steps = pipeline.steps_ms(kind, in_order)
    assert len(steps) == 4
    # Who takes the time of a line may be late for one of them, on a busy machine, and so early for the next.
    assert min(steps) >= 0
    assert 20 <= sum(steps) / len(steps) < 2000


def test_seconds_are_those_of_ninjas_log(tmp_path: Path):
    pipeline = importlib.import_module("pipeline")
    log = tmp_path / ".ninja_log"
    log.write_text("# ninja log v7\n5\t9\t0\ta\tf00\n9\t1250\t0\tb\tf00\n255\t1205\t0\tc\tf00\n")
    assert pipeline.ninja_seconds(log, 3) == 1.245


def test_a_graph_is_run_and_timed_by_its_record(tmp_path: Path):
    whole = importlib.import_module("yard.whole")
    graphs = importlib.import_module("yard.graphs")
    edges = graphs.fan(3)
    ran = whole.run_dagsched(tmp_path, edges, {id: {"run": ["sleep", "0.1"]} for id in edges})
    assert 0.3 <= ran.inner_s < ran.took.wall_s


def test_a_graph_with_a_failure_is_no_measurement(tmp_path: Path):
    whole = importlib.import_module("yard.whole")
    with pytest.raises(SystemExit):
        whole.run_dagsched(tmp_path, {"a": []}, {"a": {"run": "false"}})


CONSUMER = """\
#!{python}
import os, signal, sqlite3, sys, time
signal.signal(signal.SIGINT, lambda *_: os._exit(0))
queue = sqlite3.connect(os.environ["HUEY_FILE"], isolation_level=None)
for _ in range({takes}):
    queue.execute("DELETE FROM task WHERE id = (SELECT min(id) FROM task)")
    time.sleep(0.05)
{after}
"""


@pytest.fixture
def queue(tmp_path: Path) -> Path:
    file = tmp_path / "huey.db"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE task (id INTEGER PRIMARY KEY)")
        db.executemany("INSERT INTO task VALUES (?)", [(number,) for number in range(10)])
    db.close()
    return file


def consumer(queue: Path, **parts: Any) -> str:
    path = queue.with_name("consumer")
    path.write_text(CONSUMER.format(python=sys.executable, **parts))
    path.chmod(0o755)
    return str(path)


def test_consumption_goes_from_the_first_task_taken_to_the_last(queue: Path):
    functions = importlib.import_module("functions")
    env = {**os.environ, "HUEY_FILE": str(queue)}
    taken = functions.consume(consumer(queue, takes=10, after="signal.pause()"), queue, env, 10, [])
    assert 0.35 <= taken < 5


def test_a_consumer_that_complains_is_no_measurement(queue: Path):
    functions = importlib.import_module("functions")
    env = {**os.environ, "HUEY_FILE": str(queue)}
    path = consumer(queue, takes=10, after="signal.pause()")
    Path(path).write_text(Path(path).read_text().replace("for _", "print('no such task', flush=True)\nfor _"))
    with pytest.raises(SystemExit, match="no such task"):
        functions.consume(path, queue, env, 10, [])


def test_a_consumer_that_gives_up_is_no_measurement(queue: Path):
    functions = importlib.import_module("functions")
    env = {**os.environ, "HUEY_FILE": str(queue)}
    with pytest.raises(SystemExit, match="3 tasks left"):
        functions.consume(consumer(queue, takes=7, after="time.sleep(0.2)"), queue, env, 10, [])
