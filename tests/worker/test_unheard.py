"""Schedulers and workers that hear no notification at all: they look from time to time, and it only takes longer."""

from __future__ import annotations

import json
import os

import pytest

from tests.daemon.served import Served, ask
from tests.postgres import new_address
from tests.worker.test_worker import LONG, begun, is_alive, on, until, write
from tests.worker.working import Working

# Python runs a module of this name at its start.
DEAF = """\
from dagsched.stores.postgres_listener import Listener

Listener.start = lambda self: None
"""


@pytest.fixture
def home(tmp_path):
    found = tmp_path / "scheduler"
    found.mkdir()
    return found


@pytest.fixture
def deaf(tmp_path):
    """An environment in which nobody listens."""
    (tmp_path / "deaf").mkdir()
    (tmp_path / "deaf" / "sitecustomize.py").write_text(DEAF)
    others = [path] if (path := os.environ.get("PYTHONPATH")) else []
    return {"PYTHONPATH": os.pathsep.join([str(tmp_path / "deaf"), *others])}


def test_work_ends_and_stops_arrive_also_when_no_notification_does(home, tmp_path, deaf):
    there = new_address()
    write(home, f"jobs: {{long: {{{LONG}}}, short: {{queue: etl, run: 'true'}}}}\n")
    env = {"PIDS": str(home / "pids"), **deaf}
    with (
        Served(home, *on(there), env=deaf) as scheduler,
        Working(tmp_path / "w", *on(there), "--queues", "etl", "--slots", "2", env=env) as working,
    ):
        scheduler.until_type("daemon.started")
        working.ready()
        ask(home, "trigger", "long")
        pid = begun(home)
        ask(home, "trigger", "short")
        scheduler.until_type("run.succeeded", "short")
        until(lambda: json.loads(ask(home, "show", "long", "--json"))["attempt_list"][0].get("pid"))
        ask(home, "cancel", "long")
        until(lambda: not is_alive(pid))
        scheduler.until_type("run.cancelled", "long")
