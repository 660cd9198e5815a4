"""Attempts that are forked from a process that has imported their handler already."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dagsched.executor import Started
from dagsched.handlers import Launch, launch
from dagsched.model import Job, Outcome, Run, RunState, utc
from tests.executor.harness import Hand, children, dies, eventually, file_with, is_alive, kill

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="forks are looked after by /proc")

MODULE = """
import os, subprocess, sys, threading, time

calls = 0

def tells():
    global calls
    calls += 1
    return {"pid": os.getpid(), "session": os.getsid(0), "calls": calls, "cwd": os.getcwd(), "x": os.getenv("X", "")}

def sleeps():
    open("sleeping", "a").write(f"{os.getpid()}\\n")
    time.sleep(60)

def ends_soon():
    open("sleeping", "a").write(f"{os.getpid()}\\n")
    while not os.path.exists("enough"):
        time.sleep(0.005)
    return tells()

def hears_term():
    import signal
    signal.signal(signal.SIGTERM, lambda *_: open("heard", "a").write("heard\\n"))
    signal.alarm(1)
    return tells()

def defies_term():
    import signal
    signal.signal(signal.SIGTERM, lambda *_: open("enough", "w"))
    return ends_soon()

def fails():
    raise ValueError("no")

def leaves_a_thread():
    threading.Thread(target=time.sleep, args=(0.2,)).start()
    return tells()

def leaves_a_process():
    return {**tells(), "left": subprocess.Popen(["sleep", "60"]).pid}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    (work / "functions.py").write_text(MODULE)
    # Older than any process that is to read it, as files of jobs are.
    os.utime(work / "functions.py", (time.time() - 60, time.time() - 60))
    return work


def call(folder: Path, name: str, function: str, *, attempt: int = 1, **parts: Any) -> Launch:
    with_ = {"function": f"functions:{function}", "reuse": parts.pop("reuse", False)}
    job = Job(name, handler="python", with_=with_, cwd=str(folder), timeout=parts.pop("timeout", None))
    return launch(job, Run(name, utc(2026, 11, 23, 14), RunState.QUEUED), attempt, env=parts)


def play(tmp_path: Path, body: Any) -> Any:
    async def main() -> Any:
        async with Hand(tmp_path / "state") as hand:
            return await body(hand)

    return asyncio.run(main())


def server_of(hand: Hand) -> int:
    return int(children(hand.executor.spawner_pid or 0).split()[0])


def environment(pid: int) -> bytes:
    return Path(f"/proc/{pid}/environ").read_bytes()


def test_a_forked_attempt_is_a_process_of_its_own_with_its_own_folder_and_environment(tmp_path, folder):
    async def body(hand):
        one = await hand.run(call(folder, "a", "tells", X="1"))
        two = await hand.run(call(folder, "b", "tells"))
        for exit in (one, two):
            assert exit.outcome is Outcome.SUCCESS
            assert exit.outputs["pid"] == exit.outputs["session"] == str(exit.pid)
            assert exit.outputs["cwd"] == str(folder)
            assert exit.outputs["calls"] == "1"
        assert one.pid != two.pid
        assert [one.outputs["x"], two.outputs["x"]] == ["1", ""]

    play(tmp_path, body)


def test_a_variable_that_is_read_when_a_process_starts_is_given_to_a_python_of_its_own(folder):
    assert call(folder, "a", "tells", PYTHONHASHSEED="1").fork is None
    assert call(folder, "a", "tells", X="1").fork is not None


def test_a_process_is_used_again_when_the_job_allows_it(tmp_path, folder):
    async def body(hand):
        one = await hand.run(call(folder, "a", "tells", reuse=True, X="1"))
        two = await hand.run(call(folder, "b", "tells", reuse=True))
        other = await hand.run(call(folder, "c", "tells"))
        assert two.outputs["pid"] == one.outputs["pid"] != other.outputs["pid"]
        assert [one.outputs["calls"], two.outputs["calls"], other.outputs["calls"]] == ["1", "2", "1"]
        assert two.outputs["x"] == ""

    play(tmp_path, body)


@pytest.mark.parametrize("function", ["fails", "leaves_a_thread", "leaves_a_process"])
def test_a_process_that_failed_or_left_something_is_not_used_again(tmp_path, folder, function):
    async def body(hand):
        one = await hand.run(call(folder, "a", function, reuse=True))
        two = await hand.run(call(folder, "b", "tells", reuse=True))
        assert one.outcome is (Outcome.FAILED if function == "fails" else Outcome.SUCCESS)
        assert two.outputs["pid"] != str(one.pid)
        assert not is_alive(one.pid)
        if function == "leaves_a_process":
            assert not is_alive(int(one.outputs["left"]))

    play(tmp_path, body)


