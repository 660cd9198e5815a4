"""A leftover without a mark belongs to the attempt whose log it writes to, not to a neighbour that started later."""

import asyncio
import shlex
import sys

import pytest

from dagsched.model import Outcome
from dagsched.spawner import family
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


def test_an_environment_that_is_not_there_yet_is_looked_at_again(monkeypatch):
    looks = iter(["", "", "state/job:a:2026-01-01T00:00:00Z/1"])
    monkeypatch.setattr(family.processes, "mark", lambda pid: next(looks))
    monkeypatch.setattr(family.processes, "has_environment", lambda pid: False)
    monkeypatch.setattr(family.time, "sleep", lambda s: None)
    assert family._mark_after_exec(1) == "state/job:a:2026-01-01T00:00:00Z/1"


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
