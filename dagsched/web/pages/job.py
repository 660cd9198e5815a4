"""*Job*: what one job is, what it waits for and what waits for it, how its runs went, when it is due, and its verbs."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from dagsched.api.cursors import page_of_runs, read_cursor
from dagsched.api.table import Query
from dagsched.config.effective import Line, lines_of
from dagsched.config.flow import in_flow, is_block
from dagsched.model import Again, Config, Job, Run, RunState
from dagsched.triggers.text import schedule_text
from dagsched.views.names import known_job
from dagsched.web.pages.jobs import rows_of_jobs
from dagsched.web.standing import graph_of
from dagsched.web.table import Look, Page

EACH = 25
CHARTED = 60
TICKS = 10
NEIGHBOURS_MAX = 40


async def data(look: Look) -> Mapping[str, Any]:
    """Return all that is known of one job."""
    store, id, config = look.desk.store, look.path["job"], await look.config()
    known_job(id, await look.known_jobs())
    job = config.jobs.get(id)
    graph = await graph_of(look)
    before, after = graph.upstream.get(id, ()), graph.downstream.get(id, ())
    shown = [*before[:NEIGHBOURS_MAX], *after[:NEIGHBOURS_MAX]]
    rows = {row.line.job: row for row in await rows_of_jobs(look, [id, *shown])}
    cursor = read_cursor(look.query["cursor"]) if look.query["cursor"] else None
    states = [look.query["state"]] if look.query["state"] else []
    runs, more = await page_of_runs(store, id, states, None, None, EACH, cursor)
    charted = (await store.newest([id], CHARTED)).get(id, ())
    daemon = await look.shelf.daemon()
    return {
        "title": id,
        "id": id,
        "job": job,
        "zone": (job.schedule.timezone if job.schedule else job.timezone) if job else "UTC",
        "row": rows.get(id),
        "before": [rows[each] for each in before[:NEIGHBOURS_MAX] if each in rows],
        "after": [rows[each] for each in after[:NEIGHBOURS_MAX] if each in rows],
        "neighbours": {"before": len(before), "after": len(after)},
        "runs": runs,
        "more": more,
        "query": dict(look.query),
        "run_states": list(RunState),
        "charted": charted,
        "figures": next(iter(await store.statistics(id)), None),
        "ticks": await _ticks(look, id) if job else [],
        "on_event": _on_event(job),
        "effective": await _effective(look, job, config) if job else [],
        "place": _place_of(job, config),
        "schedule": schedule_text(job.schedule) if job else None,
        "params": _params(job),
        "again": list(Again),
        "blocked": daemon["blocked"] if daemon else {},
        "summary": _summary(charted),
    }


async def _ticks(look: Look, id: str) -> Sequence[Any]:
    ahead = await look.ahead()
    return await asyncio.to_thread(lambda: list(islice(ahead.of(id, look.now), TICKS)))


def _on_event(job: Job | None) -> str:
    return " or ".join(job.schedule.event) if job and job.schedule else ""


def _params(job: Job | None) -> list[dict[str, Any]]:
    """Return what a form asks for each parameter: its kind of field and what it has without being told."""
    found = []
    for name, param in job.params.items() if job else ():
        kind = param.schema.get("type")
        choices = [in_text(choice) for choice in param.schema.get("enum", ())]
        if kind == "boolean":
            choices = ["true", "false"]
        found.append(
            {
                "name": name,
                "choices": choices,
                "number": kind in ("integer", "number"),
                "default": "" if param.default is None else in_text(param.default),
                "needed": param.default is None,
                "words": param.schema.get("description", ""),
            }
        )
    return found


def in_text(value: Any) -> str:
    """Return a parameter's value as it is typed into a form."""
    return value if isinstance(value, str) else in_flow(value)


def _summary(charted: Sequence[Run]) -> str:
    good = sum(1 for run in charted if run.state is RunState.SUCCESS)
    ended = sum(1 for run in charted if run.state.is_terminal)
    return f"{good} of {ended} succeeded" if ended else "not over yet"


# ---------------------------------------------------------------- the definition


async def _effective(look: Look, job: Job, config: Config) -> list[tuple[str, str, str, bool]]:
    """Return (key, value as YAML, place, whether it is a text of several lines) of what the job comes to."""
    entry = (await look.desk.entries()).get(job.id)
    if entry is None or entry.job != job:
        return []
    base = _base(config)
    found = []
    for line in lines_of(entry):
        inner = line.inner or (line,)
        for each in inner:
            key = f"{line.key}.{each.key}" if line.inner else line.key
            found.append((key, _value(each), shortened(each.place, base), _is_text(each)))
    return found


def _value(line: Line) -> str:
    return line.value.rstrip("\n") if isinstance(line.value, str) and "\n" in line.value else in_flow(line.value)


def _is_text(line: Line) -> bool:
    return isinstance(line.value, str) and is_block(line.value)


def _base(config: Config) -> str:
    """Return the folder that all job files lie in."""
    folders = [os.path.dirname(file) for file in config.files]
    return os.path.commonpath(folders) if folders else ""


def shortened(place: str, base: str) -> str:
    """Return a place without the folder that is the same for all."""
    return place.removeprefix(base).lstrip("/") if base and place.startswith(base) else place


def _place_of(job: Job | None, config: Config) -> str:
    position = job.position if job else None
    return shortened(f"{position.file}:{position.line}", _base(config)) if position else ""


PAGE = Page(
    "/jobs/{job}",
    "Job",
    "job.html",
    data,
    within="/jobs",
    follows=True,
    query=[
        Query("cursor", "text", "Which page of its runs."),
        Query("state", "state", "Only runs in this state."),
    ],
)
