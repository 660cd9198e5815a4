"""Which jobs a page shows: those that fit what was asked for, kept together with what they hang on, by the page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dagsched.api.answers import Turned
from dagsched.api.table import Query
from dagsched.graph import Graph
from dagsched.model import Job
from dagsched.web.folding import flows

ASKED = (
    Query("q", "text", "Only jobs with this in their id or description."),
    Query("tag", "text", "Only jobs with this tag."),
    Query("after", "text", "The `next` of an earlier page."),
)


def fitting(jobs: Mapping[str, Job], query: Mapping[str, Any]) -> list[str]:
    """Return the ids of the jobs that fit, in the order of the files."""
    text, tag = (query["q"] or "").strip().lower(), query["tag"]
    return [
        id
        for id, job in jobs.items()
        if (not text or text in id.lower() or text in job.description.lower()) and (not tag or tag in job.tags)
    ]


def tags_of(jobs: Mapping[str, Job]) -> list[str]:
    """Return every tag in use."""
    return sorted({tag for job in jobs.values() for tag in job.tags})


def page_of_flows(graph: Graph, ids: Iterable[str], after: str | None, size: int) -> tuple[list[list[str]], str | None]:
    """Return whole flows up to about so many jobs, beginning behind the job `after`, and the last job if more follow.

    A flow that is longer than a page is cut. Raises Turned for an `after` that is not there.
    """
    whole = flows(graph, list(ids))
    if after is not None:
        whole = _behind(whole, after)
    found: list[list[str]] = []
    for place, flow in enumerate(whole):
        used = sum(map(len, found))
        if used and used + len(flow) > size:
            return found, found[-1][-1]
        found.append(flow[:size])
        if len(flow) > size:
            return found, flow[size - 1]
        if used + len(flow) >= size and place + 1 < len(whole):
            return found, flow[-1]
    return found, None


def _behind(whole: Sequence[list[str]], after: str) -> list[list[str]]:
    for place, flow in enumerate(whole):
        if after in flow:
            rest = flow[flow.index(after) + 1 :]
            return [rest, *whole[place + 1 :]] if rest else list(whole[place + 1 :])
    raise Turned(400, "malformed", "'after' is the `next` of an earlier page, or a job that fits what is asked for")
