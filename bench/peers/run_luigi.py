"""Run a graph with Luigi: the local scheduler, worker processes, an empty file per task that says it is complete."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import luigi

FILE = Path(sys.argv[1])
GRAPH = json.loads(FILE.read_text())
DONE = FILE.with_name("luigi")


class Job(luigi.Task):
    """One command, after those it waits for."""

    id = luigi.Parameter()

    def requires(self) -> list[Any]:
        return [Job(id=each) for each in GRAPH["edges"][self.id]]

    def output(self) -> Any:
        return luigi.LocalTarget(str(DONE / self.id))

    def run(self) -> None:
        command = GRAPH["command"]
        subprocess.run(command, shell=isinstance(command, str), check=True, capture_output=True)
        (DONE / self.id).touch()


def main() -> int:
    start = perf_counter()
    DONE.mkdir()
    jobs = [Job(id=each) for each in GRAPH["edges"]]
    is_done = luigi.build(jobs, local_scheduler=True, workers=GRAPH["slots"], log_level="WARNING")
    FILE.with_name("seconds").write_text(str(perf_counter() - start))
    return 0 if is_done else 1


if __name__ == "__main__":
    sys.exit(main())
