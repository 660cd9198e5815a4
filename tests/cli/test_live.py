"""The command line against a real daemon in its own process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

FILE = """\
version: 1
timezone: America/New_York
jobs:
  greet:
    run: echo "hello $DAGSCHED_PARAM_WHO"
    params: {WHO: {type: string, default: world}}
  after: {depends_on: [greet], run: echo after}
  long: {run: sleep 60}
  yearly: {schedule: "0 0 1 1 *", run: x}
"""


class Daemon:
    """A daemon on `here`, and the events that it prints."""

    def __init__(self, here: Path, *, keep_file: bool = False) -> None:
        if not keep_file:
            (here / "jobs.yaml").write_text(FILE)
        with (here / "errors").open("w") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dagsched", "run", "--json", "--grace", "5s"],
                cwd=here,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def until(self, type: str, job: str | None = None) -> dict[str, object]:
        """Read events up to the first of this type, of this job."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["type"] == type and job in (None, event["job"]):
                return event
        pytest.fail(f"the daemon ended before {type} of {job}")

    def until_all(self, types: set[str]) -> None:
        """Read events until one of each of these types has come, in whatever order."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            types = types - {json.loads(line)["type"]}
            if not types:
                return
        pytest.fail(f"the daemon ended before {types}")

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def daemon(here: Path) -> Iterator[Daemon]:
    running = Daemon(here)
    running.until("daemon.started")
    yield running
    if running.process.poll() is None:
        running.process.send_signal(signal.SIGTERM)
        running.process.wait(30)
    running.end()
    assert "Traceback" not in (here / "errors").read_text()


def test_a_day_with_the_daemon(call, daemon, here):
    triggered = call("trigger", "greet", "--param", "WHO=you")
    assert triggered.code == 0
    [greet, after] = triggered.lines
    daemon.until("run.succeeded", "after")

    assert call("logs", greet).out == "hello you\n"
    rows = {row["run"]: row for row in call("history", "--json").rows}
    assert (rows[greet]["state"], rows[greet]["trigger"], rows[greet]["exit_code"]) == ("success", "manual", 0)
    assert rows[after]["state"] == "success"
    assert call("why", "after").lines[0].startswith(f"{after} is success")
    assert [link["run"] for link in call("show", after, "--json").json["upstream"]] == [greet]

    status = call("status", "--json").json
    assert (status["daemon"]["running"], status["daemon"]["pid"]) == (True, daemon.process.pid)
    assert {row["job"]: row["state"] for row in status["jobs"]}["after"] == "success"

    second = call("run")
    assert second.code == 4
    assert str(daemon.process.pid) in second.err

    assert call("trigger", "long").code == 0
    daemon.until("run.started", "long")
    assert call("cancel", "long").code == 0
    daemon.until("run.cancelled", "long")

    refused = call("trigger", "greet", "--param", "WHOM=you")
    assert (refused.code, refused.out) == (2, "")

    (here / "jobs.yaml").write_text(FILE.replace("echo after", "echo afterwards"))
    reloaded = call("reload")
    assert (reloaded.code, reloaded.lines[-1]) == (0, "configuration 2 is in force")
    (here / "jobs.yaml").write_text(FILE.replace("[greet]", "[gret]"))
    broken = call("reload")
    assert broken.code == 3
    assert "did you mean 'greet'" in broken.out
    assert call("status").lines[2].startswith("problem   ")

    assert call("stop").out == "stopping the daemon\n"
    assert daemon.process.wait(30) == 0
    assert call("status", "--json").json["daemon"]["running"] is False


def test_what_was_left_without_a_daemon_is_done_at_its_start(call, here, jobs_file):
    (here / "jobs.yaml").write_text(FILE)
    assert "remembered" in call("trigger", "greet").out
    assert "remembered" in call("pause", "yearly").out
    running = Daemon(here)
    running.until("run.succeeded", "after")
    jobs = {row["job"]: row for row in call("status", "--json").json["jobs"]}
    assert jobs["yearly"]["state"] == "paused"
    assert call("status", "--json").json["requests"] == []
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(30) == 0
    running.end()


def test_with_json_a_command_says_the_same_whether_it_is_done_or_only_remembered(call, here, jobs_file):
    """So that a program need not know whether a daemon ran."""
    (here / "jobs.yaml").write_text(
        FILE + "  failing: {run: exit 3}\n  listener: {schedule: {event: go}, run: echo go}\n"
    )
    assert call("run", "--once", "failing").code == 1
    failed = call("history", "failing", "--json").rows[0]["run"]
    week = ("--from", "2020-01-01", "--to", "2025-01-02", "--yes")
    commands = (
        ("trigger", "greet"), ("emit", "go"), ("pause", "greet"), ("resume", "greet"), ("ack", failed),
        ("rerun", failed), ("backfill", "yearly", *week), ("backfill", "--cancel", "1"),
    )  # fmt: skip
    without = [call(*words, "--json").json for words in commands]
    assert all(each.pop("remembered") for each in without)
    assert {each.pop("left_for") for each in without} == {None}
    running = Daemon(here, keep_file=True)
    try:
        running.until_all({"backfill.cancelled", "run.failed"})
        done = [call(*words, "--json").json for words in commands[:-1]]
        done.append(call("backfill", "--cancel", str(done[-1]["id"]), "--json").json)
        assert not any(each.pop("remembered") for each in done)
        for words, one, other in zip(commands, without, done, strict=True):
            assert one.keys() == other.keys(), words
            known = {key: value for key, value in one.items() if value not in (None, [], 1)}
            assert known.items() <= other.items(), words
    finally:
        running.end()


def test_stop_that_waits_returns_when_nothing_holds_the_state_any_more(call, daemon):
    call("trigger", "long")
    daemon.until("run.started", "long")
    result = call("stop", "--wait")
    assert (result.code, result.out) == (0, "stopped the daemon\n")
    assert daemon.process.poll() is not None
    assert call("run", "--until-idle").code == 0
