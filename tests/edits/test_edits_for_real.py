"""The same with a daemon in a process of its own, job files on a disk, and the commands that people type."""

from __future__ import annotations

import json
from pathlib import Path

from tests.daemon.served import Served, ask, rows

BEFORE = """\
version: 1
jobs:
  load: {run: 'until [ -e go ]; do sleep 0.05; done'}
  check: {depends_on: [load], run: 'true'}
  nightly: {schedule: "15 1 * * *", run: 'true'}
"""
AFTER = """\
version: 1
jobs:
  loads: {run: 'until [ -e go ]; do sleep 0.05; done'}
  check: {depends_on: [loads], run: 'true'}
  nightly: {schedule: "15 1 * * *", run: 'true'}
"""


def test_a_rename_under_way_does_to_open_runs_what_plan_said_of_it(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(BEFORE)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "edited.yaml").write_text(AFTER)
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        load, check = daemon.ask("trigger", "load").split()[:2]
        daemon.until_type("run.started", "load")
        said = json.loads(daemon.ask("plan", "new/edited.yaml", "--json"))
        assert {run["run"]: run["effect"] for run in said["runs"]} == {load: "finishes", check: "starts"}
        assert said["jobs"]["renamed"] == [{"from": "load", "to": "loads"}]
        assert said["fires"] == []
        assert daemon.ask("plan", "jobs.yaml", "--exit-code").endswith("nothing changes\n")
        assert daemon.ask("plan", "new/edited.yaml", "--exit-code", code=1).startswith("compared with configuration 1")

        (tmp_path / "jobs.yaml").write_text(AFTER)
        daemon.ask("reload")
        daemon.until_type("run.succeeded", "check")
        (tmp_path / "go").touch()
        daemon.until_type("run.succeeded", "load")
        history = {row["run"]: row["state"] for row in rows(daemon.ask("history", "--json"))}
        assert history == {load: "success", check: "success"}
        assert "under configuration 1 (in force since" in daemon.ask("why", load)
        assert daemon.ask("plan", "new/edited.yaml", "--exit-code").endswith("nothing changes\n")


def test_what_a_stopped_daemon_will_catch_up_is_said_before_it_starts(tmp_path: Path) -> None:
    text = "version: 1\njobs:\n  often: {schedule: {every: 1s}, run: 'true', catchup: none}\n"
    (tmp_path / "jobs.yaml").write_text(text)
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")
    (tmp_path / "new.yaml").write_text(text.replace("1s", "1h"))
    # A tick of which the next one is not due yet is on time, so ask until some have been missed.
    asked = (json.loads(ask(tmp_path, "plan", "new.yaml", "--json"))["due"] for _ in range(50))
    due = next(found[0] for found in asked if found and found[0]["differs"])
    assert (due["job"], due["differs"]) == ("often", True)
    assert due["rows"][0]["reason"] == "schedule changed"
    (tmp_path / "jobs.yaml").write_text(text.replace("1s", "1h"))
    with Served(tmp_path) as daemon:
        daemon.until_type("run.missed", "often")
        daemon.until_type("daemon.started")
        first = due["rows"][0]["tick"]
        assert "schedule changed" in daemon.ask("why", "often", first)
