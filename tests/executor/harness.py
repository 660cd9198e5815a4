"""A daemon reduced to its executor: starts attempts, waits for reports, leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from dagsched.executor import Executor, Exited, Inventory, Remark, Report, SpawnerGone, Started
from dagsched.handlers import Launch
from dagsched.model import Exit

PATIENCE_S = 20.0
R = TypeVar("R")


def order(name: str, *argv: str, **parts: Any) -> Launch:
    """A start order; a single word of argv with blanks is shell text."""
    command = ("/bin/sh", "-c", argv[0]) if len(argv) == 1 and " " in argv[0] else argv
    made: dict[str, Any] = {
        "run": f"job:{name}:2026-11-23T14:00:00Z",
        "attempt": 1,
        "argv": command,
        "env": {},
        "cwd": None,
        "user": None,
        "stdin": None,
        "timeout_s": None,
        "grace_s": 5.0,
        "log": f"logs/{name}/2026-11-23T14:00:00Z.1.log",
        "output": f"outputs/{name}",
    }
    return Launch(**{**made, **parts})


def python(name: str, code: str, **parts: Any) -> Launch:
    """A start order for a line of Python."""
    return order(name, sys.executable, "-I", "-S", "-c", code, **parts)


class Hand:
    """An executor with its reports in a list."""

    def __init__(self, state_dir: Path, **options: Any) -> None:
        self.state_dir = state_dir
        self.reports: list[Report] = []
        self.executor = Executor(state_dir, self._take, **options)
        self.inventory = Inventory()
        self._news = asyncio.Event()
        self._done = False

    def _take(self, report: Report) -> None:
        self.reports.append(report)
        self._news.set()

    async def __aenter__(self) -> Hand:
        self.inventory = await self.executor.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self.stop_all()
            await asyncio.wait_for(self.executor.close(handover=False), PATIENCE_S)

    async def hand_over(self) -> None:
        self._done = True
        await self.executor.close(handover=True)

    async def close(self) -> None:
        self._done = True
        await asyncio.wait_for(self.executor.close(handover=False), PATIENCE_S)

    def stop_all(self) -> None:
        over = {(each.run, each.attempt) for each in self.exits}
        begun = {(each.run, each.attempt) for each in self.of(Started)}
        for run, attempt in (begun | {(each.run, each.attempt) for each in self.inventory.living}) - over:
            self.executor.stop(run, attempt, "stop", 0)

    def of(self, kind: type[R]) -> list[R]:
        return [each for each in self.reports if isinstance(each, kind)]

    @property
    def exits(self) -> list[Exit]:
        return [each.exit for each in self.of(Exited)]

    async def until(self, holds: Callable[[], Any]) -> Any:
        """Wait until reports make `holds` true and return what it says."""
        async with asyncio.timeout(PATIENCE_S):
            while not (found := holds()):
                self._news.clear()
                await self._news.wait()
        return found

    async def start(self, launch: Launch) -> Started:
        self.executor.start([launch])
        found = await self.until(lambda: [each for each in self.of(Started) if each.run == launch.run])
        return found[-1]

    async def run(self, *launches: Launch) -> Any:
        """Start attempts and return their exits in the order of `launches`; a single one is returned as it is."""
        self.executor.start(launches)
        await self.until(lambda: {each.run for each in launches} <= {each.run for each in self.exits})
        by_run = {each.run: each for each in self.exits}
        found = [by_run[each.run] for each in launches]
        return found[0] if len(found) == 1 else found

    async def gone(self) -> SpawnerGone:
        return (await self.until(lambda: self.of(SpawnerGone)))[0]

    def remarks(self) -> list[str]:
        return [each.text for each in self.of(Remark)]

    def log(self, exit: Exit) -> bytes:
        return (self.state_dir / exit.log).read_bytes()


async def eventually(holds: Callable[[], Any]) -> Any:
    """Wait until what a child does outside of any report makes `holds` true; return what it says."""
    async with asyncio.timeout(PATIENCE_S):
        while not (found := holds()):  # noqa: ASYNC110 - nobody would set an event: the child knows nothing of us
            await asyncio.sleep(0.005)
    return found


async def file_with(path: Path, lines: int = 1) -> list[str]:
    """Wait until a child has written that many whole lines to a file, and return them."""
    text = await eventually(lambda: path.exists() and path.read_text().count("\n") >= lines and path.read_text())
    return str(text).splitlines()


async def dies(pid: int) -> None:
    """Wait until a process is dead (a zombie is)."""
    await eventually(lambda: not is_alive(pid))


def children(pid: int) -> str:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in b"ZX"
    except FileNotFoundError:
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
