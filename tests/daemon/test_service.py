"""The daemon as its users meet it: start, adopt, reload, stop. Each test drives a real one from outside."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import socket
import time
from pathlib import Path

import pytest

from dagsched.daemon import Daemon, OneTick
from dagsched.errors import FencedOut
from dagsched.executor import Executor, Inventory
from dagsched.stores import SqliteStore
from dagsched.stores.contract import Batch
from tests.daemon.served import Served, ask, rows

HELD = "until [ -e go ]; do sleep 0.05; done"


def write(folder: Path, text: str) -> None:
    """Replace jobs.yaml as careful editors do."""
    draft = folder / ".jobs.yaml.new"
    draft.write_text("version: 1\n" + text)
    draft.rename(folder / "jobs.yaml")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_schedule_fires_and_its_downstream_follows(tmp_path: Path) -> None:
    write(tmp_path, "jobs:\n  a: {schedule: {every: 1s}, run: echo a}\n  b: {depends_on: [a], run: echo b}\n")
    with Served(tmp_path) as daemon:
        first = daemon.until_type("run.succeeded", "a")
        follower = daemon.until_type("run.succeeded", "b")
        assert follower["run"] == first["run"].replace("job:a:", "job:b:")


def test_living_work_is_adopted_after_the_daemon_was_killed(tmp_path: Path) -> None:
    write(tmp_path, f"jobs:\n  a: {{run: 'echo $$ >> pids; {HELD}'}}\n  b: {{depends_on: [a], run: 'true'}}\n")
    with Served(tmp_path) as first:
        first.until_type("daemon.started")
        first.ask("trigger", "a")
        first.until_type("run.started", "a")
        first.process.kill()
    with Served(tmp_path) as second:
        second.until_type("attempt.adopted")
        (tmp_path / "go").touch()
        second.until_type("run.succeeded", "b")
    history = rows(ask(tmp_path, "history", "--json", "--limit", "0"))
    assert {row["job"]: (row["state"], row["attempts"]) for row in history} == {
        "a": ("success", 1),
        "b": ("success", 1),
    }
    assert len((tmp_path / "pids").read_text().split()) == 1


def test_work_that_ended_while_no_daemon_was_there_is_found_finished(tmp_path: Path) -> None:
    write(tmp_path, f"jobs:\n  a: {{run: '{HELD}; touch done'}}\n")
    with Served(tmp_path) as first:
        first.until_type("daemon.started")
        first.ask("trigger", "a")
        first.until_type("run.started", "a")
        first.process.kill()
    (tmp_path / "go").touch()
    while not (tmp_path / "done").exists():
        time.sleep(0.01)
    with Served(tmp_path) as second:
        second.until_type("run.succeeded", "a")
    assert rows(ask(tmp_path, "history", "--json"))[0]["attempts"] == 1


def test_a_good_edit_is_live_within_a_second_and_a_bad_one_changes_nothing(tmp_path: Path) -> None:
    write(tmp_path, "jobs:\n  a: {run: echo one}\n")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        write(tmp_path, "jobs:\n  a: {run: echo two}\n  c: {run: 'true'}\n")
        saved = time.monotonic()
        applied = daemon.until_type("config.applied")
        assert time.monotonic() - saved < 1.5  # a second, and what two noisy cores add
        assert applied["reason"] == "configuration 2: 1 added, 1 changed"
        write(tmp_path, "jobs:\n  a: {run: echo three, depends_on: [nobody]}\n")
        rejected = daemon.until_type("config.rejected")
        assert "nobody" in rejected["reason"]
        status = json.loads(daemon.ask("status", "--json"))
        assert status["daemon"]["config"] == 2
        assert [problem["code"] for problem in status["daemon"]["problems"]] == ["E201"]
        assert "^^^^^^" in daemon.ask("reload", code=3)
        daemon.ask("trigger", "a")
        daemon.until_type("run.succeeded", "a")
        run = rows(daemon.ask("history", "--json", "a"))[0]["run"]
        assert daemon.ask("logs", run) == "two\n"


def test_a_mistake_that_is_taken_back_is_told_as_mended_once(tmp_path: Path) -> None:
    good = "jobs:\n  a: {run: 'true'}\n"
    write(tmp_path, good)
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        write(tmp_path, good.replace("run:", "rum:"))
        daemon.until_type("config.rejected")
        write(tmp_path, good)
        assert daemon.until_type("config.mended")["reason"].endswith("configuration 1 is in force, as before")
        assert daemon.ask("reload") == "configuration 1 is in force, as before\n"
        assert json.loads(daemon.ask("status", "--json"))["daemon"]["problems"] == []
        types = [row["type"] for row in rows(daemon.ask("events", "--json"))]
        assert types.count("config.mended") == 1


def test_sighup_reads_the_files_again(tmp_path: Path) -> None:
    write(tmp_path, "jobs: {}\n")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        daemon.signal(signal.SIGHUP)
        write(tmp_path, "jobs:\n  a: {run: 'true'}\n")
        daemon.until_type("config.applied")


def test_a_bad_file_at_the_start_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    write(tmp_path, "jobs:\n  a: {run: echo good}\n")
    with Served(tmp_path) as first:
        first.until_type("daemon.started")
    write(tmp_path, "jobs: [\n")
    with Served(tmp_path) as second:
        second.until_type("daemon.started")
        second.ask("trigger", "a")
        second.until_type("run.succeeded", "a")
    assert "error E005" in (tmp_path / "stderr").read_text()


def test_a_bad_file_without_a_last_good_one_exits_3(tmp_path: Path) -> None:
    write(tmp_path, "jobs: [\n")
    assert "E005" in ask(tmp_path, "run", code=3)


def test_a_second_daemon_exits_4_and_names_the_first(tmp_path: Path) -> None:
    write(tmp_path, "jobs: {}\n")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        assert f"process {daemon.process.pid}" in ask(tmp_path, "run", code=4)
        assert "dagsched trigger" in ask(tmp_path, "run", "--once", code=4)


def test_sigterm_lets_running_work_finish_and_leaves_no_process(tmp_path: Path) -> None:
    write(tmp_path, f"jobs:\n  a: {{run: 'echo $$ > pid; {HELD}'}}\n  b: {{depends_on: [a], run: 'true'}}\n")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "a")
        daemon.until_type("run.started", "a")
        daemon.signal(signal.SIGTERM)
        (tmp_path / "go").touch()
        daemon.until_type("run.succeeded", "a")
        assert daemon.ended() == 0
    states = {row["job"]: row["state"] for row in rows(ask(tmp_path, "history", "--json"))}
    assert states == {"a": "success", "b": "queued"}  # b was not started any more; the next daemon does


def test_a_second_interrupt_stops_now_and_what_was_cut_short_is_retried_at_the_next_start(tmp_path: Path) -> None:
    write(tmp_path, f"jobs:\n  a: {{run: 'echo $$ >> pids; {HELD}', retry: 2}}\n  c: {{run: '{HELD}'}}\n")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "a")
        daemon.ask("trigger", "c")
        daemon.until_type("run.started", "c")
        daemon.signal(signal.SIGINT)
        while not json.loads(daemon.ask("status", "--json"))["daemon"]["stopping"]:
            time.sleep(0.01)
        head, *lines = daemon.ask("status").splitlines()
        assert head.startswith(f"daemon    stopping, process {daemon.process.pid} (")
        assert any(line.startswith("stopping  nothing new is started; 2 runs under way, ended at ") for line in lines)
        daemon.signal(signal.SIGINT)
        daemon.until_type("daemon.stopped")
        assert daemon.ended() == 130
    states = {row["job"]: (row["state"], row["reason"]) for row in rows(ask(tmp_path, "history", "--json"))}
    assert states == {"a": ("retrying", "daemon stopped"), "c": ("failed", "daemon stopped")}
    assert not any(alive(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    (tmp_path / "go").touch()
    with Served(tmp_path) as second:
        second.until_type("run.succeeded", "a")


def test_the_grace_ends_with_term(tmp_path: Path) -> None:
    write(tmp_path, f"jobs:\n  a: {{run: '{HELD}'}}\n")
    with Served(tmp_path, "--grace", "200ms") as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "a")
        daemon.until_type("run.started", "a")
        daemon.signal(signal.SIGTERM)
        daemon.until_type("run.failed", "a")
        assert daemon.ended() == 0


def test_a_handover_leaves_work_running_for_the_next_daemon(tmp_path: Path) -> None:
    write(tmp_path, f"jobs:\n  a: {{run: 'echo $$ > pid; {HELD}'}}\n")
    with Served(tmp_path) as first:
        first.until_type("daemon.started")
        first.ask("trigger", "a")
        first.until_type("run.started", "a")
        while not (tmp_path / "pid").exists():
            time.sleep(0.01)
        first.ask("stop", "--handover")
        assert first.ended() == 0
    assert alive(int((tmp_path / "pid").read_text()))
    with Served(tmp_path) as second:
        second.until_type("attempt.adopted")
        (tmp_path / "go").touch()
        second.until_type("run.succeeded", "a")


def test_commands_without_a_daemon_are_carried_out_at_its_next_start(tmp_path: Path) -> None:
    write(tmp_path, "jobs:\n  a: {run: 'true'}\n")
    with Served(tmp_path) as first:
        first.until_type("daemon.started")
        first.ask("stop")
        assert first.ended() == 0
    ask(tmp_path, "trigger", "a")
    with Served(tmp_path) as second:
        second.until_type("run.succeeded", "a")
    with Served(tmp_path) as third:
        third.until_type("daemon.started")
    assert len(rows(ask(tmp_path, "history", "--json"))) == 1


def test_until_idle_ends_once_everything_is_over(tmp_path: Path) -> None:
    write(tmp_path, "jobs:\n  a: {run: 'true'}\n")
    with Served(tmp_path) as first:
        first.until_type("daemon.started")
    ask(tmp_path, "trigger", "a")
    assert "run.succeeded" in ask(tmp_path, "run", "--until-idle", "--json")


def test_once_settles_a_dead_daemons_attempts_and_starts_only_its_own(tmp_path: Path) -> None:
    jobs = f"  a: {{run: '{HELD}'}}\n  b: {{depends_on: [a], run: 'true'}}\n  c: {{run: 'true'}}\n"
    write(tmp_path, f"jobs:\n{jobs}")
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        daemon.ask("trigger", "a")
        daemon.until_type("run.started", "a")
        daemon.process.kill()
    (tmp_path / "go").touch()
    ask(tmp_path, "run", "--once", "c")
    states = {row["job"]: row["state"] for row in rows(ask(tmp_path, "history", "--json"))}
    assert states["c"] == "success"
    assert states["b"] == "waiting"


def test_systemd_is_told_of_readiness_and_of_the_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "jobs: {}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        with Served(tmp_path) as daemon:
            told: list[str] = []
            while not any("READY=1" in text for text in told) or told.count("WATCHDOG=1") < 3:
                told.append(manager.recv(4096).decode())
            daemon.signal(signal.SIGTERM)
            while "STOPPING=1" not in told:
                told.append(manager.recv(4096).decode())
            assert daemon.ended() == 0


def test_an_interrupted_once_ends_what_waits_below_what_never_started(tmp_path: Path) -> None:
    write(
        tmp_path,
        f"jobs:\n  x: {{run: '{HELD}'}}\n  a: {{run: 'true'}}\n  b: {{depends_on: [a], run: 'true'}}\n",
    )
    with Served(tmp_path, "--once", "--slots", "1", "--grace", "0s") as once:
        once.until_type("run.started", "x")
        once.signal(signal.SIGINT)
        once.until_type("run.upstream_failed", "b")
        assert once.ended() == 130


def test_a_daemon_serves_where_its_files_cannot_be_watched(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path / "odd-") + b"\xff"))
    folder.mkdir()
    write(folder, "jobs:\n  a: {run: 'true'}\n")
    with Served(folder) as daemon:
        unwatched = daemon.until_type("config.unwatched")
        assert "dagsched reload" in unwatched["reason"]
        write(folder, "jobs:\n  b: {run: 'true'}\n")
        daemon.ask("reload")
        daemon.ask("trigger", "b")
        daemon.until_type("run.succeeded", "b")


@pytest.mark.parametrize("once", [False, True], ids=["run", "run --once"])
def test_a_second_signal_ends_a_start_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, once: bool) -> None:
    write(tmp_path, "jobs:\n  a: {run: 'true'}\n")

    async def play() -> None:
        waiting = asyncio.Event()

        async def connect(self: Executor) -> Inventory:
            waiting.set()
            await asyncio.Event().wait()
            raise AssertionError("nothing sets it")

        monkeypatch.setattr(Executor, "connect", connect)
        files, home = [tmp_path / "jobs.yaml"], tmp_path / "state"
        running = asyncio.ensure_future(OneTick(files, home).run_once() if once else Daemon(files, home).run())
        await waiting.wait()
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            await asyncio.sleep(0)  # identical signals that wait together are one
            await asyncio.sleep(0.01)
        assert await asyncio.wait_for(running, 10) == 130

    asyncio.run(play())


def test_what_waits_for_a_commit_that_ends_the_daemon_leaves_no_complaint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = SqliteStore.commit

    async def fenced(store: SqliteStore, batch: Batch) -> None:
        if batch.runs:
            raise FencedOut("another one writes")
        await commit(store, batch)

    async def play() -> None:
        complaints: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint["message"]))
        with pytest.raises(FencedOut):
            await OneTick([tmp_path / "jobs.yaml"], tmp_path / "state").run_once()
        # A task of whose failure nobody has heard complains when it is freed.
        await asyncio.sleep(0)
        gc.collect()
        assert complaints == []

    write(tmp_path, 'jobs: {only: {run: "true"}}\n')
    monkeypatch.setattr(SqliteStore, "commit", fenced)
    asyncio.run(play())
