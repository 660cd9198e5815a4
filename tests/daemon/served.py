"""A real daemon in a process of its own, watched through the events it prints."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PATIENCE_S = 20.0

Event = Mapping[str, Any]


class Served:
    """`dagsched run --json` on a folder's jobs.yaml; a context that leaves no process behind.

    `wrap`: a program that is given the command and becomes it, such as `prlimit`. `env`: more of an environment.
    """

    def __init__(self, folder: Path, *arguments: str, wrap: Sequence[str] = (), env: Mapping[str, str] = {}) -> None:
        self.folder, self._arguments = folder, arguments
        self._wrap, self._env = wrap, env
        self.seen: list[Event] = []
        self._lines: queue.Queue[Event | None] = queue.Queue()

    def __enter__(self) -> Self:
        with (self.folder / "stderr").open("a") as stderr:
            self.process = subprocess.Popen(
                [*self._wrap, sys.executable, "-m", "dagsched", "run", "--json", *self._arguments],
                cwd=self.folder,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                env={**environment(), **self._env},
            )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while self.process.poll() is None and time.monotonic() < deadline:
            # Two signals at once may arrive as one, so it is told again until it has understood.
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.2)
        self.process.kill()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))
        self._lines.put(None)

    def until(self, wanted: Callable[[Event], bool], what: str = "the event") -> Event:
        """Return the next event that `wanted` likes."""
        while True:
            try:
                event = self._lines.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise AssertionError(f"{what} did not come; {self.words()}") from None
            if event is None:
                raise AssertionError(f"the daemon ended before {what}; {self.words()}")
            self.seen.append(event)
            if wanted(event):
                return event

    def until_type(self, type: str, job: str | None = None) -> Event:
        """Return the next event of a type, and of a job if one is named."""
        return self.until(lambda event: event["type"] == type and job in (None, event["job"]), f"{type} of {job}")

    def has(self, wanted: Callable[[Event], bool]) -> bool:
        """Whether an event that `wanted` likes has come, without waiting for one."""
        while not self._lines.empty():
            event = self._lines.get()
            assert event is not None, f"the daemon ended; {self.words()}"
            self.seen.append(event)
            if wanted(event):
                return True
        return False

    def drain(self) -> None:
        """Take in what the daemon, which is dead or killed now, had printed before."""
        if self.process.poll() is None:
            return
        self._reader.join()
        while not self._lines.empty():
            if (event := self._lines.get()) is not None:
                self.seen.append(event)

    def signal(self, number: int) -> None:
        """Send a signal to the daemon."""
        self.process.send_signal(number)

    def ended(self) -> int:
        """Wait for the daemon's end and return its exit code."""
        return self.process.wait(PATIENCE_S)

    def words(self) -> str:
        """Return what is known, for a failure's message."""
        told = [f"{event['type']} {event['job'] or ''} {event['reason']}" for event in self.seen]
        return f"seen {told}; stderr: {(self.folder / 'stderr').read_text()}"

    def ask(self, *words: str, code: int = 0) -> str:
        """Run another dagsched command on the same folder and return what it prints."""
        return ask(self.folder, *words, code=code)


def ask(folder: Path, *words: str, code: int = 0) -> str:
    """Run a dagsched command on a folder and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "dagsched", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert done.returncode == code, f"{words}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout if code == 0 else done.stdout + done.stderr


def rows(text: str) -> list[dict[str, Any]]:
    """Return JSON lines as data."""
    return [json.loads(line) for line in text.splitlines()]


def environment() -> dict[str, str]:
    """Return an environment without what an outer daemon, shell or terminal says."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DAGSCHED_")}
    return {**kept, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
