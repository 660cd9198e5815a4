"""The daemon inside an asyncio program: verbs, events, functions as handlers, and what survives the program."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import dagsched
from dagsched import ConfigInvalid, Scheduler
from dagsched.embedding import Context
from dagsched.errors import NoDaemon, Refused, StoreHeld, Unknown
from dagsched.model import Outcome, Run, RunState, utc
from dagsched.stores import open_store, shared_store
from tests.postgres import new_address

ROOT = Path(__file__).parent.parent.parent
PATIENCE_S = 30

JOBS = """\
version: 1
jobs:
  greet:
    handler: greet
    with: {greeting: Hello}
    params: {name: {type: string, default: world}}
    env: {LANGUAGE: en}
  after: {depends_on: [greet], run: "true"}
"""


def job_file(tmp_path: Path, text: str = JOBS) -> Path:
    file = tmp_path / "jobs.yaml"
    file.write_text(text)
    return file


Body = Callable[[Scheduler], Coroutine[Any, Any, Any]]


def lives(tmp_path: Path, body: Body, text: str = JOBS, **options: Any) -> Any:
    """Run `body` with a scheduler on a state of its own, and return what it returns."""

    async def main() -> Any:
        options.setdefault("handlers", {"greet": lambda context: None})
        async with asyncio.timeout(PATIENCE_S):
            async with Scheduler(job_file(tmp_path, text), state_dir=tmp_path / "state", **options) as scheduler:
                return await body(scheduler)

    return asyncio.run(main())


def attempts(scheduler: Scheduler, run: Run) -> Any:
    return scheduler._daemon.store.attempts(run.job, run.tick)


def log_of(tmp_path: Path, attempt: Any) -> str:
    return (tmp_path / "state" / attempt.log).read_text()


# ---------------------------------------------------------------- functions


def test_a_function_gets_the_context_of_a_plugin_and_its_mapping_becomes_outputs(tmp_path: Path) -> None:
    seen: list[Context] = []

    def greet(context: Context) -> dict[str, object]:
        seen.append(context)
        context.log("in a thread:", threading.current_thread() is not threading.main_thread())
        return {"text": f"{context['with']['greeting']} {context['params']['name']}", "letters": 12}

    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet", {"name": "Berlin"}))
        assert run.state is RunState.SUCCESS
        assert run.outputs == {"text": "Hello Berlin", "letters": "12"}
        [attempt] = await attempts(scheduler, run)
        assert (attempt.pid, attempt.exit_code) == (os.getpid(), 0)
        assert log_of(tmp_path, attempt) == "in a thread: True\n"
        after = await scheduler.wait(run.name.replace("greet", "after"))
        assert after.state is RunState.SUCCESS

    lives(tmp_path, body, handlers={"greet": greet})
    [context] = seen
    assert set(context) == {"job", "run", "tick", "attempt", "with", "params", "env", "secrets"}
    assert (context["job"], context["attempt"], context["env"]) == ("greet", 1, {"LANGUAGE": "en"})


def test_an_async_function_runs_in_the_loop(tmp_path: Path) -> None:
    loops = []

    async def greet(context: Context) -> str:
        loops.append(asyncio.get_running_loop())
        return "done"

    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert run.outputs == {"result": "done"}
        assert loops == [asyncio.get_running_loop()]

    lives(tmp_path, body, handlers={"greet": greet})


@pytest.mark.parametrize("is_async", [False, True])
def test_an_exception_is_a_failed_attempt_with_its_traceback_in_the_log(tmp_path: Path, is_async: bool) -> None:
    def fail(context: Context) -> None:
        raise KeyError("no such customer")

    async def fail_too(context: Context) -> None:
        fail(context)

    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert (run.state, run.reason, run.exit_code) == (RunState.FAILED, "KeyError: 'no such customer'", 1)
        [attempt] = await attempts(scheduler, run)
        assert "Traceback (most recent call last)" in log_of(tmp_path, attempt)
        assert log_of(tmp_path, attempt).endswith("KeyError: 'no such customer'\n")

    lives(tmp_path, body, handlers={"greet": fail_too if is_async else fail})


def test_sys_exit_ends_the_attempt_and_not_the_program(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert (run.state, run.reason) == (RunState.FAILED, "SystemExit: 3")

    lives(tmp_path, body, handlers={"greet": lambda context: sys.exit(3)})


def test_outputs_that_cannot_be_named_fail_the_attempt(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert run.state is RunState.FAILED
        assert "cannot be the name of an output" in run.reason

    lives(tmp_path, body, handlers={"greet": lambda context: {"no name": 1}})


def test_a_failed_function_is_retried_as_the_job_says(tmp_path: Path) -> None:
    def greet(context: Context) -> None:
        if context["attempt"] == 1:
            raise ValueError("once")

    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert (run.state, run.attempts) == (RunState.SUCCESS, 2)

    text = JOBS.replace("    handler: greet\n", "    handler: greet\n    retry: {max_attempts: 2, delay: 1ms}\n")
    lives(tmp_path, body, text, handlers={"greet": greet})


def test_a_function_gets_its_secrets_and_what_it_leaves_of_them_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROD_PW", "hunter2-zebra")

    def greet(context: Context) -> dict[str, object]:
        context.log("pw", context["secrets"]["PW"])
        if context["attempt"] == 1:
            raise ValueError(f"no luck with {context['secrets']['PW']}")
        return {"text": f"got {context['secrets']['PW']}"}

    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert run.outputs == {"text": "got ***"}
        first, second = await attempts(scheduler, run)
        assert first.reason == "ValueError: no luck with ***"
        assert log_of(tmp_path, second) == "pw ***\n"

    secret = '    secrets: {PW: "env:PROD_PW"}\n    retry: {max_attempts: 2, delay: 1ms}\n'
    lives(tmp_path, body, JOBS.replace("    env: {LANG", secret + "    env: {LANG"), handlers={"greet": greet})
    files = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert not [path for path in files if b"hunter2" in path.read_bytes()]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_timeout_ends_an_async_function_and_is_told_to_a_thread(tmp_path: Path, is_async: bool) -> None:
    ended = []

    def wait(context: Context) -> str:
        ended.append(context.wait_cancelled(PATIENCE_S))
        return "too late"

    async def wait_too(context: Context) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(context.cancelled)

    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert (run.state, run.reason, run.outputs) == (RunState.FAILED, "ran longer than its timeout", {})
        [attempt] = await attempts(scheduler, run)
        assert attempt.outcome is Outcome.TIMED_OUT

    text = JOBS.replace("    handler: greet\n", "    handler: greet\n    timeout: 50ms\n")
    lives(tmp_path, body, text, handlers={"greet": wait_too if is_async else wait})
    assert ended == [True]


@pytest.mark.parametrize("is_async", [False, True])
def test_a_person_cancels_a_function(tmp_path: Path, is_async: bool) -> None:
    async def body(scheduler: Scheduler) -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def wait(context: Context) -> None:
            loop.call_soon_threadsafe(begun.set)
            context.wait_cancelled(PATIENCE_S)

        async def wait_too(context: Context) -> None:
            begun.set()
            await asyncio.Event().wait()

        handlers["greet"] = wait_too if is_async else wait
        name = await scheduler.trigger("greet")
        await begun.wait()
        await scheduler.cancel(name)
        run = await scheduler.wait(name)
        assert (run.state, run.reason) == (RunState.CANCELLED, "cancelled by request")

    handlers: dict[str, Any] = {}
    # What a plain function returns is awaited too.
    lives(tmp_path, body, handlers={"greet": lambda context: handlers["greet"](context)})


def test_a_function_cannot_be_another_user(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        run = await scheduler.wait(await scheduler.trigger("greet"))
        assert run.state is RunState.FAILED
        assert run.reason == "a function of this program runs as this program's user; leave `user` out"

    lives(tmp_path, body, JOBS.replace("    handler: greet\n", "    handler: greet\n    user: nobody\n"))


# ---------------------------------------------------------------- verbs and events


def test_verbs_are_those_of_the_command_line(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        assert list(scheduler.config.jobs) == ["greet", "after"]
        await scheduler.pause("after")
        name = await scheduler.trigger("greet")
        assert (await scheduler.wait(name)).state is RunState.SUCCESS
        assert (await scheduler.wait(name.replace("greet", "after"))).reason == "paused"
        await scheduler.resume("after")
        again = await scheduler.trigger("after", only=True)
        assert (await scheduler.wait(again)).state is RunState.SUCCESS
        assert [run.job for run in await scheduler.history(limit=2)] == ["after", "greet"]
        status = await scheduler.status()
        assert (status["config"], status["health"], status["problems"]) == (1, "ok", [])
        assert await scheduler.reload() is False
        with pytest.raises(Unknown, match="did you mean 'greet'"):
            await scheduler.trigger("great")
        with pytest.raises(Refused, match="no parameter 'nme'"):
            await scheduler.trigger("greet", {"nme": "x"})
        with pytest.raises(Refused, match="is no run name"):
            await scheduler.run("greet")
        with pytest.raises(Unknown):
            await scheduler.wait("job:greet:2001-01-01T00:00:00Z")

    lives(tmp_path, body)


def test_a_failed_run_is_run_again_and_acknowledged(tmp_path: Path) -> None:
    outcomes = iter([ValueError(), ValueError(), None])

    def greet(context: Context) -> None:
        if (error := next(outcomes)) is not None:
            raise error

    async def body(scheduler: Scheduler) -> None:
        name = await scheduler.trigger("greet")
        assert (await scheduler.wait(name)).state is RunState.FAILED
        await scheduler.ack(name)
        assert (await scheduler.run(name)).acked
        for state in (RunState.FAILED, RunState.SUCCESS):
            await scheduler.rerun(name)
            assert (await scheduler.wait(name)).state is state

    lives(tmp_path, body, handlers={"greet": greet})


def test_events_come_in_order_without_a_gap_from_where_one_asks(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        seen = []

        async def read() -> None:
            async for event in scheduler.events(since=0):
                seen.append(event)
                if event.type == "run.succeeded" and event.job == "after":
                    return

        reading = asyncio.create_task(read())
        await scheduler.trigger("greet")
        await reading
        assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
        assert seen[0].type == "config.applied"
        types = [event.type for event in seen if event.job == "greet"]
        assert types == ["run.created", "run.started", "run.succeeded"]

    lives(tmp_path, body)


def test_events_end_with_the_scheduler(tmp_path: Path) -> None:
    async def main() -> list[str]:
        file = job_file(tmp_path)
        async with Scheduler(file, state_dir=tmp_path / "state", handlers={"greet": print}) as scheduler:

            async def read() -> list[str]:
                return [event.type async for event in scheduler.events()]

            reading = asyncio.create_task(read())
            await scheduler.pause("greet")
        return await reading

    types = asyncio.run(main())
    assert types[-2:] == ["job.paused", "daemon.stopped"]


def test_waiting_has_an_end(tmp_path: Path) -> None:
    async def greet(context: Context) -> None:
        await asyncio.Event().wait()

    async def body(scheduler: Scheduler) -> None:
        name = await scheduler.trigger("greet")
        with pytest.raises(TimeoutError):
            await scheduler.wait(name, timeout_s=0.05)

    lives(tmp_path, body, handlers={"greet": greet}, grace="0s")


# ---------------------------------------------------------------- start and end


def test_after_the_end_it_says_so(tmp_path: Path) -> None:
    async def main() -> None:
        scheduler = Scheduler(job_file(tmp_path), state_dir=tmp_path / "state", handlers={"greet": print})
        with pytest.raises(NoDaemon, match="was not started"):
            await scheduler.trigger("greet")
        async with scheduler:
            pass
        with pytest.raises(NoDaemon, match="has ended"):
            await scheduler.trigger("greet")
        await scheduler.stop()
        with pytest.raises(RuntimeError, match="entered once"):
            await scheduler.__aenter__()

    asyncio.run(main())


def test_problems_of_the_job_file_are_raised_and_shown(tmp_path: Path) -> None:
    async def main(handlers: Any) -> None:
        async with Scheduler(job_file(tmp_path), state_dir=tmp_path / "state", handlers=handlers):
            raise AssertionError("it must not start")

    with pytest.raises(ConfigInvalid) as caught:
        asyncio.run(main({"great": print}))
    assert "unknown handler 'greet'" in caught.value.__notes__[0]
    assert "did you mean 'great'?" in caught.value.__notes__[0]


def test_two_schedulers_do_not_share_a_state(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        other = Scheduler(tmp_path / "jobs.yaml", state_dir=tmp_path / "state", handlers={"greet": print})
        with pytest.raises(StoreHeld):
            await other.__aenter__()

    lives(tmp_path, body)


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"handlers": {"http": print}}, "'http' is built in or installed"),
        ({"handlers": {"greet": "print"}}, "'greet' is no function"),
        ({"grace": "soon"}, "write it with its unit"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(tmp_path: Path, options: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        Scheduler(tmp_path, state_dir=tmp_path, **options)


def test_a_loaded_configuration_is_taken_and_one_without_files_refused(tmp_path: Path) -> None:
    config = dagsched.load(job_file(tmp_path), handlers=["greet"])

    async def main() -> None:
        async with Scheduler(config, state_dir=tmp_path / "state", handlers={"greet": print}) as scheduler:
            assert scheduler.config.jobs == config.jobs

    asyncio.run(main())
    with pytest.raises(ValueError, match="was not read from files"):
        Scheduler(config._replace(files={}), state_dir=tmp_path)
    with pytest.raises(ConfigInvalid):
        dagsched.load(tmp_path / "jobs.yaml")


def test_signal_handlers_stay_those_of_the_program(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        assert [signal.getsignal(number) for number in numbers] == before

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    async def main() -> None:
        nonlocal before
        before = [signal.getsignal(number) for number in numbers]
        async with Scheduler(job_file(tmp_path), state_dir=tmp_path / "state", handlers={"greet": print}) as scheduler:
            await body(scheduler)
        assert [signal.getsignal(number) for number in numbers] == before

    before: list[Any] = []
    asyncio.run(main())


def test_leaving_stops_functions_after_the_grace_and_tries_them_again_at_the_next_start(tmp_path: Path) -> None:
    calls = []

    async def greet(context: Context) -> None:
        calls.append(context["attempt"])
        if len(calls) == 1:
            await asyncio.Event().wait()

    async def begin(scheduler: Scheduler) -> str:
        name = await scheduler.trigger("greet")
        async for event in scheduler.events(since=0):
            if event.type == "run.started":
                break
        return name

    text = JOBS.replace("    handler: greet\n", "    handler: greet\n    retry: {max_attempts: 2, delay: 1s}\n")
    name = lives(tmp_path, begin, text, handlers={"greet": greet}, grace="0s")

    async def again(scheduler: Scheduler) -> None:
        run = await scheduler.wait(name)
        assert (run.state, run.attempts) == (RunState.SUCCESS, 2)
        first, _ = await attempts(scheduler, run)
        assert (first.outcome, first.reason) == (Outcome.CANCELLED, "daemon stopped")

    lives(tmp_path, again, text, handlers={"greet": greet})
    assert calls == [1, 2]


DOOMED = """\
import asyncio, os, signal, sys
from dagsched import Scheduler

