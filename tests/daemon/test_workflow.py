"""`handler: workflow` on a real daemon: another job, or a file's jobs, as one step."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.served import Served, ask, rows

JOBS = """\
version: 1
jobs:
  load:
    params: {day: {type: string}}
    run: >
      echo "$DAGSCHED_PARAM_DAY for $DAGSCHED_CALLER"; echo "rows=7" >> "$DAGSCHED_OUTPUT";
      touch began; while [ -e wait ]; do sleep 0.05; done; [ ! -e broken ]
  flow: {handler: workflow, retry: {max_attempts: 2, delay: 50ms}, with: {job: load, params: {day: monday}}}
  after: {depends_on: [flow], env: {R: {job: flow, output: rows}}, run: 'echo "rows $R"'}
  filed: {handler: workflow, with: {file: sub/jobs.yaml, params: {n: 3}}}
"""
SUB = """\
version: 1
jobs:
  a:
    params: {n: {type: integer}}
    run: 'echo "n is $DAGSCHED_PARAM_N" > ../told; while [ -e ../wait ]; do sleep 0.05; done'
  b: {depends_on: [a], run: '[ ! -e ../broken ]'}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "jobs.yaml").write_text(SUB)
    return tmp_path


@pytest.fixture
def daemon(folder: Path) -> Iterator[Served]:
    with Served(folder) as served:
        served.until_type("daemon.started")
        yield served


def shown(folder: Path, run: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ask(folder, "show", run, "--json"))
    return found


def wait_for(path: Path) -> None:
    while not path.exists():
        os.sched_yield()


def test_the_end_and_the_outputs_of_a_job_are_those_of_the_step(daemon: Served) -> None:
    ask(daemon.folder, "trigger", "flow")
    daemon.until_type("run.succeeded", "after")
    flow, load = shown(daemon.folder, "flow"), shown(daemon.folder, "load")
    assert (flow["called"], load["caller"], load["trigger"]) == ([load["run"]], flow["run"], "workflow")
    assert (flow["outputs"], load["params"]) == ({"rows": "7"}, {"day": "monday"})
    assert ask(daemon.folder, "logs", "flow") == f"run {load['run']}\n{load['run']} is success\n"
    assert ask(daemon.folder, "logs", "load") == f"monday for {flow['run']}\n"
    assert ask(daemon.folder, "logs", "after") == "rows 7\n"


def test_a_step_that_fails_is_done_anew_by_the_next_attempt(daemon: Served) -> None:
    (daemon.folder / "broken").touch()
    ask(daemon.folder, "trigger", "flow")
    daemon.until_type("run.failed", "flow")
    told = [(row["job"], row["state"]) for row in rows(ask(daemon.folder, "history", "--json"))]
    assert sorted(told) == [("after", "upstream_failed"), ("flow", "failed"), ("load", "failed"), ("load", "failed")]
    assert "is failed: exit code 1" in ask(daemon.folder, "logs", "flow")


def test_a_workflow_outlives_its_daemon_and_goes_on_waiting(folder: Path) -> None:
    (folder / "wait").touch()
    with Served(folder) as daemon:
        daemon.until_type("daemon.started")
        ask(folder, "trigger", "flow")
        wait_for(folder / "began")
        daemon.signal(signal.SIGKILL)
        daemon.ended()
    with Served(folder) as again:
        again.until_type("daemon.started")
        (folder / "wait").unlink()
        again.until_type("run.succeeded", "after")
        assert [row["attempts"] for row in rows(ask(folder, "history", "--json"))] == [1, 1, 1]


def test_an_attempt_that_is_killed_finds_the_run_of_the_one_before(daemon: Served) -> None:
    (daemon.folder / "wait").touch()
    ask(daemon.folder, "trigger", "flow")
    wait_for(daemon.folder / "began")
    # The number goes on record with the next commit, whenever that is.
    while (pid := shown(daemon.folder, "flow")["attempt_list"][0]["pid"]) is None:
        ask(daemon.folder, "status")
    os.kill(pid, signal.SIGKILL)
    daemon.until(lambda event: event["type"] == "run.started" and event["attempt"] == 2, "a second attempt")
    (daemon.folder / "wait").unlink()
    daemon.until_type("run.succeeded", "after")
    told = {row["job"]: row["attempts"] for row in rows(ask(daemon.folder, "history", "--json"))}
    assert told == {"flow": 2, "load": 1, "after": 1}


def test_cancelling_a_workflow_cancels_its_step(daemon: Served) -> None:
    (daemon.folder / "wait").touch()
    ask(daemon.folder, "trigger", "flow")
    wait_for(daemon.folder / "began")
    ask(daemon.folder, "cancel", "flow")
    daemon.until_type("run.cancelled", "load")
    assert shown(daemon.folder, "load")["reason"] == f"cancelled with {shown(daemon.folder, 'flow')['run']}"


def test_the_jobs_of_a_file_are_one_step_with_a_state_of_their_own(daemon: Served) -> None:
    ask(daemon.folder, "trigger", "filed")
    daemon.until_type("run.succeeded", "filed")
    assert (daemon.folder / "told").read_text() == "n is 3\n"
    assert "2 success" in ask(daemon.folder, "logs", "filed")
    assert os.listdir(daemon.folder / ".dagsched" / "workflows") == [], "its state goes when all was well"
    (daemon.folder / "broken").touch()
    ask(daemon.folder, "trigger", "filed")
    daemon.until_type("run.failed", "filed")
    assert "1 success, 1 failed" in ask(daemon.folder, "logs", "filed")
    (state,) = (daemon.folder / ".dagsched" / "workflows").iterdir()
    history = rows(ask(daemon.folder, "history", "--json", "--state-dir", str(state)))
    assert {row["job"]: row["state"] for row in history} == {"a": "success", "b": "failed"}


def test_a_cancelled_file_leaves_no_process(daemon: Served) -> None:
    (daemon.folder / "wait").touch()
    ask(daemon.folder, "trigger", "filed")
    wait_for(daemon.folder / "told")
    ask(daemon.folder, "cancel", "filed")
    daemon.until_type("run.cancelled", "filed")
    state = os.fsencode(daemon.folder / ".dagsched" / "workflows")
    lines = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if os.access(path, os.R_OK)]
    assert not [line for line in lines if state in line]


def test_run_once_has_workflows_too(folder: Path) -> None:
    text = JOBS.replace("type: string}", "type: string, default: sunday}")
    (folder / "jobs.yaml").write_text(text)
    assert "3 success" in ask(folder, "run", "--once", "after")
    assert ask(folder, "logs", "after") == "rows 7\n"
    assert not (folder / ".dagsched" / "calls.sock").exists()
