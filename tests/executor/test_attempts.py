"""One attempt from its order to its exit."""

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime

import pytest

from dagsched.model import Outcome
from dagsched.spawner import logs
from tests.executor.harness import Hand, dies, file_with, is_alive, order, python


@pytest.mark.parametrize(
    ("argv", "outcome", "code", "number", "reason"),
    [
        pytest.param(("/bin/true",), Outcome.SUCCESS, 0, None, "", id="exit 0"),
        pytest.param(("true",), Outcome.SUCCESS, 0, None, "", id="looked up in PATH"),
        pytest.param(("exit 3; ",), Outcome.FAILED, 3, None, "exit code 3", id="exit 3"),
        pytest.param(("exit 255; ",), Outcome.FAILED, 255, None, "exit code 255", id="exit 255"),
        pytest.param(("kill -KILL $$",), Outcome.FAILED, None, 9, "killed by SIGKILL", id="KILL by itself"),
        pytest.param(("kill -TERM $$",), Outcome.FAILED, None, 15, "killed by SIGTERM", id="TERM by itself"),
    ],
)
def test_exit_status_becomes_the_outcome(tmp_path, argv, outcome, code, number, reason):
    async def main():
        async with Hand(tmp_path) as hand:
            before = datetime.now(UTC)
            exit = await hand.run(order("j", *argv))
            assert (exit.outcome, exit.exit_code, exit.signal, exit.reason) == (outcome, code, number, reason)
            assert (exit.cause, exit.leftovers, exit.log, exit.output_bytes) == ("", 0, "", 0)
            assert abs((exit.started - before).total_seconds()) < 5
            assert exit.started <= exit.ended

    asyncio.run(main())


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        pytest.param({"argv": ("no-such-command-here",)}, "'no-such-command-here' is not in PATH", id="command"),
        pytest.param({"argv": ("/no/such/file",)}, "cannot run '/no/such/file': No such file", id="path"),
        pytest.param({"argv": ("/etc/passwd",)}, "cannot run '/etc/passwd': Permission denied", id="not executable"),
        pytest.param({"argv": ("true", "a\0b")}, "embedded null byte", id="NUL in a word"),
        pytest.param({"argv": ("true",), "env": {"A=B": "c"}}, "illegal environment variable name", id="name with ="),
        pytest.param({"argv": ("true", "x" * 200_000)}, "Argument list too long", id="too long"),
        pytest.param({"argv": ("true",), "cwd": "/no/folder"}, "cannot enter cwd '/no/folder'", id="cwd"),
        pytest.param({"argv": ("true",), "user": "no-such-user"}, "no user 'no-such-user'", id="user"),
        pytest.param({"argv": ("true",), "env": {"PATH": "/none"}}, "is not in PATH (/none)", id="PATH of the job"),
    ],
)
def test_what_cannot_be_started_says_what_is_missing(tmp_path, parts, says):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", **parts))
            assert exit.outcome is Outcome.SPAWN_ERROR
            assert says in exit.reason
            assert exit.started is None

    asyncio.run(main())


def test_missing_interpreter_is_named(tmp_path):
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)

    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("j", str(script)))
            assert exit.outcome is Outcome.SPAWN_ERROR
            assert "interpreter" in exit.reason

    asyncio.run(main())


def test_script_without_interpreter_line_runs_in_sh_as_it_would_from_a_shell(tmp_path):
    script = tmp_path / "script"
    script.write_text('echo "$1"\n')
    script.chmod(0o755)

    async def main():
        async with Hand(tmp_path / "state") as hand:
            exit = await hand.run(order("j", str(script), "given word"))
            assert exit.outcome is Outcome.SUCCESS
            assert hand.log(exit) == b"given word\n"

    asyncio.run(main())


def test_attempt_has_its_environment_folder_input_session_and_default_signals(tmp_path):
    report = (
        "import os, signal, sys; print(os.environ['DAGSCHED_JOB'], os.environ['BASE'], os.environ['PWD'], os.getcwd(),"
        "sys.stdin.read(), os.getsid(0) == os.getpid(), signal.getsignal(signal.SIGHUP) == signal.SIG_DFL, "
        "len(signal.pthread_sigmask(signal.SIG_BLOCK, [])), sorted(map(int, os.listdir('/proc/self/fd')))[:-1])"
    )
    (tmp_path / "there").mkdir()

    async def main():
        async with Hand(tmp_path / "state", env={**os.environ, "BASE": "b"}, cwd=tmp_path) as hand:
            first, second = await hand.run(
                python("env", report, env={"DAGSCHED_JOB": "env"}, cwd="there", stdin="in\udcff"),
                order("ign", "grep", "SigIgn", "/proc/self/status"),
            )
            there = str(tmp_path / "there").encode()
            assert hand.log(first).split() == [
                b"env", b"b", there, there, b"in\xff", b"True", b"True", b"0", b"[0,", b"1,", b"2]",
            ]  # fmt: skip
            # glibc's posix_spawn leaves its own two signals (32 and 33) ignored.
            assert int(hand.log(second).split()[1], 16) & ~0x180000000 == 0

    asyncio.run(main())


