"""A leftover without a mark belongs to the attempt whose log it writes to, not to a neighbour that started later."""

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

import dagsched
from dagsched.executor import places
from dagsched.model import Outcome
from tests.executor.harness import Hand, is_alive, order
from tests.executor.test_leftovers import daemonize, wait_for


@pytest.mark.parametrize("closes", ["<&-", "2>&-", ">/dev/null"])
def test_leftover_with_a_cleared_environment_is_killed_with_its_own_attempt_and_not_a_later_one(tmp_path, closes):
    path, later = tmp_path / "pid", tmp_path / "later"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            naked = f"env -i {daemonize(path)} {closes}"
            first = order("a", f"{wait_for(later)}; {naked}; {wait_for(path)}", grace_s=0)
            second = order("b", f"echo . > {shlex.quote(str(later))}; sleep 60")
            hand.executor.start([first, second])
            exit = await hand.until(lambda: next((each for each in hand.exits if each.run == first.run), None))
            assert (exit.outcome, exit.leftovers) == (Outcome.SUCCESS, 1)
            assert not is_alive(int(path.read_text()))
            hand.executor.stop(second.run, 1, "stop", 0)

    asyncio.run(main())


# A spawner whose kernel shows no environment of a process it has not met before, for as long as sys.argv says.
SLOW_EXEC = """
import sys, time
sys.path.insert(0, {folder!r})
from spawner import processes
from spawner.__main__ import main
met, told = {{}}, processes.mark_if_told
def late(pid):
    return told(pid) if time.monotonic() - met.setdefault(pid, time.monotonic()) > {delay_s} else None
processes.mark_if_told = late
sys.exit(main(sys.argv[1], int(sys.argv[2])))
"""


def test_no_attempt_ends_while_a_leftover_that_may_be_its_own_is_in_the_middle_of_an_exec(tmp_path, monkeypatch):
    path, later, script = tmp_path / "pid", tmp_path / "later", tmp_path / "spawner.py"
    script.write_text(SLOW_EXEC.format(folder=str(Path(dagsched.__file__).parent), delay_s=0.4))
    monkeypatch.setattr(places, "_SCRIPT", script)

    async def main():
        async with Hand(tmp_path / "state") as hand:
            first = order("a", f"{wait_for(later)}; {daemonize(path)} >/dev/null 2>&1; {wait_for(path)}", grace_s=0)
            second = order("b", f"echo . > {shlex.quote(str(later))}; sleep 60")
            hand.executor.start([first, second])
            exit = await hand.until(lambda: next((each for each in hand.exits if each.run == first.run), None))
            assert (exit.outcome, exit.leftovers) == (Outcome.SUCCESS, 1)
            assert not is_alive(int(path.read_text()))
            hand.executor.stop(second.run, 1, "stop", 0)

    asyncio.run(main())


def test_a_leftover_that_never_shows_an_environment_is_guessed_after_a_while(tmp_path, monkeypatch):
    path, script = tmp_path / "pid", tmp_path / "spawner.py"
    script.write_text(SLOW_EXEC.format(folder=str(Path(dagsched.__file__).parent), delay_s=1e9))
    monkeypatch.setattr(places, "_SCRIPT", script)

    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("a", f"{daemonize(path)} >/dev/null 2>&1; {wait_for(path)}", grace_s=0))
            assert (exit.outcome, exit.leftovers) == (Outcome.SUCCESS, 1)
            assert not is_alive(int(path.read_text()))

    asyncio.run(main())


# Outlives its parent; told to end, it leaves another process behind, which says its pid and would end by TERM.
FORKS_AT_TERM = """
import os, signal, sys, time
def heir(*_):
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    if os.fork(): os._exit(0)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()}\\n")
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])
    time.sleep(60)
    os._exit(0)
os.setsid()
signal.signal(signal.SIGTERM, heir)
open(sys.argv[1] + ".ready", "w").write("!")
time.sleep(60)
"""


def test_what_a_leftover_forks_while_it_is_told_to_end_gets_term_too(tmp_path):
    path = tmp_path / "pid"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            leftover = f"{shlex.quote(sys.executable)} -I -S -c '{FORKS_AT_TERM}' {path} &"
            exit = await hand.run(order("a", f"{leftover} {wait_for(tmp_path / 'pid.ready', 0)}", grace_s=60))
            assert exit.outcome is Outcome.SUCCESS
            assert (exit.ended - exit.started).total_seconds() < 20
            assert not is_alive(int(path.read_text()))

    asyncio.run(main())