def test_an_edited_module_is_read_again(tmp_path, folder):
    async def body(hand):
        one = await hand.run(call(folder, "a", "tells", reuse=True))
        (folder / "functions.py").write_text(MODULE.replace("calls = 0", "calls = 100"))
        two = await hand.run(call(folder, "b", "tells", reuse=True))
        three = await hand.run(call(folder, "c", "tells", reuse=True))
        assert one.outputs["calls"] == "1"
        assert three.outputs["calls"] == "101"
        assert two.outcome is Outcome.SUCCESS

    play(tmp_path, body)


def test_a_timeout_ends_a_forked_attempt(tmp_path, folder):
    async def body(hand):
        exit = await hand.run(call(folder, "a", "sleeps", timeout=timedelta(seconds=0.5)))
        assert exit.outcome is Outcome.TIMED_OUT
        assert not is_alive(exit.pid)

    play(tmp_path, body)


def test_an_attempt_cancelled_before_its_process_is_there_never_begins(tmp_path, folder):
    async def body(hand):
        order = call(folder, "a", "sleeps")
        hand.executor.start([order])
        hand.executor.stop(order.run, 1, "cancel", 5)
        exit = (await hand.until(lambda: hand.exits))[0]
        assert exit.outcome is Outcome.CANCELLED
        assert not (folder / "sleeping").exists()

    play(tmp_path, body)


def test_attempts_outlive_the_process_they_were_forked_from_and_end_truthfully(tmp_path, folder):
    async def body(hand):
        hand.executor.start([call(folder, "a", "ends_soon"), call(folder, "b", "sleeps")])
        pids = await file_with(folder / "sleeping", 2)
        server = server_of(hand)
        kill(server)
        await dies(server)
        assert all(is_alive(int(pid)) for pid in pids)
        (folder / "enough").touch()
        first = await hand.until(lambda: hand.exits)
        assert first[0].outcome is Outcome.SUCCESS
        assert first[0].outputs["calls"] == "1"
        os.kill(int((set(pids) - {str(first[0].pid)}).pop()), signal.SIGKILL)
        second = await hand.until(lambda: hand.exits[1:])
        assert (second[0].outcome, second[0].signal) == (Outcome.FAILED, 9)
        assert (await hand.run(call(folder, "c", "tells"))).outcome is Outcome.SUCCESS

    play(tmp_path, body)


def test_orders_that_a_dying_server_did_not_carry_out_are_carried_out_by_the_next(tmp_path, folder):
    async def body(hand):
        await hand.run(call(folder, "first", "tells"))
        server = server_of(hand)
        os.kill(server, signal.SIGSTOP)
        orders = [call(folder, f"j{number}", "tells") for number in range(12)]
        hand.executor.start(orders)
        await eventually(lambda: "j3" in (hand.state_dir / "spawner-1.journal").read_text())
        kill(server)
        await hand.until(lambda: len(hand.exits) == 13)
        assert {exit.outcome for exit in hand.exits} == {Outcome.SUCCESS}
        assert {exit.outputs["calls"] for exit in hand.exits} == {"1"}

    play(tmp_path, body)


def test_the_mark_of_a_forked_attempt_is_where_others_look_for_it(tmp_path, folder):
    async def body(hand):
        started = await hand.start(call(folder, "a", "sleeps"))
        assert isinstance(started, Started)
        seen = environment(started.pid)
        assert f"{started.run}/1".encode() in seen
        hand.executor.stop(started.run, 1, "cancel", 0)
        await hand.until(lambda: hand.exits)

    play(tmp_path, body)


def test_a_clean_close_leaves_neither_server_nor_spare_process(tmp_path, folder):
    async def body(hand):
        exit = await hand.run(call(folder, "a", "tells", reuse=True))
        server = server_of(hand)
        assert is_alive(exit.pid)
        assert is_alive(server)
        await hand.close()
        await dies(exit.pid)
        await dies(server)

    play(tmp_path, body)


def test_a_killed_spawner_takes_its_forked_attempts_along(tmp_path, folder):
    async def body(hand):
        started = await hand.start(call(folder, "a", "sleeps"))
        kill(hand.executor.spawner_pid or 0)
        gone = await hand.gone()
        assert (started.run, 1) in gone.inventory.recorded
        assert not is_alive(started.pid)

    play(tmp_path, body)


