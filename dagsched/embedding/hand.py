"""Attempts that are functions of this process, beside those that the spawner starts.

An async function runs in the event loop, any other in a thread of its own. What a spawner does for a process cannot be
done for a function, and this is what becomes of it:

    timeout, cancel    an async function gets CancelledError; for any other `context.cancelled` becomes true, and it
                       goes on holding its slots until it returns: nothing can kill a thread
    crash              the functions die with the process; who starts next calls those attempts lost
    leftovers          threads and tasks that a function starts and leaves are not known here

An attempt begins only after the order for it is durable, and its number is never given twice, as with processes.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import threading
import traceback
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast

from dagsched.clock import Clock
from dagsched.executor import Executor, Exited, Inventory, Mask, Remark, Report, Started
from dagsched.handlers import GRACE_S, Launch
from dagsched.handlers.outputs import UnreadableOutputs, render
from dagsched.model import EMPTY, Exit, Outcome

Key = tuple[str, int]
Function = Callable[["Context"], Any]
Cause = Literal["", "timeout", "cancel", "stop", "lease"]

LOG_BYTES_MAX = 10 * 1024 * 1024
_NO_USER = "a function of this program runs as this program's user; leave `user` out"
_CHILD = ("-m", "dagsched.handlers.child")
_STOPPED: Mapping[str, tuple[Outcome, str]] = {
    "timeout": (Outcome.TIMED_OUT, "ran longer than its timeout"),
    "cancel": (Outcome.CANCELLED, "cancelled"),
    "stop": (Outcome.CANCELLED, "daemon stopped"),
}


class Context(dict[str, Any]):
    """What a function is given: the mapping that a plug-in gets, with a log and a look at whether it is to end.

    Keys: `job`, `run`, `tick`, `attempt`, `with`, `params`, `env`, `secrets`, and perhaps `event`. All methods may be
    called from any thread.
    """

    def __init__(self, said: Mapping[str, Any], log: Log) -> None:
        super().__init__(said)
        self._log = log
        self._cancelled = threading.Event()

    @property
    def cancelled(self) -> bool:
        """Whether the attempt is to end: its timeout has passed, it was cancelled, or the scheduler stops."""
        return self._cancelled.is_set()

    def wait_cancelled(self, timeout_s: float | None = None) -> bool:
        """Wait until the attempt is to end, at most that long; return whether it is. Not for async functions."""
        return self._cancelled.wait(timeout_s)

    def log(self, *words: object) -> None:
        """Write a line to the attempt's log, which `dagsched logs` shows."""
        self._log.write(" ".join(map(str, words)) + "\n")


class Log:
    """An attempt's log; no file is there while nothing was written. `mask`: its secrets, which never get there."""

    def __init__(self, state_dir: Path, path: str, mask: Mask | None = None) -> None:
        self._file, self._mask = state_dir / path, mask
        self._lock = threading.Lock()
        self.path, self.size = "", 0
        self._name = path

    def write(self, text: str) -> None:
        """Add text; what goes beyond 10 MB is dropped, and on a full disk all of it: a log stops no work."""
        data = text.encode(errors="backslashreplace")
        if self._mask is not None:
            data = self._mask.data(data)
        with self._lock, suppress(OSError):
            if self.size >= LOG_BYTES_MAX:
                return
            data = data[: LOG_BYTES_MAX - self.size]
            self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with open(self._file, "ab", opener=partial(os.open, mode=0o600)) as file:
                file.write(data)
            self.path, self.size = self._name, self.size + len(data)


@dataclass(slots=True)
class Work:
    """One attempt under way."""

    launch: Launch
    context: Context
    log: Log
    mask: Mask | None = None
    cause: Cause = ""
    inner: asyncio.Future[Any] | None = None
    timer: asyncio.TimerHandle | None = None
    task: asyncio.Task[None] | None = field(default=None)


