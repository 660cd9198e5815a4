"""`dagsched graph [JOB]`: who waits for whom, as a tree, for Graphviz, for Mermaid, or as JSON.

With JOB: what it waits for and what waits for it, directly or not.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterator

from dagsched.cli.far import far, url_of
from dagsched.cli.output import print_json, printable
from dagsched.cli.parser import Parser, add_file, add_url
from dagsched.cli.places import load_config
from dagsched.graph import Graph
from dagsched.model import Config, Job, Match, TriggerRule
from dagsched.triggers.text import schedule_text
from dagsched.views.graphs import chosen, graph_doc

FORMATS = ("text", "dot", "mermaid", "json")


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job, what it waits for and what waits for it")
    parser.add_argument("--format", choices=FORMATS, default="text", help="default: text, a tree")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    add_file(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    config = asyncio.run(_config(args))
    if args.format == "json":
        print_json(graph_doc(config, args.job))
    else:
        jobs = {id: config.jobs[id] for id in chosen(Graph(config.jobs), args.job)}
        lines = {"text": _text, "dot": _dot, "mermaid": _mermaid}[args.format]
        for line in lines(jobs):
            print(line)
    return 0


async def _config(args: argparse.Namespace) -> Config:
    if (url := url_of(args)) is None:
        return load_config(args.paths)
    async with far(args, url) as there:
        return await there.config()


def _text(jobs: dict[str, Job]) -> Iterator[str]:
    """Draw each job once below one of its upstreams, and name it alone below the others."""
    below: dict[str, list[str]] = {id: [] for id in jobs}
    for job in jobs.values():
        for edge in job.depends_on:
            if edge.job in below:
                below[edge.job].append(job.id)
    roots = [id for id, job in jobs.items() if not any(edge.job in jobs for edge in job.depends_on)]
    drawn: set[str] = set()
    # An explicit stack: a chain of thousands of jobs is deeper than Python's recursion limit.
    stack = [(id, "", "") for id in reversed(roots)]
    while stack:
        id, lead, indent = stack.pop()
        if id in drawn:
            yield f"{lead}{id} (see above)"
            continue
        drawn.add(id)
        yield lead + _label(jobs[id])
        last = len(below[id]) - 1
        for place, child in reversed(list(enumerate(below[id]))):
            before, after = _LAST if place == last else _MORE
            stack.append((child, indent + before, indent + after))


_MORE = "├── ", "│   "
_LAST = "└── ", "    "
"""What stands before a job in the tree, and before everything below it."""


def _label(job: Job) -> str:
    remarks = [schedule_text(job.schedule) or ""]
    if len(job.depends_on) > 1:
        remarks.append("after " + ", ".join(edge.job + _match_text(edge.match) for edge in job.depends_on))
    elif job.depends_on and job.depends_on[0].match is not Match.LATEST:
        remarks.append(f"match: {job.depends_on[0].match}")
    if job.trigger_rule is not TriggerRule.ALL_SUCCESS:
        remarks.append(str(job.trigger_rule))
    if not job.enabled:
        remarks.append("disabled")
    return printable("  ".join([job.id, "; ".join(filter(None, remarks))]).rstrip())


def _match_text(match: Match) -> str:
    return "" if match is Match.LATEST else f" ({match})"


def _dot(jobs: dict[str, Job]) -> Iterator[str]:
    yield "digraph jobs {"
    yield "  rankdir=LR;"
    yield '  node [shape=box, fontname="sans-serif"];'
    for job in jobs.values():
        schedule = schedule_text(job.schedule)
        lines = [job.id, *([schedule] if schedule else [])]
        style = "" if job.enabled else ", style=dashed"
        label = "\\n".join(_dot_escape(line) for line in lines)
        yield f'  "{_dot_escape(job.id)}" [label="{label}"{style}];'
    for upstream, downstream, label in _edges(jobs):
        edge = f'"{_dot_escape(upstream)}" -> "{_dot_escape(downstream)}"'
        yield f'  {edge} [label="{label}"];' if label else f"  {edge};"
    yield "}"


def _dot_escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _mermaid(jobs: dict[str, Job]) -> Iterator[str]:
    """Number the nodes: Mermaid gives words such as `end` in ids a meaning of their own."""
    yield "flowchart LR"
    number = {id: f"j{place}" for place, id in enumerate(jobs)}
    for job in jobs.values():
        schedule = schedule_text(job.schedule)
        label = job.id + (f"<br/>{schedule}" if schedule else "")
        yield f'  {number[job.id]}["{_mermaid_escape(label)}"]'
    for upstream, downstream, label in _edges(jobs):
        yield f"  {number[upstream]} -->" + (f"|{label}| " if label else " ") + number[downstream]


def _mermaid_escape(text: str) -> str:
    return text.replace('"', "#quot;")


def _edges(jobs: dict[str, Job]) -> Iterator[tuple[str, str, str]]:
    """Yield upstream, job and the edge's label: its match when that is not the usual one."""
    for job in jobs.values():
        for edge in job.depends_on:
            if edge.job in jobs:
                yield edge.job, job.id, "" if edge.match is Match.LATEST else str(edge.match)
