"""*Grid*: jobs by runs. Jobs that hang together stand together, and share columns where they share ticks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dagsched.api.table import Query
from dagsched.model import Run
from dagsched.views.rows import duration_s, reason_of
from dagsched.web.picking import ASKED, fitting, page_of_flows, tags_of
from dagsched.web.standing import graph_of
from dagsched.web.table import Look, Page
from dagsched.web.words import length, moment, state_words

JOBS = 30
WIDTHS = ("15", "30", "60")
SHARED = 1.5
"""Columns are ticks as long as all jobs of a flow together have at most so many times the ticks that one row shows."""
STEP = 5
"""Every so many columns one is named."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One run, or nothing (`run` None): its job has no such tick."""

    run: Run | None
    title: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One job with its runs, oldest first. `good`: how many of those that ended succeeded, of `tried`."""

    job: str
    depth: int
    cells: Sequence[Cell]
    good: int
    tried: int


@dataclass(frozen=True, slots=True)
class Flow:
    """Jobs that hang together; `columns`: the ticks that they share, empty where each row has its own."""

    rows: Sequence[Row]
    columns: Sequence[datetime | None]


async def data(look: Look) -> Mapping[str, Any]:
    """Return a page of flows with the newest runs of each job, all of them from one look at the store."""
    config, graph = await look.config(), await graph_of(look)
    width = int(look.query["n"])
    ids = fitting(config.jobs, look.query)
    page, following = page_of_flows(graph, ids, look.query["after"], JOBS)
    shown = [id for flow in page for id in flow]
    runs = await look.desk.store.newest(shown, width, until=look.query["until"])
    kept = {name: value for name, value in look.query.items() if not (name == "n" and value == WIDTHS[1])}
    if look.query["until"] is not None:
        kept["until"] = look.query["until"].isoformat().replace("+00:00", "Z")
    return {
        "flows": [_flow(flow, runs, width, graph.upstream, look.now) for flow in _together(page)],
        "query": kept,
        "total": len(ids),
        "following": following,
        "older": _older(runs, width),
        "widths": WIDTHS,
        "step": STEP,
        "tags": tags_of(config.jobs),
    }


def _together(page: Sequence[Sequence[str]]) -> list[list[str]]:
    """Return the flows with jobs on their own put together where they follow each other."""
    found: list[list[str]] = []
    was_alone = False
    for flow in page:
        if len(flow) == 1 and was_alone:
            found[-1] += flow
        else:
            found.append(list(flow))
        was_alone = len(flow) == 1
    return found


def _older(runs: Mapping[str, Sequence[Run]], width: int) -> str | None:
    """Return up to when the page before this one reaches, so that no run of any job is left out between the two."""
    last = [found[-1].tick for found in runs.values() if len(found) == width]
    if not last:
        return None
    return (max(last) - timedelta(milliseconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _flow(
    ids: Sequence[str],
    runs: Mapping[str, Sequence[Run]],
    width: int,
    upstream: Mapping[str, Sequence[str]],
    now: datetime,
) -> Flow:
    depth: dict[str, int] = {}
    for id in ids:
        depth[id] = max((depth[above] + 1 for above in upstream[id] if above in depth), default=0)
    ticks = sorted({run.tick for id in ids for run in runs.get(id, ())})
    hang_together = any(depth.values())
    is_shared = hang_together and len(ticks) <= SHARED * width
    columns: list[datetime | None] = []
    if is_shared:
        columns = [*[None] * (width - len(ticks)), *ticks[-width:]]
    return Flow([_row(id, depth[id], runs.get(id, ()), columns, width, now) for id in ids], columns)


def _row(
    id: str, depth: int, runs: Sequence[Run], columns: Sequence[datetime | None], width: int, now: datetime
) -> Row:
    by_tick = {run.tick: run for run in runs}
    if columns:
        cells = [_cell(by_tick.get(tick) if tick is not None else None, now) for tick in columns]
    else:
        cells = [*[Cell(None)] * (width - len(runs)), *(_cell(run, now) for run in reversed(runs))]
    tried = [cell.run for cell in cells if cell.run is not None and cell.run.state in ("success", "failed")]
    return Row(id, min(depth, 6), cells, sum(run.state == "success" for run in tried), len(tried))


def _cell(run: Run | None, now: datetime) -> Cell:
    if run is None:
        return Cell(None)
    until = f" … {moment(run.until, now)}" if run.until is not None else ""
    took = duration_s(run)
    told = [f"{moment(run.tick, now)}{until} UTC", state_words(run.state), length(took) if took is not None else ""]
    reason = reason_of(run)
    return Cell(run, ", ".join(filter(None, told)) + (f": {reason[:200]}" if reason else ""))


PAGE = Page(
    "/grid",
    "Grid",
    "grid.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        *ASKED,
        Query("n", "choice", "So many runs of each job.", WIDTHS[1], choices=WIDTHS),
        Query("until", "instant", "Only runs with a tick up to this instant."),
    ],
)
