"""A program is replaced by a later one while its work goes on: two installed copies, one state."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.packaging.places import built, installed, run

JOBS = """\
version: 1
jobs:
  long:
    run: |
      echo "begun under $PROGRAM"
      read -r word < gate
      echo "told $word"
    retry: {max_attempts: 3}
  after:
    depends_on: [long]
    run: echo "run under $PROGRAM"
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the commands of two installed copies of which the second says that it is a later one."""
    folder = tmp_path_factory.mktemp("copies")
    wheel = built("wheel", folder)
    old, new = (installed(wheel, folder / name) / "dagsched" for name in ("old", "new"))
    [init] = new.parent.parent.glob("lib/*/site-packages/dagsched/__init__.py")
    init.write_text(re.sub(r'(__version__ = )"[^"]+"', r'\1"99.0.0"', init.read_text()))
    assert run(new, "--version", cwd=folder).stdout == "dagsched 99.0.0\n" != run(old, "--version", cwd=folder).stdout
    return old, new


@contextmanager
def daemon(program: Path, folder: Path, name: str) -> Iterator[subprocess.Popen[str]]:
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "PROGRAM": name}
    command = [str(program), "run", "--json", "--no-http"]
    with (folder / f"{name}.errors").open("w") as errors:
        running = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate(timeout=60)


def until(running: subprocess.Popen[str], type: str, job: str) -> None:
    """Read the daemon's events up to this one."""
    assert running.stdout is not None
    for line in running.stdout:
        event = json.loads(line)
        if (event["type"], event["job"] or "") == (type, job):
            return
    pytest.fail(f"the daemon ended before {type} of {job}")


def test_running_work_survives_an_upgrade_of_the_program(programs: tuple[Path, Path], tmp_path: Path):
    old, new = programs
    (tmp_path / "jobs.yaml").write_text(JOBS)
    os.mkfifo(tmp_path / "gate")

    with daemon(old, tmp_path, "old") as running:
        until(running, "daemon.started", "")
        assert run(old, "trigger", "long", cwd=tmp_path).returncode == 0
        until(running, "run.started", "long")
        assert run(old, "stop", "--handover", cwd=tmp_path).returncode == 0
        assert running.wait(60) == 0

    with daemon(new, tmp_path, "new") as running:
        until(running, "daemon.started", "")
        # Only a reader that is there already, of the attempt that the old program started, lets this go on.
        (tmp_path / "gate").write_text("by the new program\n")
        until(running, "run.succeeded", "after")
        assert run(new, "stop", cwd=tmp_path).returncode == 0
        assert running.wait(60) == 0

    assert run(new, "logs", "long", cwd=tmp_path).stdout == "begun under old\ntold by the new program\n"
    assert run(new, "logs", "after", cwd=tmp_path).stdout == "run under new\n"
    rows = [json.loads(line) for line in run(new, "history", "--json", cwd=tmp_path).stdout.splitlines()]
    assert {row["job"]: (row["state"], row["attempts"]) for row in rows} == {
        "long": ("success", 1),
        "after": ("success", 1),
    }
