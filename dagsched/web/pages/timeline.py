"""*Timeline*: when runs waited and ran, a lane for each job, and beyond the line of now what is to come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice, takewhile
from typing import Any, NamedTuple

from dagsched.api.table import Query
from dagsched.counting import counted
from dagsched.model import LIVE, Run, format_instant
from dagsched.views.coming import LEFT_OUT, Ahead, Coming
from dagsched.views.rows import duration_s
from dagsched.web.lanes import AXIS, FINE, Bar, Frame, Lane, axis, lane, touches
from dagsched.web.picking import ASKED, fitting, page_of_flows, tags_of
from dagsched.web.standing import graph_of
from dagsched.web.table import Look, Page
from dagsched.web.words import length, moment, state_words

SPANS = {"1h": timedelta(hours=1), "24h": timedelta(days=1), "7d": timedelta(days=7)}
LANES = {"1h": 25, "24h": 25, "7d": 10}
"""A week has so many bars in a lane that fewer lanes are a page."""
BARS = 300
BARS_ALONE = 1500
AHEAD = 0.14
"""How much of a window that ends now lies in the future."""
BEFORE = timedelta(days=1)
"""How long before the window a run's tick may lie; a run that is still open counts whenever its tick was."""
COMING_MAX = 60
GAP = 0.2
"""Ticks to come are drawn apart when so much of the width, in percent, lies between them."""
LIVE_MAX = 2000
TABLE_MAX = 300


class Expected(NamedTuple):
    """A tick to come, and how wide its run will be if it takes as long as the newest one did; `ticks` that touch.

    `ticks` 0: more than anybody counts, to the edge of what is shown.
    """

    coming: Coming
    x: float
    width: float
    ticks: int = 1


async def data(look: Look) -> Mapping[str, Any]:
    """Return the lanes of a page of jobs that did anything in the window; a fixed number of looks at the store."""
    query, config, graph = look.query, await look.config(), await graph_of(look)
    span = SPANS[query["span"]]
    until = min(query["until"], look.now) if query["until"] is not None else look.now
    is_live = query["until"] is None
    frame = Frame(until - span, until + (span * AHEAD if is_live else timedelta()))
    live = await _live(look)
    ids = fitting(config.jobs, query)
    busy = await _busy(look, ids, live, frame)
    flows, following = page_of_flows(graph, busy, query["after"], LANES[query["span"]])
    page = [id for flow in flows for id in flow]
    each = BARS_ALONE if len(page) == 1 else BARS
    found = await look.desk.store.newest(page, each, after=frame.begin - BEFORE, until=until)
    lanes = [_lane(id, found.get(id, ()), live.get(id, ()), frame, look.now, each) for id in page]
    common = {
        "query": _link_query(look),
        "tags": tags_of(config.jobs),
        "spans": list(SPANS),
        "frame": frame,
        "total": len(busy),
        "of": len(ids),
        "following": following,
        "is_live": is_live,
        "earlier": format_instant(until - span),
        "later": None if is_live or until + span >= look.now else format_instant(until + span),
    }
    if query["view"] == "table":
        return {**common, "rows": _rows(lanes, query["order"])}
    expected = await _expected(look, page, found, frame) if is_live else {}
    return {
        **common,
        "lanes": _sorted(lanes, query["order"]),
        "firsts": {flow[0] for flow in flows[1:]} if query["order"] == "flow" else (),
        "expected": expected,
        "marks": axis(frame, AXIS[span]),
        "now_x": frame.percent(look.now) if is_live else None,
        "title_of": lambda bar: title_of(bar, look.now),
    }


def _link_query(look: Look) -> dict[str, Any]:
    defaults = {"span": "24h", "order": "flow", "view": "chart"}
    kept = {name: value for name, value in look.query.items() if value != defaults.get(name)}
    if kept.get("until") is not None:
        kept["until"] = format_instant(kept["until"])
    return kept


async def _live(look: Look) -> dict[str, list[Run]]:
    found: dict[str, list[Run]] = {}
    for run in await look.desk.store.rows(states=sorted(LIVE), limit=LIVE_MAX):
        found.setdefault(run.job, []).append(run)
    return found


async def _busy(look: Look, ids: Sequence[str], live: Mapping[str, Sequence[Run]], frame: Frame) -> list[str]:
    """Return the jobs that have something to show in the window, judged by the newest tick up to its end."""
    if look.query["until"] is None:
        newest = await look.shelf.newest(ids)
    else:
        found = await look.desk.store.newest(ids, 1, after=frame.begin - BEFORE, until=frame.end)
        newest = {job: runs[0] for job, runs in found.items()}
    return [
        id
        for id in ids
        if (id in newest and touches(newest[id], frame, look.now))
        or any(touches(run, frame, look.now) for run in live.get(id, ()))
    ]