async def main(file, state):
    def greet(context):
        print(context["attempt"], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    async with Scheduler(file, state_dir=state, handlers={"greet": greet}) as scheduler:
        await scheduler.trigger("greet")
        await scheduler.until_stopped()

asyncio.run(main(*sys.argv[1:]))
"""


def test_attempts_of_a_killed_program_are_lost_and_never_begin_twice(tmp_path: Path) -> None:
    text = JOBS.replace("    handler: greet\n", "    handler: greet\n    retry: {max_attempts: 3, delay: 1ms}\n")
    file = job_file(tmp_path, text)
    command = [sys.executable, "-c", DOOMED, str(file), str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, "1\n"), done.stderr
    begun = []

    async def body(scheduler: Scheduler) -> None:
        [run] = await scheduler.history("greet")
        run = await scheduler.wait(run.name)
        assert (run.state, run.attempts) == (RunState.SUCCESS, 2)
        first, second = await attempts(scheduler, run)
        assert (first.outcome, second.outcome) == (Outcome.LOST, Outcome.SUCCESS)
        assert (await scheduler.wait(run.name.replace("greet", "after"))).state is RunState.SUCCESS

    lives(tmp_path, body, text, handlers={"greet": lambda context: begun.append(context["attempt"])})
    assert begun == [2]


KILLED_AT_ITS_START = """\
        async for event in scheduler.events(since=0):
            if event.type == "run.started":
                os.kill(os.getpid(), signal.SIGKILL)
"""


def test_commands_of_a_killed_program_go_on_and_are_adopted(tmp_path: Path) -> None:
    fifo = tmp_path / "go"
    os.mkfifo(fifo)
    text = f"version: 1\njobs:\n  greet: {{handler: greet}}\n  command: {{run: 'cat {fifo}; echo over'}}\n"
    doomed = DOOMED.replace('trigger("greet")', 'trigger("command")\n' + KILLED_AT_ITS_START)
    command = [sys.executable, "-c", doomed, str(job_file(tmp_path, text)), str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr

    async def body(scheduler: Scheduler) -> None:
        [run] = await scheduler.history("command")
        assert run.state is RunState.RUNNING
        await asyncio.to_thread(fifo.write_text, "")
        run = await scheduler.wait(run.name)
        assert (run.state, run.attempts) == (RunState.SUCCESS, 1)

    lives(tmp_path, body, text)


def test_what_was_left_for_the_next_daemon_is_done_also_without_a_door_for_commands(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        await scheduler.resume("greet")

    async def begin() -> None:
        store = open_store(tmp_path / "state")
        await store.open(write=False)
        await store.post("pause", {"job": "greet"}, utc(2026, 11, 23))
        await store.close()

    async def look(scheduler: Scheduler) -> None:
        assert [event.type async for event in _first(scheduler.events(since=0), "job.paused")]
        assert not (tmp_path / "state" / "control.sock").exists()

    lives(tmp_path, body)
    asyncio.run(begin())
    lives(tmp_path, look, control=False)


@pytest.mark.parametrize("control", [True, False], ids=["with a door for commands", "without"])
def test_what_another_machine_leaves_in_a_shared_store_is_done_at_once(tmp_path: Path, monkeypatch, control) -> None:
    address = new_address()
    monkeypatch.setenv("DAGSCHED_STORE", address.url)
    monkeypatch.setenv("DAGSCHED_NAMESPACE", address.namespace)

    async def body(scheduler: Scheduler) -> None:
        elsewhere = shared_store(address)
        await elsewhere.open(write=False)
        await elsewhere.post("pause", {"job": "greet"}, utc(2026, 11, 23))
        assert [event.type async for event in _first(scheduler.events(since=0), "job.paused")]
        assert await elsewhere.inbox() == []
        await elsewhere.close()

    lives(tmp_path, body, control=control)


async def _first(events: Any, type: str) -> Any:
    async for event in events:
        if event.type == type:
            yield event
            return


INTERRUPTED = """\
import asyncio, sys
from dagsched import Scheduler

async def main(file, state):
    async def greet(context):
        print("begun", flush=True)
        await asyncio.Event().wait()

    async with Scheduler(file, state_dir=state, handlers={"greet": greet}, grace="0s") as scheduler:
        await scheduler.wait(await scheduler.trigger("greet"))

asyncio.run(main(*sys.argv[1:]))
"""


def test_an_interrupted_program_stops_what_runs_and_leaves_a_clean_state(tmp_path: Path) -> None:
    command = [sys.executable, "-c", INTERRUPTED, str(job_file(tmp_path)), str(tmp_path / "state")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=PATIENCE_S)
    assert told.rstrip().endswith("KeyboardInterrupt")

    async def body(scheduler: Scheduler) -> None:
        [run] = await scheduler.history("greet")
        assert (run.state, run.reason) == (RunState.FAILED, "daemon stopped")
        stopped = _first(scheduler.events(since=0), "daemon.stopped")
        assert [event.reason async for event in stopped] == ["stopped"]

    lives(tmp_path, body)


def test_the_command_line_reaches_an_embedded_scheduler(tmp_path: Path) -> None:
    async def body(scheduler: Scheduler) -> None:
        command = [sys.executable, "-m", "dagsched", "trigger", "greet", "--state-dir", str(tmp_path / "state")]
        process = await asyncio.create_subprocess_exec(*command, "--json", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        assert process.returncode == 0
        assert b"job:greet:" in out

    lives(tmp_path, body)


# ---------------------------------------------------------------- the package


def test_the_example_runs(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "examples" / "embedding.py"), str(tmp_path / "state")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-2:] == ["tell ended: success", "letters: 14"]


def test_importing_the_package_loads_nothing_until_it_is_asked_for() -> None:
    alone = (
        "import sys, dagsched\n"
        "assert [name for name in sys.modules if name.startswith('dagsched')] == ['dagsched']\n"
        "assert {'asyncio', 'typing'}.isdisjoint(sys.modules)\n"
    )
    path = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
    subprocess.run([sys.executable, "-S", "-c", path + alone], check=True, timeout=PATIENCE_S)
    for name in dagsched.__all__:
        assert getattr(dagsched, name)
    with pytest.raises(AttributeError, match="no attribute 'Schedular'"):
        dagsched.Schedular  # noqa: B018
