"""Who waits for whom, as JSON."""

from __future__ import annotations

from typing import Any

from dagsched.graph import Graph
from dagsched.model import Config, Job
from dagsched.triggers.text import schedule_text
from dagsched.views.names import known_job


def graph_doc(config: Config, job: str | None = None) -> dict[str, Any]:
    """Return the jobs, upstreams first, as `graph --json` prints them; raises Unknown."""
    graph = Graph(config.jobs)
    jobs = {id: config.jobs[id] for id in chosen(graph, job)}
    return {"jobs": [_as_json(each, graph, jobs) for each in jobs.values()]}


def chosen(graph: Graph, job: str | None) -> tuple[str, ...]:
    """Return the wanted ids, upstreams first."""
    if job is None:
        return graph.order
    known_job(job, graph.order)
    return (*graph.ancestors(job), job, *graph.descendants(job))


def _as_json(job: Job, graph: Graph, jobs: dict[str, Job]) -> dict[str, Any]:
    return {
        "job": job.id,
        "schedule": schedule_text(job.schedule),
        "timezone": job.schedule.timezone if job.schedule else None,
        "depends_on": [{"job": edge.job, "match": str(edge.match)} for edge in job.depends_on],
        "trigger_rule": str(job.trigger_rule),
        "downstream": [id for id in graph.downstream[job.id] if id in jobs],
        "enabled": job.enabled,
    }
