"""Run a graph of functions that do nothing with Dask: `cluster` on two worker processes, `threads` in this one.

Takes the graph's JSON file and the name of the scheduler, and writes the seconds of the run alone, from the building of
the graph to the last result, without start and end of the cluster, into a file beside it.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from time import perf_counter
from typing import Any

import dask

WORKERS = 2


def noop(*_upstream: None) -> None:
    """Do nothing."""


def main() -> None:
    file = Path(sys.argv[1])
    graph = json.loads(file.read_text())
    seconds = on_cluster(graph) if sys.argv[2] == "cluster" else compute(graph, "threads", num_workers=graph["slots"])
    file.with_name("seconds").write_text(str(seconds))


def on_cluster(graph: Any) -> float:
    from dask.distributed import Client, LocalCluster

    logging.getLogger("distributed").setLevel(logging.ERROR)
    threads = graph["slots"] // WORKERS
    with (
        LocalCluster(n_workers=WORKERS, threads_per_worker=threads, processes=True, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.submit(noop).result()
        return compute(graph, client)


def compute(graph: Any, scheduler: Any, **how: Any) -> float:
    start = perf_counter()
    delayed = dask.delayed(noop, pure=False)
    nodes: dict[str, Any] = {}
    for id, upstream in graph["edges"].items():
        nodes[id] = delayed(*(nodes[each] for each in upstream), dask_key_name=id)
    dask.compute(*nodes.values(), scheduler=scheduler, **how)
    return perf_counter() - start


if __name__ == "__main__":
    main()