def test_variable_of_the_job_stands_in_for_the_daemons_and_is_there_once(tmp_path):
    async def main():
        base = {**os.environ, "BOTH": "daemon", "ODD": "\udcff", "PWD": "/daemon", "DAGSCHED_OUTPUT": "/daemon"}
        async with Hand(tmp_path / "state", env=base, cwd=tmp_path) as hand:
            exits = await hand.run(
                order(
                    "job", "cat", "/proc/self/environ", env={"BOTH": "job", "PWD": "/job", "DAGSCHED_OUTPUT": "/job"}
                ),
                order("plain", "cat", "/proc/self/environ", env={}),
            )
            job, plain = (
                sorted(
                    each
                    for each in hand.log(exit).split(b"\0")
                    if each.startswith((b"BOTH=", b"ODD=", b"PWD=", b"DAGSCHED_OUTPUT="))
                )
                for exit in exits
            )
            assert [job[0], *job[2:]] == [b"BOTH=job", b"ODD=\xff", b"PWD=/job"]
            assert [plain[0], *plain[2:]] == [b"BOTH=daemon", b"ODD=\xff", b"PWD=" + os.fsencode(tmp_path)]
            for found in (job, plain):
                assert found[1].startswith(b"DAGSCHED_OUTPUT=" + os.fsencode(tmp_path))

    asyncio.run(main())


