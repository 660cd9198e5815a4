"""Run a graph with Dagster: a job of ops in this process, nothing handed from op to op.

After the graph's file comes where its record is kept: `ephemeral`, in memory, or `sqlite`, in a folder.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

from dagster import (
    DagsterInstance,
    DependencyDefinition,
    GraphDefinition,
    In,
    MultiDependencyDefinition,
    NodeInvocation,
    Nothing,
    Out,
    op,
)


def main() -> int:
    start = perf_counter()
    file = Path(sys.argv[1])
    graph = json.loads(file.read_text())
    job = job_of(graph["edges"], graph["command"])
    logging.disable(logging.INFO)  # an event a line on the terminal would be measured too
    home = file.with_name("dagster")
    home.mkdir()
    with DagsterInstance.local_temp(str(home)) if sys.argv[2] == "sqlite" else DagsterInstance.ephemeral() as instance:
        is_done = job.execute_in_process(instance=instance).success
    file.with_name("seconds").write_text(str(perf_counter() - start))
    return 0 if is_done else 1


def job_of(edges: dict[str, list[str]], command: list[str] | str) -> Any:
    def execute() -> None:
        subprocess.run(command, shell=isinstance(command, str), check=True, capture_output=True)

    first = op(name="first", out=Out(Nothing))(execute)
    later = op(name="later", ins={"upstream": In(Nothing)}, out=Out(Nothing))(execute)
    names = {id: id.replace("-", "_") for id in edges}
    dependencies: dict[Any, Any] = {}
    for id, upstream in edges.items():
        node = NodeInvocation("later" if upstream else "first", alias=names[id])
        waits = MultiDependencyDefinition([DependencyDefinition(names[each]) for each in upstream])
        dependencies[node] = {"upstream": waits} if upstream else {}
    return GraphDefinition("graph", node_defs=[first, later], dependencies=dependencies).to_job()


if __name__ == "__main__":
    sys.exit(main())
