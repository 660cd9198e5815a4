"""What a test does with a folder and the daemon on it, without the start of an interpreter for each thing."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagsched.api.client import call
from tests.daemon.served import PATIENCE_S, ask
from tests.torture.processes import spawners


def write_jobs(folder: Path, jobs: Mapping[str, Any]) -> None:
    """Replace jobs.yaml; JSON is YAML."""
    draft = folder / ".jobs.yaml.new"
    draft.write_text(json.dumps({"version": 1, "jobs": jobs}))
    draft.rename(folder / "jobs.yaml")


def tell(state: Path, verb: str, **body: str) -> dict[str, Any]:
    """Have a running daemon carry a verb out, and return its answer."""
    answer = asyncio.run(call(state, verb, body))
    assert answer is not None, "no daemon is running"
    return answer


def attempts_of(folder: Path, run: str) -> list[dict[str, Any]]:
    """Return the attempts of a run, or of a job's newest, as `show` has them."""
    found: list[dict[str, Any]] = json.loads(ask(folder, "show", run, "--json"))["attempt_list"]
    return found


def spawner_of(state: Path) -> int:
    """Return the spawner's process id; waits for it if there is none yet."""
    wait_until(lambda: len(spawners(state)) == 1, "a spawner")
    return spawners(state)[0]


def wait_until(true: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> None:
    """Wait for what no event tells of."""
    deadline = time.monotonic() + patience_s
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen"
        time.sleep(0.01)
