"""The daemon and the other commands of `dagsched`, each a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from tests.torture.processes import MARK

COMMAND = [sys.executable, "-m", "dagsched"]
START_S = 30.0
GRACE = "1s"


class Broken(Exception):
    """The round cannot go on; the words say why, `promise` which promise that breaks."""

    def __init__(self, promise: str, words: str) -> None:
        super().__init__(words)
        self.promise = promise


@dataclass(slots=True)
class Verb:
    """A command that was given and may not be over yet."""

    args: Sequence[str]
    process: subprocess.Popen[str]
    issued: float

    def finished(self, timeout_s: float) -> dict[str, Any]:
        """Return what became of it, as the auditor reads it; raises subprocess.TimeoutExpired."""
        out, err = self.process.communicate(timeout=timeout_s)
        code = self.process.returncode
        row: dict[str, Any] = {"args": list(self.args), "code": code, "out": out, "err": err}
        return row | {"issued": self.issued, "done": time.time()}


@dataclass(slots=True)
class Daemon:
    """One daemon after another on one state directory. `config` is what it serves, a file or a folder.

    `code`: the folder whose `dagsched` package is run, None for the one of this tree. `place`: what its files are told
    apart by, where there are several; `words` and `more`: what is added to its command and its environment.
    """

    folder: Path
    config: Path
    mark: str
    code: Path | None = None
    place: str = ""
    words: Sequence[str] = ()
    more: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0
    restart_s: list[float] = field(default_factory=list)
    numbers: set[int] = field(default_factory=set)
    runs: list[str] = field(default_factory=list)
    events: int = 0
    _out: TextIO | None = None
    _rest: str = ""
    is_ready: bool = False

    @property
    def state_dir(self) -> Path:
        return self.folder / f"state{self.place}"

    @property
    def state_dirs(self) -> Sequence[Path]:
        """Return where spawners may be, and their logs."""
        return [self.state_dir]

    @property
    def marks(self) -> Sequence[str]:
        """Return what the environment of whatever it starts is marked with."""
        return [self.mark]

    @property
    def env(self) -> dict[str, str]:
        """The environment of every command: it says which program is meant."""
        mine = {} if self.code is None else {"PYTHONPATH": str(self.code)}
        return {**os.environ, **mine, **self.more}

    def start(self) -> None:
        """Start a daemon, and return when it says that it has started; raises Broken when it does not."""
        began = time.monotonic()
        self.launch()
        while not self.is_ready:
            self.listen()
            assert self.process is not None
            if self.process.poll() is not None:
                raise Broken("P7", f"the daemon ended with {self.process.returncode} at its start: {self.complaint()}")
            if time.monotonic() - began > START_S:
                raise Broken("P7", f"the daemon did not start within {START_S:.0f} s: {self.complaint()}")
            time.sleep(0.01)
        self.restart_s.append(time.monotonic() - began)

    def launch(self) -> None:
        """Start a daemon and do not wait for it."""
        self.starts += 1
        self.is_ready, self._rest = False, ""
        out, err = self._paths()
        with out.open("wb") as stdout, err.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*COMMAND, "run", str(self.config), *self._here(), *self.words, "--grace", GRACE, "--json"],
                stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr, cwd=self.folder,
                env={**self.env, MARK: self.mark}, start_new_session=True,
            )  # fmt: skip
        if self._out is not None:
            self._out.close()
        self._out = out.open()

    def listen(self) -> None:
        """Take in what the daemon has printed since."""
        if self._out is None:
            return
        *lines, self._rest = (self._rest + self._out.read()).split("\n")
        for line in lines:
            event = json.loads(line)
            self.events += 1
            if event["type"] == "daemon.started":
                self.is_ready = True
            elif event["type"] == "config.applied":
                self.numbers.add(int(event["reason"].split()[1].rstrip(":")))
            elif event["type"] == "run.created":
                self.runs.append(event["run"])

    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float) -> int:
        """Return the daemon's exit code; raises Broken when it goes on living."""
        assert self.process is not None
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise Broken("P7", f"the daemon was told to stop and lives {timeout_s:.0f} s later") from None

    def complaint(self) -> str:
        """Return the end of what this daemon wrote on stderr."""
        return self._paths()[1].read_text(errors="replace")[-1500:]

    def close(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def _paths(self) -> tuple[Path, Path]:
        name = f"daemon{self.place}-{self.starts}"
        return self.folder / f"{name}.out", self.folder / f"{name}.err"

    def _here(self) -> list[str]:
        return ["--state-dir", str(self.state_dir)]

    # ------------------------------------------------------------ other commands

    def give(self, *args: str) -> Verb:
        """Give a command and do not wait for it."""
        process = subprocess.Popen(
            [*COMMAND, *args, *self._here(), "--file", str(self.config)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
            cwd=self.folder, env=self.env,
        )  # fmt: skip
        return Verb(args, process, time.time())

    def intrude(self, *args: str) -> int:
        """Start another one on the same state and return its exit code, or how it was ended after a while."""
        process = subprocess.Popen(
            [*COMMAND, *args, str(self.config), *self._here()],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
            env=self.env,
        )  # fmt: skip
        try:
            return process.wait(START_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            # Also when the round is interrupted meanwhile.
            process.kill()

    def read(self, *args: str) -> str:
        """Return what a reading command prints; raises Broken when it fails."""
        row = self.give(*args).finished(120)
        if row["code"]:
            raise Broken("P7", f"{' '.join(args)} gave {row['code']}: {row['err']}")
        return str(row["out"])

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.read("status", "--json"))
        return found
