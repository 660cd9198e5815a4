"""A real worker in a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.daemon.served import PATIENCE_S, environment


class Working:
    """`dagsched worker` in a folder of its own; a context that leaves no process behind."""

    def __init__(self, folder: Path, *arguments: str, env: Mapping[str, str] = {}) -> None:
        self.folder, self._arguments, self._env = folder, arguments, env
        folder.mkdir(exist_ok=True)

    @property
    def stderr(self) -> str:
        return (self.folder / "stderr").read_text()

    def __enter__(self) -> Self:
        path = self.folder / "stderr"
        self._starts = path.read_text().count(" serves queues ") if path.exists() else 0
        with (self.folder / "stderr").open("a") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dagsched", "worker", *self._arguments],
                cwd=self.folder,
                stdout=stderr,
                stderr=stderr,
                env={**environment(), **self._env},
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGCONT)
        for _ in range(2):
            self.process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE_S / 2)
        self.process.kill()

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def ended(self) -> int:
        """Return its exit code, once it has one."""
        return self.process.wait(PATIENCE_S * 3)

    def ready(self) -> None:
        """Wait until it says that it serves, once more than it had before this start."""
        deadline = time.monotonic() + PATIENCE_S * 3
        while self.stderr.count(" serves queues ") <= self._starts:
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, self.stderr
            time.sleep(0.02)