def test_without_input_stdin_is_empty(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", "cat"))
            assert (exit.outcome, exit.output_bytes) == (Outcome.SUCCESS, 0)

    asyncio.run(main())


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_job_with_user_runs_as_that_user_and_can_hand_on_outputs(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            text = 'id -un; echo "$HOME $USER"; echo who=$(id -un) > "$DAGSCHED_OUTPUT"'
            exit = await hand.run(order("j", text, user="nobody", cwd="/"))
            assert exit.outcome is Outcome.SUCCESS, exit.reason
            assert hand.log(exit).startswith(b"nobody\n/")
            assert hand.log(exit).endswith(b" nobody\n")
            assert exit.outputs == {"who": "nobody"}

    asyncio.run(main())


def test_timeout_ends_an_attempt_that_obeys_term(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", "sleep", "60", timeout_s=0.05))
            assert (exit.outcome, exit.cause, exit.signal) == (Outcome.TIMED_OUT, "timeout", signal.SIGTERM)
            assert exit.reason == "ran longer than its timeout"

    asyncio.run(main())


def test_timeout_kills_after_the_grace_what_ignores_term(tmp_path):
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"

    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(python("j", code, timeout_s=0.5, grace_s=0.1))
            assert (exit.outcome, exit.signal) == (Outcome.TIMED_OUT, signal.SIGKILL)
            assert hand.log(exit) == b"deaf\n"

    asyncio.run(main())


def test_exit_0_after_our_term_is_timed_out_all_the_same(tmp_path):
    code = (
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); "
        "open(sys.argv[1], 'w').write('ready\\n'); time.sleep(60)"
    )

    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", sys.executable, "-c", code, str(tmp_path / "ready"))
            await hand.start(launch)
            await file_with(tmp_path / "ready")
            hand.executor.stop(launch.run, 1, "timeout", 5)
            exit = await hand.run(launch)
            assert (exit.outcome, exit.exit_code) == (Outcome.TIMED_OUT, 0)

    asyncio.run(main())


@pytest.mark.parametrize("cause", ["cancel", "stop", "lease"])
def test_stopped_attempt_is_cancelled_or_lost_and_says_why(tmp_path, cause):
    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", "sleep", "60")
            await hand.start(launch)
            hand.executor.stop(launch.run, 1, cause, 5)
            exit = await hand.run(launch)
            assert (exit.outcome, exit.cause) == (Outcome.LOST if cause == "lease" else Outcome.CANCELLED, cause)

    asyncio.run(main())


def test_order_to_stop_does_not_overtake_the_start(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launches = [order(f"j{n}", "sleep", "60") for n in range(100)]
            hand.executor.start(launches)
            for launch in launches:
                hand.executor.stop(launch.run, 1, "cancel", 0)
            await hand.until(lambda: len(hand.exits) == 100)
            assert {each.outcome for each in hand.exits} == {Outcome.CANCELLED}

    asyncio.run(main())


def test_stop_reaches_a_process_that_was_stopped_by_a_signal(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", "sleep", "60", grace_s=60)
            started = await hand.start(launch)
            os.kill(started.pid, signal.SIGSTOP)
            hand.executor.stop(launch.run, 1, "cancel", 60)
            assert (await hand.run(launch)).signal == signal.SIGTERM

    asyncio.run(main())


def test_a_second_stop_may_shorten_the_grace_but_not_lengthen_it(tmp_path):
    code = (
        "import signal, sys, time; signal.signal(15, signal.SIG_IGN); "
        "open(sys.argv[1], 'w').write('r\\n'); time.sleep(60)"
    )

    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", sys.executable, "-c", code, str(tmp_path / "ready"))
            await hand.start(launch)
            await file_with(tmp_path / "ready")
            for grace_s in (60, 0, 60):
                hand.executor.stop(launch.run, 1, "cancel", grace_s)
            assert (await hand.run(launch)).signal == signal.SIGKILL

    asyncio.run(main())


def test_stop_of_an_attempt_that_is_over_changes_nothing(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            first = await hand.run(order("j", "/bin/true"))
            hand.executor.stop(first.run, 1, "cancel", 0)
            await hand.run(order("k", "/bin/true"))
            assert [each.outcome for each in hand.exits] == [Outcome.SUCCESS, Outcome.SUCCESS]

    asyncio.run(main())


def test_an_attempt_ordered_twice_starts_once(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", f"echo began >> {tmp_path}/journal")
            hand.executor.start([launch, launch])
            await hand.run(launch)
            hand.executor.start([launch])
            await hand.run(order("k", "/bin/true"))
            assert (tmp_path / "journal").read_text() == "began\n"

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        pytest.param("echo rows=12 > $DAGSCHED_OUTPUT", {"rows": "12"}, id="one"),
        pytest.param("printf 'a=1\\nb<<E\\nx\\ny\\nE\\n' > $DAGSCHED_OUTPUT", {"a": "1", "b": "x\ny"}, id="lines"),
        pytest.param("true ", {}, id="none"),
    ],
)
def test_outputs_come_with_the_exit_and_leave_no_file(tmp_path, text, outputs):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", text))
            assert (exit.outcome, exit.outputs) == (Outcome.SUCCESS, outputs)
            assert list((tmp_path / "outputs").iterdir()) == []

    asyncio.run(main())


@pytest.mark.parametrize(
    ("text", "outcome", "says"),
    [
        pytest.param("echo ok=1 > $DAGSCHED_OUTPUT; echo oops >> $DAGSCHED_OUTPUT", "failed", "line 2", id="no name"),
        pytest.param("printf 'a=\\377\\n' > $DAGSCHED_OUTPUT", "failed", "line 1", id="not UTF-8"),
        pytest.param("head -c 70000 /dev/zero > $DAGSCHED_OUTPUT", "failed", "larger than 65536", id="too large"),
        pytest.param("ln -s /etc/passwd $DAGSCHED_OUTPUT", "failed", "cannot be read", id="a link"),
        pytest.param("echo oops > $DAGSCHED_OUTPUT; exit 4", "failed", "exit code 4", id="exit code first"),
    ],
)
def test_unreadable_outputs_fail_an_attempt_that_ended_well(tmp_path, text, outcome, says):
    async def main():
        async with Hand(tmp_path) as hand:
            exit = await hand.run(order("j", text))
            assert exit.outcome == outcome
            assert says in exit.reason
            assert exit.outputs == {}

    asyncio.run(main())


def test_attempts_leak_no_descriptors_and_leave_no_memory_of_themselves(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            folder = f"/proc/{hand.executor.spawner_pid}/fd"
            await hand.run(order("warm", "echo warm; "))
            before = open_files(folder)
            for batch in range(5):
                launches = [
                    order(f"j{batch}-{n}", "/bin/true" if n % 2 else "/no/such", stdin="x", timeout_s=3600)
                    for n in range(100)
                ]
                await hand.run(*launches)
            after = open_files(folder)
            # Some nameless empty files are kept for the next attempts.
            assert [each for each in after if "/logs/#" not in each] == before
            assert len(after) - len(before) <= logs.SPARE_MAX

    def open_files(folder):
        return sorted(os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder))

    asyncio.run(main())


def test_clean_close_ends_the_spawner(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            pid = hand.executor.spawner_pid
            await hand.run(order("j", "/bin/true"))
            await hand.close()
            assert not is_alive(pid)
            assert not (tmp_path / "spawner-1.sock").exists()

    asyncio.run(main())


def test_close_waits_for_what_still_runs(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            await hand.start(order("j", f"sleep 0.2; echo done > {tmp_path}/done"))
            await hand.close()
            assert (tmp_path / "done").read_text() == "done\n"
            assert [each.outcome for each in hand.exits] == [Outcome.SUCCESS]

    asyncio.run(main())


def test_spawner_without_daemon_and_without_work_ends_by_itself(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            pid = hand.executor.spawner_pid
            await hand.hand_over()
            await dies(pid)

    asyncio.run(main())


def test_term_of_the_spawner_stops_everything(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", "sleep", "60")
            started = await hand.start(launch)
            os.kill(hand.executor.spawner_pid, signal.SIGTERM)
            exit = await hand.run(launch)
            assert (exit.outcome, exit.cause) == (Outcome.CANCELLED, "stop")
            assert not is_alive(started.pid)

    asyncio.run(main())
