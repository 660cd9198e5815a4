"""What the machine allows: open files run out without taking the spawner, or anybody's attempts, along."""

import asyncio
import os
import resource
import shlex
import socket
import sys
from pathlib import Path

import pytest

from dagsched.executor import Started, places
from dagsched.model import Outcome
from dagsched.spawner import processes
from tests.executor.harness import Hand, kill, order

pytestmark = pytest.mark.skipif(not processes.HAS_PROC, reason="limits of other processes are Linux's")

FILES = 64


def python_with_few_files(folder: Path, soft: int, hard: int) -> str:
    """Return a Python that may open only so many files."""
    script = folder / "python"
    script.write_text(f'#!/bin/sh\nulimit -Sn {soft}; ulimit -Hn {hard}; exec {shlex.quote(sys.executable)} "$@"\n')
    script.chmod(0o755)
    return str(script)


def test_more_attempts_than_open_files_are_refused_one_by_one(tmp_path, monkeypatch):
    monkeypatch.setattr(places.sys, "executable", python_with_few_files(tmp_path, FILES, FILES))

    async def main():
        async with Hand(tmp_path / "state") as hand:
            hand.executor.start([order(f"j{number}", "sleep", "60") for number in range(FILES)])
            await hand.until(lambda: len(hand.exits) + len(hand.of(Started)) == FILES)
            assert len(hand.exits) == FILES - FILES // 2
            assert {exit.outcome for exit in hand.exits} == {Outcome.SPAWN_ERROR}
            assert "limit of open files" in hand.exits[0].reason

    asyncio.run(main())


def test_attempts_get_the_usual_limit_and_the_spawner_what_it_can(tmp_path, monkeypatch):
    monkeypatch.setattr(places.sys, "executable", python_with_few_files(tmp_path, FILES, 3 * FILES))

    async def main():
        async with Hand(tmp_path / "state") as hand:
            launches = [order(f"j{number}", "sleep", "60") for number in range(FILES)]
            hand.executor.start(launches)
            await hand.until(lambda: len(hand.of(Started)) == FILES)
            exit = await hand.run(order("told", "sleep 0.05; ulimit -Sn; ulimit -Hn"))
            assert hand.log(exit).split() == [b"%d" % FILES, b"%d" % (3 * FILES)]

    asyncio.run(main())


def test_the_spawner_raises_its_own_limit_only_once_it_needs_that(tmp_path, monkeypatch):
    monkeypatch.setattr(places.sys, "executable", python_with_few_files(tmp_path, FILES, 3 * FILES))

    async def main():
        async with Hand(tmp_path / "state") as hand:
            pid = hand.executor.spawner_pid
            assert pid is not None
            assert (await hand.run(order("told", "ulimit -Sn; true"))).outcome is Outcome.SUCCESS
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (FILES, 3 * FILES)
            hand.executor.start([order(f"j{number}", "sleep", "60") for number in range(FILES // 2)])
            await hand.until(lambda: len(hand.of(Started)) >= FILES // 2)
            assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == (3 * FILES, 3 * FILES)

    asyncio.run(main())


def test_spawner_outlives_more_connections_than_it_can_open(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            pid = hand.executor.spawner_pid
            assert pid is not None
            usual = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + 3, usual[1]))
            visitors = [places.connect(tmp_path, 1) for _ in range(8)]
            await hand.until(lambda: any("cannot take a connection" in text for text in hand.remarks()))
            for visitor in visitors:
                assert visitor is not None
                visitor.shutdown(socket.SHUT_RDWR)
                visitor.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, usual)
            assert (await hand.run(order("j", "true"))).outcome is Outcome.SUCCESS
            assert hand.executor.spawner_pid == pid

    asyncio.run(main())


def test_spawner_is_replaced_once_files_can_be_opened_again(tmp_path, monkeypatch):
    async def main():
        async with Hand(tmp_path) as hand:
            connect, failures = places.connect, [OSError(24, "Too many open files")] * 3

            def exhausted(state_dir, protocol):
                if failures:
                    raise failures.pop()
                return connect(state_dir, protocol)

            monkeypatch.setattr(places, "connect", exhausted)
            kill(hand.executor.spawner_pid)
            await hand.gone()
            assert any("Too many open files" in text for text in hand.remarks())
            assert (await hand.run(order("j", "true"))).outcome is Outcome.SUCCESS

    asyncio.run(main())
