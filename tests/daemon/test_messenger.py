"""The daemon's side of notifications: when it starts the courier, and that it never waits for it."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dagsched.daemon import messenger as module
from dagsched.daemon.messenger import Messenger
from dagsched.model import Config, EventRow, Job, NotifyRule, utc
from tests.daemon.served import Served, ask, rows
from tests.notifiers.receivers import web

NOW = utc(2026, 11, 23, 14)
RULES = (NotifyRule(("failure", "recovered"), ("ops",)),)
CONFIG = Config({"a": Job("a", notify=RULES), "b": Job("b")}, notifiers={"ops": {"type": "command", "run": ["x"]}})
# A courier that writes down when it was started, with what, and what it heard, until it is told to end.
FAKE = """\
import json, sys
state, after = sys.argv[1:]
heard = sys.stdin.buffer.read() if "wait" in state else b""
with open(state + ".log", "a") as log:
    log.write(json.dumps([after, len(heard)]) + "\\n")
if "broken" in state:
    sys.exit(3)
print(json.dumps({"cursor": 10**9, "wake_s": 0.05 if "again" in state else None}))
"""


class Courted:
    """A messenger with a courier that only pretends."""

    def __init__(self, folder: Path, kind: str = "") -> None:
        self.state = folder / f"state{kind}"
        self.messenger = Messenger(self.state, (sys.executable, "-c", FAKE))

    def see(self, seq: int, kind: str, job: str = "a") -> None:
        self.messenger.on_events([EventRow(seq, NOW, kind, job, NOW)])

    def log(self) -> list[list[object]]:
        file = self.state.with_name(self.state.name + ".log")
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    async def until(self, count: int) -> None:
        await until(lambda: len(self.log()) >= count and self.messenger._task is None)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in another process
            await asyncio.sleep(0.01)


def test_without_notifiers_nothing_is_started(tmp_path):
    async def live() -> Sequence[object]:
        courted = Courted(tmp_path)
        courted.messenger.on_config(Config({"a": Job("a")}))
        courted.see(1, "run.failed")
        assert courted.messenger._task is None
        await courted.messenger.close()
        return courted.log()

    assert asyncio.run(live()) == []


def test_the_first_events_start_it_and_after_that_only_news_do(tmp_path):
    async def live() -> Sequence[object]:
        courted = Courted(tmp_path)
        courted.messenger.on_config(CONFIG)
        courted.see(5, "daemon.started", "")
        await courted.until(1)
        for kind, job in (("run.started", "a"), ("run.failed", "b"), ("config.applied", ""), ("run.retrying", "a")):
            courted.see(6, kind, job)
        assert courted.messenger._task is None
        courted.see(7, "run.failed")
        await courted.until(2)
        await courted.messenger.close()
        return courted.log()

    assert asyncio.run(live()) == [["4", 0], ["4", 0]]


def test_of_many_successes_the_first_after_a_failure_is_news(tmp_path):
    async def live() -> list[bool]:
        courted = Courted(tmp_path)
        courted.messenger.on_config(CONFIG)
        rows = [EventRow(1, NOW, f"run.{kind}", "a", NOW) for kind in
                ("succeeded", "succeeded", "failed", "succeeded", "succeeded")]  # fmt: skip
        return [courted.messenger._is_news(row) for row in rows]

    assert asyncio.run(live()) == [True, False, True, True, False]


def test_one_that_runs_is_woken_and_told_when_nobody_comes_any_more(tmp_path):
    async def live() -> Sequence[object]:
        courted = Courted(tmp_path, "wait")
        courted.messenger.on_config(CONFIG)
        courted.see(1, "run.failed")
        await until(lambda: courted.messenger._process is not None)
        for seq in (2, 3, 4):
            courted.see(seq, "run.failed")
        await courted.messenger.close()
        await until(lambda: bool(courted.log()))
        return courted.log()

    assert asyncio.run(live()) == [["0", 3]]


def test_one_that_says_when_it_is_started_again_then(tmp_path):
    async def live() -> None:
        courted = Courted(tmp_path, "again")
        courted.messenger.on_config(CONFIG)
        courted.see(1, "run.failed")
        await courted.until(2)
        await courted.messenger.close()

    asyncio.run(live())


def test_one_that_fails_is_started_again_with_growing_pauses(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.05)

    async def live() -> float:
        courted = Courted(tmp_path, "broken")
        courted.messenger._pause_s = 0.05
        courted.messenger.on_config(CONFIG)
        courted.see(1, "run.failed")
        await courted.until(2)
        pause_s = courted.messenger._pause_s
        await courted.messenger.close()
        return pause_s

    assert asyncio.run(live()) == pytest.approx(0.2)


def test_one_that_cannot_be_started_is_told_and_stops_nothing(tmp_path, caplog):
    async def live() -> None:
        messenger = Messenger(tmp_path, ("/nothing/there",))
        messenger.on_config(CONFIG)
        messenger.on_events([EventRow(1, NOW, "run.failed", "a", NOW)])
        await until(lambda: messenger._task is None)
        await messenger.close()

    asyncio.run(live())
    assert "nobody is told anything at present" in caplog.text


# ---------------------------------------------------------------- whole


JOBS = """\
version: 1
notifiers:
  ops: {{type: webhook, url: "{url}", secret: {{env: OPS_SECRET}}, allow_private: true, group: {group}}}
