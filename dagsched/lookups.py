"""Rows that a verb looks at and that may have left memory: those of runs that are over, and of what was before them."""

from __future__ import annotations

from datetime import datetime, timedelta

from dagsched.backfill import add_upstreams
from dagsched.graph import Graph
from dagsched.model import CALLED, Config, Run, parse_run_name
from dagsched.stores.contract import Store

MILLISECOND = timedelta(milliseconds=1)
ROWS_BELOW_MAX = 2000
CALLED_LOOKED_AT = 20


async def called_by(store: Store, caller: str) -> tuple[Run, ...]:
    """Return the rows of the runs that a workflow's run has made: of those that are over, memory may know none."""
    row = await store.run(*parse_run_name(caller))
    names = [name for name in row.params.get(CALLED, ()) if name] if row is not None else []
    found = [await store.run(*parse_run_name(name)) for name in names[-CALLED_LOOKED_AT:]]
    return tuple(each for each in found if each is not None)


async def rows_for_rerun(store: Store, config: Config, name: str) -> tuple[Run, ...]:
    """Return the rows that a rerun looks at and that may have left memory: it, its upstreams', later ones below it."""
    id, tick = parse_run_name(name)
    found: dict[tuple[str, datetime], Run] = {}
    row = await store.run(id, tick)
    if row is None or id not in config.jobs:
        return () if row is None else (row,)
    found[row.key] = row
    await add_upstreams(store, config.jobs, id, row, tick, found)
    for below in Graph(config.jobs).descendants(id):
        for later in await store.rows(below, after=tick - MILLISECOND, newest_first=False, limit=ROWS_BELOW_MAX):
            found[later.key] = later
            if later.state.is_terminal:
                await add_upstreams(store, config.jobs, below, later, later.tick, found)
    return tuple(found.values())
