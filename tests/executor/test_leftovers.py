"""An attempt ends only when everything it left behind is dead."""

import asyncio
import shlex
import sys
from pathlib import Path

import pytest

from dagsched.model import Outcome
from tests.executor.harness import Hand, children, dies, file_with, is_alive, order, python

# Leaves its session, loses its parent, ignores TERM and says its pid in a file.
DAEMON = """
import os, signal, sys, time
if os.fork(): sys.exit(0)
os.setsid()
if os.fork(): os._exit(0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
with open(sys.argv[1], "a") as file: file.write(f"{os.getpid()}\\n")
time.sleep(60)
"""


def daemonize(path: Path) -> str:
    return f"{shlex.quote(sys.executable)} -I -S -c '{DAEMON}' {path}"


def wait_for(path: Path, lines: int = 1) -> str:
    return f"until [ -s {path} ] && [ $(wc -l < {path}) -ge {lines} ]; do sleep 0.01; done"


def test_background_process_gets_term_after_exit_0_and_the_run_stays_a_success(tmp_path):
    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("j", f"sleep 60 & echo $! > {tmp_path}/pid; exit 0"))
            assert (exit.outcome, exit.exit_code, exit.leftovers) == (Outcome.SUCCESS, 0, 1)
            assert not is_alive(int((tmp_path / "pid").read_text()))

    asyncio.run(main())


def test_double_forked_daemon_that_ignores_term_is_killed_before_the_exit_is_reported(tmp_path):
    path = tmp_path / "pid"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("j", f"{daemonize(path)}; {wait_for(path)}; exit 7", grace_s=0.05))
            assert (exit.outcome, exit.exit_code, exit.leftovers) == (Outcome.FAILED, 7, 1)
            assert not is_alive(int(path.read_text()))

    asyncio.run(main())


@pytest.mark.parametrize("how", ["timeout", "cancel"])
def test_nothing_escapes_a_timeout_or_a_cancel(tmp_path, how):
    path = tmp_path / "pids"
    text = f"trap '' TERM; {daemonize(path)}; {daemonize(path)}; echo $$ >> {path}; {wait_for(path, 3)}; sleep 60"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            launch = order("j", text, grace_s=0.05, timeout_s=0.6 if how == "timeout" else None)
            await hand.start(launch)
            pids = [int(each) for each in await file_with(path, 3)]
            if how == "cancel":
                hand.executor.stop(launch.run, 1, "cancel", 0.05)
            exit = await hand.run(launch)
            assert exit.outcome == {"timeout": Outcome.TIMED_OUT, "cancel": Outcome.CANCELLED}[how]
            assert [pid for pid in pids if is_alive(pid)] == []

    asyncio.run(main())


def test_daemons_of_a_running_attempt_are_left_alone_when_a_neighbour_ends(tmp_path):
    path = tmp_path / "pid"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            launch = order("long", f"{daemonize(path)}; sleep 60")
            await hand.start(launch)
            (pid,) = map(int, await file_with(path))
            neighbour = await hand.run(order("short", f"{daemonize(tmp_path / 'p2')}; {wait_for(tmp_path / 'p2')}"
                                             , grace_s=0))  # fmt: skip
            assert neighbour.leftovers == 1
            assert is_alive(pid)
            hand.executor.stop(launch.run, 1, "cancel", 0)
            await hand.run(launch)
            assert not is_alive(pid)

    asyncio.run(main())


def test_daemon_with_a_cleared_environment_is_killed_with_the_last_attempt_that_can_own_it(tmp_path):
    path = tmp_path / "pid"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("j", f"env -i {daemonize(path)}; {wait_for(path)}", grace_s=0))
            assert exit.leftovers == 1
            assert not is_alive(int(path.read_text()))

    asyncio.run(main())


def test_child_of_a_leftover_is_killed_too(tmp_path):
    path = tmp_path / "pid"
    inner = f"import subprocess, sys, time; p = subprocess.Popen(['sleep', '60'], start_new_session=True, env={{}}); \
open('{path}', 'w').write(str(p.pid) + '\\n'); time.sleep(60)"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            text = f'{shlex.quote(sys.executable)} -c "{inner}" & {wait_for(path)}'
            exit = await hand.run(order("j", text))
            assert exit.leftovers == 2
            assert not is_alive(int(path.read_text()))

    asyncio.run(main())


def test_grandchild_that_keeps_the_output_open_does_not_delay_the_exit(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", "echo before; sleep 60 & exit 0", grace_s=60))
            assert (exit.outcome, hand.log(exit)) == (Outcome.SUCCESS, b"before\n")
            assert (exit.ended - exit.started).total_seconds() < 10

    asyncio.run(main())


def test_clean_close_leaves_no_process(tmp_path):
    path = tmp_path / "pid"

    async def main():
        async with Hand(tmp_path / "state") as hand:
            launch = order("j", f"{daemonize(path)}; sleep 60")
            started = await hand.start(launch)
            (pid,) = map(int, await file_with(path))
            hand.executor.stop(launch.run, 1, "stop", 0.05)
            await hand.close()
            assert not is_alive(started.pid)
            assert not is_alive(pid)

    asyncio.run(main())


def test_process_that_forks_again_and_again_is_caught(tmp_path):
    code = "import os, time\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid()\n    time.sleep(0.001)"

    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(python("j", code, grace_s=0))
            assert exit.outcome is Outcome.SUCCESS
            pid = hand.executor.spawner_pid
            assert children(pid) == ""
            await hand.close()
            await dies(pid)

    asyncio.run(main())