def _lane(id: str, found: Sequence[Run], live: Iterable[Run], frame: Frame, now: datetime, each: int) -> Lane:
    runs = {run.tick: run for run in [*live, *found]}
    oldest = found[-1] if len(found) == each else None
    is_cut = oldest is not None and (oldest.ended or now) > frame.begin
    return lane(id, runs.values(), frame, now, is_cut)


def _sorted(lanes: Sequence[Lane], order: str) -> list[Lane]:
    if order == "start":
        return sorted(lanes, key=lambda lane: (lane.bars[0].begin if lane.bars else datetime.max, lane.job))
    if order == "name":
        return sorted(lanes, key=lambda lane: lane.job)
    return list(lanes)


# ---------------------------------------------------------------- what is to come


async def _expected(
    look: Look, page: Sequence[str], found: Mapping[str, Sequence[Run]], frame: Frame
) -> dict[str, list[Expected]]:
    ahead = await look.ahead()
    return await asyncio.to_thread(_coming, ahead, page, found, frame, look.now)


def _coming(
    ahead: Ahead, page: Sequence[str], found: Mapping[str, Sequence[Run]], frame: Frame, now: datetime
) -> dict[str, list[Expected]]:
    expected = {}
    for id in page:
        usual = next((took for run in found.get(id, ()) if run.state == "success" and (took := duration_s(run))), 0.0)
        soon = list(islice(takewhile(lambda coming: coming.tick <= frame.end, ahead.of(id, now)), COMING_MAX + 1))
        bars = [
            Expected(coming, x, round(max(frame.percent(coming.tick + timedelta(seconds=usual)) - x, 2 * FINE), 3))
            for coming, x in ((each, frame.percent(each.tick)) for each in soon)
            if LEFT_OUT not in coming.note
        ]
        if len(soon) > COMING_MAX and bars:
            bars[-1] = bars[-1]._replace(width=round(100 - bars[-1].x, 3), ticks=0)
        expected[id] = together(bars)
    return expected


def together(bars: Iterable[Expected]) -> list[Expected]:
    """Return the bars with those that cannot be told apart as one, so that a job of every second is one bar."""
    found: list[Expected] = []
    for bar in bars:
        last = found[-1] if found else None
        if last is None or bar.x - (last.x + last.width) > GAP:
            found.append(bar)
            continue
        width = max(last.width, bar.x + bar.width - last.x)
        ticks = last.ticks + bar.ticks if last.ticks and bar.ticks else 0
        found[-1] = last._replace(width=round(width, 3), ticks=ticks)
    return found


# ---------------------------------------------------------------- in words


def title_of(bar: Bar, now: datetime) -> str:
    """Return what a bar stands for, in one line."""
    state = state_words(bar.run.state)
    if bar.count > 1:
        return f"{counted(bar.count, 'run')} {state}, {moment(bar.begin, now)} to {moment(bar.end, now)} UTC"
    until = f" … {moment(bar.run.until, now)}" if bar.run.until is not None else ""
    told = [f"{moment(bar.run.tick, now)}{until} UTC {state}"]
    if bar.started is not None:
        waited = (bar.started - bar.begin).total_seconds()
        told += [f"waited {length(waited)}"] if waited >= 1 else []
        told.append(f"ran {length((bar.end - bar.started).total_seconds())}")
    elif not bar.is_mark:
        told.append(f"waits for {length((bar.end - bar.begin).total_seconds())}")
    return ", ".join(told) + (f": {bar.run.reason[:200]}" if bar.run.reason else "")


def _rows(lanes: Sequence[Lane], order: str) -> list[Bar]:
    """Return the same as rows of a table, newest first."""
    bars = [bar for each in lanes for bar in each.bars]
    if order == "name":
        bars.sort(key=lambda bar: (bar.run.job, -bar.begin.timestamp()))
    else:
        bars.sort(key=lambda bar: bar.begin, reverse=True)
    return bars[:TABLE_MAX]


PAGE = Page(
    "/timeline",
    "Timeline",
    "timeline.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        *ASKED,
        Query("span", "choice", "How much time is shown.", "24h", choices=tuple(SPANS)),
        Query("until", "instant", "The end of what is shown; now without it."),
        Query("order", "choice", "How lanes are sorted.", "flow", choices=("flow", "start", "name")),
        Query("view", "choice", "As a chart or as a table.", "chart", choices=("chart", "table")),
    ],
)