defaults: {{notify: [{{on: [failure, recovered, config_rejected], to: [ops]}}]}}
jobs:
  a: {{run: "test -e good"}}
  b: {{run: "true", depends_on: [a]}}
"""


def kinds(requests) -> list[str]:
    return [json.loads(each.body)["type"].rpartition(".")[2] for each in requests]


def test_a_real_daemon_tells_of_a_failure_its_recovery_and_a_bad_edit(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OPS_SECRET", "s3cret")
    with web() as server:
        (tmp_path / "jobs.yaml").write_text(JOBS.format(url=server.url, group="100ms"))
        with Served(tmp_path) as daemon:
            daemon.until_type("daemon.started")
            daemon.ask("trigger", "a")
            assert kinds(server.until(1)) == ["failure"]
            assert json.loads(server.requests[0].body)["data"]["items"][0]["affected_jobs"] == ["b"]
            assert server.requests[0].headers["webhook-signature"].startswith("v1,")
            (tmp_path / "good").touch()
            daemon.ask("trigger", "a")
            assert kinds(server.until(2)) == ["failure", "recovered"]
            (tmp_path / "jobs.yaml").write_text("jobs: {a: {run: x, timeout: 5}}\n")
            assert kinds(server.until(3)) == ["failure", "recovered", "config_rejected"]
    told = rows(ask(tmp_path, "notifications", "--json"))
    assert {each["state"] for each in told} == {"delivered"}


def test_a_real_daemons_command_finds_what_attempts_find(tmp_path: Path, monkeypatch):
    """No secret of anybody else; what it is given by name it has."""
    monkeypatch.setenv("DB_PASSWORD", "hunter22")
    monkeypatch.setenv("PAGER_KEY", "p4gerkey")
    monkeypatch.setenv("REGION", "north")
    (tmp_path / "jobs.yaml").write_text("""\
notifiers:
  pager: {type: command, run: [sh, -c, "env > got.new && mv got.new got"], group: 0s, secrets: {KEY: {env: PAGER_KEY}}}
jobs:
  a: {run: exit 3, notify: [{on: [failure], to: [pager]}]}
  b: {run: "true", secrets: {PW: "env:DB_PASSWORD"}}
""")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "a")
        asyncio.run(until((tmp_path / "got").exists))
    found = dict(line.split("=", 1) for line in (tmp_path / "got").read_text().splitlines() if "=" in line)
    assert (found["REGION"], found["KEY"], found["DAGSCHED_JOB"]) == ("north", "p4gerkey", "a")
    assert not found.keys() & {"DB_PASSWORD", "PAGER_KEY"}


def test_what_a_daemon_that_was_killed_had_not_told_is_told_by_the_next(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OPS_SECRET", "s3cret")
    with web() as server:
        (tmp_path / "jobs.yaml").write_text(JOBS.format(url=server.url, group="1h"))
        with Served(tmp_path) as first:
            first.until_type("daemon.started")
            first.ask("trigger", "a")
            first.until_type("run.failed", "a")
            first.process.kill()
        # Its courier is the last to come then, so it waits for no more news.
        assert kinds(server.until(1)) == ["failure"]
        with Served(tmp_path) as second:
            second.until_type("daemon.started")
        deadline = time.monotonic() + 3
        while time.monotonic() < deadline and len(server.requests) < 2:
            time.sleep(0.05)
        assert kinds(server.requests) == ["failure"]


def test_a_receiver_that_never_answers_delays_no_run(tmp_path: Path, monkeypatch):
    monkeypatch.setenv("OPS_SECRET", "s3cret")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        (tmp_path / "jobs.yaml").write_text(JOBS.format(url=url, group="0s"))
        with Served(tmp_path) as daemon:
            daemon.until_type("daemon.started")
            daemon.ask("trigger", "a")
            daemon.until_type("run.failed", "a")
            silent.settimeout(30)
            connection, _ = silent.accept()
            began = time.monotonic()
            (tmp_path / "good").touch()
            daemon.ask("trigger", "a")
            daemon.until_type("run.succeeded", "b")
            assert time.monotonic() - began < 14
            connection.close()
