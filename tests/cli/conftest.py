"""A folder with job files and a state that was really written, and a way to call the command line in it."""

from __future__ import annotations

import asyncio
import json
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import dagsched.cli
from dagsched.cli import main, remote
from dagsched.clock import SystemClock
from dagsched.model import utc
from dagsched.stores import open_store
from dagsched.stores.contract import Batch
from tests.cli import ledger

NOW = utc(2026, 11, 23, 14, 30)
# All of them before any test: one that is imported first while something is patched keeps what was patched for good.
COMMANDS = [import_module(f"dagsched.cli.{module.name}") for module in pkgutil.iter_modules(dagsched.cli.__path__)]


@dataclass(frozen=True, slots=True)
class Result:
    """What a command printed and returned."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture(autouse=True)
def _quiet_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DAGSCHED_FILE", "DAGSCHED_STATE_DIR", "NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that is the current one."""
    folder = tmp_path / "a folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def call(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Call the command line in `here` and return what came of it."""

    def run(*words: str) -> Result:
        capsys.readouterr()
        code = main(words)
        printed = capsys.readouterr()
        return Result(code, printed.out, printed.err)

    return run


@pytest.fixture
def at_now(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock that commands read."""
    monkeypatch.setattr(SystemClock, "now", lambda clock: NOW)


@pytest.fixture
def no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No daemon answers, whatever the state directory."""
    answer_with(monkeypatch, None)


def answer_with(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None) -> list[tuple[str, dict[str, Any]]]:
    """Have a daemon give this answer (None: none runs) and return the list of what it is asked."""
    asked: list[tuple[str, dict[str, Any]]] = []

    async def ask(home: Path, verb: str, body: dict[str, Any]) -> dict[str, Any] | None:
        asked.append((verb, dict(body)))
        return answer

    real = remote.ask
    for command in COMMANDS:
        if getattr(command, "ask", None) is real:
            monkeypatch.setattr(command, "ask", ask)
    return asked


def store(home: Path, *batches: Batch) -> None:
    """Write these batches into the state in that directory, as a daemon would."""

    home.mkdir(mode=0o700, exist_ok=True)

    async def write() -> None:
        written = open_store(home)
        await written.open(write=True)
        await written.acquire("a test")
        for batch in batches:
            await written.commit(batch)
        await written.close()

    asyncio.run(write())


def requests_in(home: Path) -> Sequence[tuple[str, dict[str, Any]]]:
    """Return what has been left for the next daemon."""

    async def read() -> Sequence[tuple[str, dict[str, Any]]]:
        written = open_store(home)
        await written.open(write=False)
        snapshot = await written.snapshot({})
        await written.close()
        return [(request.verb, dict(request.body)) for request in snapshot.requests]

    return asyncio.run(read())


@pytest.fixture
def home(here: Path, at_now: None, no_daemon: None) -> Path:
    """The state of a day in `.dagsched`; there is no job file and no daemon."""
    state_dir = here / ".dagsched"
    store(state_dir, ledger.DAY)
    ledger.write_logs(state_dir)
    return state_dir


@pytest.fixture
def jobs_file(here: Path) -> Path:
    """The job file that belongs to that day."""
    file = here / "jobs.yaml"
    file.write_text(ledger.JOBS)
    return file
