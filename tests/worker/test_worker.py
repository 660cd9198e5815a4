"""Schedulers and workers in processes of their own, on a real PostgreSQL server."""

from __future__ import annotations

import json

import pytest

from tests.daemon.served import Served, ask, rows
from tests.postgres import new_address
from tests.worker.working import Working


@pytest.fixture
def address():
    return new_address()


@pytest.fixture
def home(tmp_path):
    """The scheduler's folder; workers have others."""
    found = tmp_path / "scheduler"
    found.mkdir()
    return found


def on(address):
    return ["--store", address.url, "--namespace", address.namespace]


def write(home, text):
    (home / "jobs.yaml").write_text("version: 1\n" + text)


def test_a_job_with_a_queue_is_done_by_a_worker_and_its_end_comes_back(home, tmp_path, address):
    write(home, """\
jobs:
  far: {queue: etl, run: 'echo fence $DAGSCHED_FENCE; echo rows=5 >> "$DAGSCHED_OUTPUT"; echo far > done'}
  near: {run: 'echo near $N > done', depends_on: [far], env: {N: {job: far, output: rows}}}
""")  # fmt: skip
    with Served(home, *on(address)) as scheduler, Working(tmp_path / "w", *on(address), "--queues", "etl"):
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "far")
        scheduler.until_type("run.succeeded", "far")
        scheduler.until_type("run.succeeded", "near")
        (row,) = rows(ask(home, "history", "far", "--json"))
        assert (row["state"], row["exit_code"], row["attempts"]) == ("success", 0, 1)
        assert ask(home, "logs", "far") == "fence 1\n"
        (attempt,) = json.loads(ask(home, "show", "far", "--json"))["attempt_list"]
        assert (attempt["outcome"], attempt["pid"] > 0) == ("success", True)
        assert attempt["started"] <= attempt["ended"]
        (worker,) = rows(ask(home, "workers", "--json"))
        assert (worker["state"], worker["queues"], worker["running"], worker["slots"]) == ("ready", ["etl"], 0, 1)
    assert (home / "done").read_text() == "near 5\n"