def test_a_spawner_that_dies_leaves_no_complaint_of_what_was_about_to_begin(tmp_path, folder):
    async def body(hand):
        await hand.run(call(folder, "first", "tells", reuse=True))
        server = server_of(hand)
        os.kill(server, signal.SIGSTOP)
        hand.executor.start([call(folder, f"j{number}", "tells") for number in range(4)])
        await eventually(lambda: "j3" in (hand.state_dir / "spawner-1.journal").read_text())
        kill(hand.executor.spawner_pid or 0)
        os.kill(server, signal.SIGCONT)
        await hand.gone()
        await dies(server)
        assert "Traceback" not in (hand.state_dir / "spawner.log").read_text()

    play(tmp_path, body)


def test_a_dead_server_takes_its_spare_processes_along_and_the_next_one_makes_its_own(tmp_path, folder):
    async def body(hand):
        one = await hand.run(call(folder, "a", "tells", reuse=True))
        kill(server_of(hand))
        await dies(one.pid)
        two = await hand.run(call(folder, "b", "tells", reuse=True))
        three = await hand.run(call(folder, "c", "tells", reuse=True))
        assert one.pid != two.pid == three.pid
        assert [two.outputs["calls"], three.outputs["calls"]] == ["1", "2"]
        assert [two.leftovers, three.leftovers] == [0, 0]

    play(tmp_path, body)


def test_signal_handlers_of_one_attempt_do_not_hear_what_is_meant_for_the_next(tmp_path, folder):
    async def body(hand):
        one = await hand.run(call(folder, "a", "hears_term", reuse=True))
        hand.executor.start([call(folder, "b", "sleeps", reuse=True)])
        (pid,) = await file_with(folder / "sleeping")
        assert int(pid) == one.pid
        hand.executor.stop("job:b:2026-11-23T14:00:00Z", 1, "cancel", 30)
        exit = (await hand.until(lambda: hand.exits[1:]))[0]
        assert (exit.outcome, exit.signal) == (Outcome.CANCELLED, signal.SIGTERM)
        assert not (folder / "heard").exists()

    play(tmp_path, body)


def test_a_process_that_was_told_to_end_and_ended_well_does_no_further_attempt(tmp_path, folder):
    async def body(hand):
        hand.executor.start([call(folder, "a", "defies_term", reuse=True)])
        (pid,) = await file_with(folder / "sleeping")
        hand.executor.stop("job:a:2026-11-23T14:00:00Z", 1, "cancel", 30)
        one = (await hand.until(lambda: hand.exits))[0]
        two = await hand.run(call(folder, "b", "tells", reuse=True))
        assert one.outcome is Outcome.CANCELLED
        assert two.outcome is Outcome.SUCCESS
        assert two.outputs["pid"] != pid

    play(tmp_path, body)


def test_a_success_has_run_also_when_spare_processes_are_killed(tmp_path, folder):
    async def body(hand):
        for number in range(20):
            exit = await hand.run(call(folder, f"j{number}", "tells", reuse=True))
            if exit.outcome is Outcome.SUCCESS:
                assert exit.outputs["pid"] == str(exit.pid)
                kill(exit.pid)
            else:
                # It was chosen before its death was known, and met it at its gate or right behind.
                never_began = (Outcome.SPAWN_ERROR, "its process ended before it could begin")
                assert (exit.outcome, exit.reason) in (never_began, (Outcome.FAILED, "killed by SIGKILL"))

    play(tmp_path, body)


def test_modules_of_one_name_on_other_paths_are_never_taken_for_each_other(tmp_path, folder):
    for name in ("east", "west"):
        (folder / name).mkdir()
        text = f"import sys\ndef main(): return {{'is': '{name}', 'n': len(sys.path)}}\n"
        (folder / name / "place.py").write_text(text)
        os.utime(folder / name / "place.py", (time.time() - 60, time.time() - 60))

    def order(number, name):
        with_ = {"function": "place:main", "path": name, "reuse": True}
        job = Job(f"j{number}", handler="python", with_=with_, cwd=str(folder))
        return launch(job, Run(job.id, utc(2026, 11, 23, 14), RunState.QUEUED), 1, env={})

    async def body(hand):
        names = ["east", "west", "east", "west", "west"]
        exits = [await hand.run(order(number, name)) for number, name in enumerate(names)]
        assert [exit.outputs["is"] for exit in exits] == names
        assert len({exit.outputs["n"] for exit in exits}) == 1
        assert len({exit.pid for exit in exits}) == 2

    play(tmp_path, body)
