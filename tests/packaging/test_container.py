"""The image, built and run by a container engine: what only a real process 1 on a real volume shows.

$DAGSCHED_TEST_ENGINE names the engine (`docker`, `podman`); without it these tests are skipped. They build the image,
which needs a registry and a package index, unless $DAGSCHED_TEST_IMAGE names one that is there.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.packaging.places import ROOT

ENGINE, IMAGE = os.environ.get("DAGSCHED_TEST_ENGINE"), os.environ.get("DAGSCHED_TEST_IMAGE")
pytestmark = pytest.mark.skipif(not ENGINE, reason="DAGSCHED_TEST_ENGINE=docker (or podman) runs the image")

PATIENCE_S = 120
JOBS = """\
version: 1
jobs:
  quick: {run: echo done}
  short: {run: sleep 3}
  long: {run: sleep 600, retry: 3}
  strays: {run: "(setsid sleep 0.2 &); (setsid sleep 600 &); exit 0"}
"""


def engine(*words: object, code: int | None = 0) -> str:
    """Return what the engine prints, once it has ended with this code (None: any)."""
    assert ENGINE is not None
    done = subprocess.run([ENGINE, *map(str, words)], cwd=ROOT, capture_output=True, text=True, timeout=500)
    assert code is None or done.returncode == code, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def image() -> str:
    if IMAGE:
        return IMAGE
    engine("build", "-f", "Containerfile", "-t", "dagsched-tested", ".")
    return "dagsched-tested"


class Container:
    """A container of the image with these job files and a volume that outlives it."""

    def __init__(self, image: str, jobs: Path) -> None:
        self.name = f"dagsched-test-{uuid4().hex[:12]}"
        self._image, self._jobs = image, jobs

    def run(self, *options: str) -> None:
        mounts = ("-v", f"{self._jobs}:/etc/dagsched:ro", "-v", f"{self.name}:/var/lib/dagsched")
        engine("run", "-d", "--name", self.name, "--stop-timeout", 60, *mounts, *options, self._image)
        self.until(lambda: "daemon started" in engine("logs", self.name))

    def ask(self, *words: str) -> str:
        return engine("exec", self.name, "dagsched", *words)

    def states(self) -> dict[str, tuple[str, int]]:
        """Return state and number of attempts of each job's run."""
        rows = [json.loads(line) for line in self.ask("history", "--json", "--limit", "0").splitlines()]
        return {row["job"]: (row["state"], row["attempts"]) for row in rows}

    def until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not is_so():
            assert time.monotonic() < deadline, engine("logs", self.name)
            time.sleep(0.2)

    def processes(self) -> list[str]:
        """Return state and name of each process in the container, the looking one left out."""
        look = "for each in /proc/[0-9]*/stat; do read -r _ name state _ < $each && echo $state $name; done; true"
        lines = engine("exec", self.name, "sh", "-c", look).splitlines()
        return [line for line in lines if line != "R (sh)"]

    def remove(self) -> None:
        engine("rm", "-f", self.name, code=None)


@pytest.fixture
def container(image: str, tmp_path: Path) -> Iterator[Container]:
    jobs = tmp_path / "jobs"
    jobs.mkdir()
    (jobs / "jobs.yaml").write_text(JOBS)
    # The user of the image reads them.
    for each in (jobs, jobs / "jobs.yaml"):
        each.chmod(0o755)
    made = Container(image, jobs)
    yield made
    made.remove()
    engine("volume", "rm", made.name, code=None)


def test_a_stop_lets_short_work_end_and_the_next_container_tries_again_what_it_cut_short(container: Container):
    container.run()
    container.ask("trigger", "short")
    container.ask("trigger", "long")
    container.until(lambda: container.states().get("long") == ("running", 1))
    engine("stop", container.name)
    exit_code = engine("inspect", container.name, "--format", "{{.State.ExitCode}}").strip()
    assert exit_code == "0", engine("logs", container.name)
    container.remove()
    container.run()
    container.until(lambda: container.states() == {"short": ("success", 1), "long": ("running", 2)})


def test_what_a_killed_container_ran_is_lost_and_tried_again_in_the_next_one(container: Container):
    container.run()
    container.ask("trigger", "long")
    container.until(lambda: container.states().get("long") == ("running", 1))
    engine("kill", container.name)
    container.remove()
    container.run()
    container.until(lambda: container.states() == {"long": ("running", 2)})


def test_nothing_stays_behind_of_what_jobs_and_visitors_leave(container: Container):
    container.run()
    container.ask("trigger", "strays")
    container.until(lambda: container.states().get("strays") == ("success", 1))
    # Of one who came by `exec` the first process is the next of kin.
    engine("exec", container.name, "sh", "-c", "(sleep 0.2 &) ; exit 0")
    container.until(lambda: [line for line in container.processes() if line[0] == "Z" or "(sleep)" in line] == [])


def test_it_works_on_a_read_only_root_without_capabilities(container: Container):
    container.run("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges")
    container.ask("trigger", "quick")
    container.until(lambda: container.states() == {"quick": ("success", 1)})
    health = json.loads(engine("inspect", container.name, "--format", "{{json .Config.Healthcheck.Test}}"))
    engine("exec", container.name, *health[1:])
    assert engine("exec", container.name, "id", "-u").strip() == "10001"


def test_it_knows_the_zones_and_whom_to_trust(container: Container):
    container.run()
    report = container.ask("doctor", "--json")
    assert '"error"' not in report
    known = "import httpx, zoneinfo as z; z.ZoneInfo('Europe/Berlin'); assert httpx.create_ssl_context().get_ca_certs()"
    engine("exec", container.name, "python", "-c", known)