class InProcess(Executor):
    """An executor whose `functions`, by handler name, run in this process.

    `earlier` says which attempts a process that is gone has begun, or may have: they are lost. It is asked once.
    """

    def __init__(
        self,
        state_dir: Path,
        on_report: Callable[[Report], None],
        functions: Mapping[str, Function],
        clock: Clock,
        earlier: Callable[[], Awaitable[frozenset[Key]]],
    ) -> None:
        super().__init__(state_dir, on_report)
        self._functions, self._clock = functions, clock
        self._earlier: Callable[[], Awaitable[frozenset[Key]]] | None = earlier
        self._begun_before: frozenset[Key] = frozenset()
        self._working: dict[Key, Work] = {}
        self._ended: dict[int, Exit] = {}  # until they are durable

    async def connect(self) -> Inventory:
        """Return what the spawner knows, and what this process does; raises SpawnerError."""
        inventory = await super().connect()
        if self._earlier is not None:
            earlier, self._earlier = self._earlier, None
            self._begun_before = await earlier()
        ended = tuple(self._ended.values())
        known = {*self._working, *((exit.run, exit.attempt) for exit in ended)}
        return Inventory(
            (*inventory.living, *self._living()),
            (*inventory.exits, *ended),
            inventory.recorded | self._begun_before | known,
            inventory.rebooted,
            inventory.survived,
        )

    def _living(self) -> Iterable[Any]:
        from dagsched.executor import Living

        return (Living(run, attempt, os.getpid()) for run, attempt in self._working)

    # ---------------------------------------------------------------- orders

    def start(self, launches: Iterable[Launch]) -> None:
        """Begin the attempts that are functions, and have the others started by the spawner."""
        others = []
        for launch in launches:
            function = self._function_of(launch)
            if function is None:
                others.append(launch)
            elif (launch.run, launch.attempt) not in self._working:
                self._begin(launch, function)
        if others:
            super().start(others)

    def _function_of(self, launch: Launch) -> Function | None:
        if launch.stdin is None or launch.argv[1:3] != _CHILD:
            return None
        return self._functions.get(launch.argv[3])

    def _begin(self, launch: Launch, function: Function) -> None:
        secrets = {name: launch.env[name] for name in launch.secrets}
        mask = Mask(secrets.values()) if secrets else None
        log = Log(self._state_dir, launch.log, mask)
        assert launch.stdin is not None, "handlers have a context"
        work = Work(launch, Context({**json.loads(launch.stdin), "secrets": secrets}, log), log, mask)
        key = (launch.run, launch.attempt)
        self._working[key] = work
        work.task = asyncio.get_running_loop().create_task(self._see_through(key, work, function))

    def stop(self, run: str, attempt: int, cause: str = "cancel", grace_s: float = GRACE_S) -> None:
        """End an attempt as far as that can be done; one that is over by then stays as it is."""
        work = self._working.get((run, attempt))
        if work is None:
            super().stop(run, attempt, cause, grace_s)
        else:
            self._end(work, cast(Cause, cause))

    def _end(self, work: Work, cause: Cause) -> None:
        if not work.cause:
            work.cause = cause
            work.context._cancelled.set()
        if isinstance(work.inner, asyncio.Task):
            work.inner.cancel()
            # One that swallows it is told again: there is nothing stronger.
            work.timer = asyncio.get_running_loop().call_later(work.launch.grace_s, self._end, work, cause)

    def acknowledge(self, seq: int) -> None:
        """Say that an exit is durable."""
        if self._ended.pop(seq, None) is None:
            super().acknowledge(seq)

    async def close(self, handover: bool) -> None:
        """End as an executor does; functions cannot be handed over, so they are stopped before that.

        A function in a thread that does not heed `context.cancelled` is waited for.
        """
        for work in list(self._working.values()):
            self._end(work, "stop")
        tasks = [work.task for work in self._working.values() if work.task is not None]
        if tasks:
            await asyncio.wait(tasks)
        await super().close(handover)

    # ---------------------------------------------------------------- an attempt

    async def _see_through(self, key: Key, work: Work, function: Function) -> None:
        started = self._clock.now()
        self._on_report(Started(*key, os.getpid(), started))
        timer = None
        if work.launch.timeout_s is not None:
            loop = asyncio.get_running_loop()
            timer = loop.call_later(work.launch.timeout_s, self._end, work, "timeout")
        if work.launch.user is not None:
            outcome, reason, outputs = Outcome.SPAWN_ERROR, _NO_USER, EMPTY
        else:
            outcome, reason, outputs = await self._outcome(work, function)
        if work.mask is not None:
            reason, outputs = work.mask.text(reason), {name: work.mask.text(text) for name, text in outputs.items()}
        for each in (timer, work.timer):
            if each is not None:
                each.cancel()
        exit = Exit(
            *key,
            outcome,
            self._clock.now(),
            started,
            next(self._numbers),
            exit_code={Outcome.SUCCESS: 0, Outcome.FAILED: 1}.get(outcome),
            cause=work.cause if outcome is not Outcome.SUCCESS else "",
            reason=reason,
            outputs=outputs,
            output_bytes=work.log.size,
            log=work.log.path,
            pid=os.getpid(),
        )
        self._ended[exit.seq] = exit
        del self._working[key]
        self._on_report(Exited(exit))

    async def _outcome(self, work: Work, function: Function) -> tuple[Outcome, str, Mapping[str, str]]:
        """Return how the attempt ends; whatever a function raises is an outcome."""
        try:
            outputs = _outputs(await self._result(work, function))
        except asyncio.CancelledError:
            if work.inner is None or not work.inner.done():
                raise  # the program itself ends, and whoever starts next calls this attempt lost
            if work.cause:
                return *_STOPPED.get(work.cause, (Outcome.CANCELLED, "stopped")), EMPTY
            return Outcome.FAILED, "it cancelled itself", EMPTY
        except BaseException as error:
            # The work is somebody else's code; its SystemExit must end the attempt and not the program.
            work.log.write(traceback.format_exc())
            if work.cause:
                return *_STOPPED.get(work.cause, (Outcome.CANCELLED, "stopped")), EMPTY
            words = str(error).partition("\n")[0][:200]
            return Outcome.FAILED, type(error).__name__ + (f": {words}" if words else ""), EMPTY
        if work.cause:
            # After our own signal the end is ours, whatever it still returned.
            return *_STOPPED.get(work.cause, (Outcome.CANCELLED, "stopped")), EMPTY
        return Outcome.SUCCESS, "", outputs

    async def _result(self, work: Work, function: Function) -> Any:
        loop = asyncio.get_running_loop()
        if _is_async(function):
            work.inner = loop.create_task(_awaited(function(work.context)))
        else:
            work.inner = _in_thread(loop, work.launch.run, partial(function, work.context))
        found = await work.inner
        if inspect.isawaitable(found):
            work.inner = loop.create_task(_awaited(found))
            found = await work.inner
        return found


def _is_async(function: Function) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


async def _awaited(work: Awaitable[Any]) -> Any:
    return await work


def _in_thread(loop: asyncio.AbstractEventLoop, name: str, call: Callable[[], Any]) -> asyncio.Future[Any]:
    """Return the future of a call in a thread of its own, which keeps no program from ending."""
    future: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):
            future.set_exception(RuntimeError("the function raised StopIteration"))
        else:
            future.set_exception(error)

    def work() -> None:
        try:
            result, error = call(), None
        except BaseException as raised:
            result, error = None, raised
        with suppress(RuntimeError):  # the loop is closed: the program has ended, and with it this attempt
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name=name, daemon=True).start()
    return future


def _outputs(found: Any) -> Mapping[str, str]:
    """Return what a function returned as outputs: a mapping's items; what is none, as `result`; None is nothing."""
    if found is None:
        return EMPTY
    items = found if isinstance(found, Mapping) else {"result": found}
    outputs = {
        str(name): value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in items.items()
    }
    render(outputs)  # raises UnreadableOutputs for what cannot be a name
    return outputs


__all__ = ["Context", "Function", "InProcess", "Remark", "UnreadableOutputs"]
