"""Run a graph with doit: worker processes, its usual database, output captured as it does by itself.

Like each program beside it: takes the graph's JSON file, and writes the seconds of the run alone, without the start
of the interpreter and the imports, into a file beside that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

from doit.cmd_base import ModuleTaskLoader
from doit.doit_cmd import DoitMain


def main() -> int:
    start = perf_counter()
    file = Path(sys.argv[1])
    graph = json.loads(file.read_text())

    def task_job() -> Iterator[dict[str, Any]]:
        for id, upstream in graph["edges"].items():
            # A list is executed as it is, text by a shell: as with dagsched.
            yield {"name": id, "actions": [graph["command"]], "task_dep": [f"job:{each}" for each in upstream]}

    config = {"dep_file": str(file.with_name("doit.db")), "num_process": graph["slots"]}
    status: int = DoitMain(ModuleTaskLoader({"task_job": task_job, "DOIT_CONFIG": config})).run(["run"])
    file.with_name("seconds").write_text(str(perf_counter() - start))
    return status


if __name__ == "__main__":
    sys.exit(main())
