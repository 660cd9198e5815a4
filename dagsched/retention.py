"""Forgetting old runs without forgetting what a decision still hangs on.

The store by itself keeps each job's newest row, live runs and the rows those are linked to. What it cannot
know is what a join that is not judged yet will look at. For an edge from job j to upstream u that is

- with j's newest accounted tick R: every row of u after R (`match: all` counts them, `latest` may stop at
  one of them if j's next tick lies in the past), and u's newest row at or before R that a join can see;
- before j ever had a tick: the newest row of u that a join can see.

Runs made by `trigger --only` are seen by no join and keep nothing alive.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from dagsched.graph import Graph
from dagsched.model import BackfillState, Config, Keep, Run, is_schedule_tick, run_name
from dagsched.stores.contract import Bound, Gone, Store

PAGE = 200
# Events of no run are few, and are what an auditor asks for: starts, edits, pauses, who asked for what over HTTP.
EVENTS_KEPT = timedelta(days=90)
Key = tuple[str, datetime]


async def prune(store: Store, home: Path, config: Config | None, before: datetime, *, dry_run: bool = False) -> int:
    """Delete runs that ended before `before`, their attempts, events and logs; return how many rows went.

    `store` must hold the state (`acquire`). `home`: the state directory, below which the logs are. Without a
    configuration no join is coming, and the store's own rules alone hold. `dry_run`: only count.
    """
    keep = await needed_by_joins(store, config) if config is not None else frozenset()
    # Logs go last: a crash in between leaves files that nobody names, never a run whose log is gone.
    return await store.prune(
        before=before, keep=keep, events_before=before, dry_run=dry_run, dropped=partial(_delete, home)
    )


async def keep_house(store: Store, home: Path, config: Config, now: datetime, *, dry_run: bool = False) -> int:
    """Delete what `keep` of the job files gives up, as `prune` does; return how many rows went.

    A run goes when it is beyond either bound of its job: older than its days, or not among its newest runs. Events of
    no run go after 90 days, or after the most days that any `keep` says if those are more.
    """
    bounds = await bounds_of(store, config, now)
    if not bounds:
        return 0
    keep = await needed_by_joins(store, config)
    dropped, events_before = partial(_delete, home), now - _events_kept(config)
    return await store.prune(
        before=now, keep=keep, bounds=bounds, events_before=events_before, dry_run=dry_run, dropped=dropped
    )


def _events_kept(config: Config) -> timedelta:
    said = [keep.days for keep in (config.keep, *(job.keep for job in config.jobs.values())) if keep is not None]
    return max([EVENTS_KEPT, *(timedelta(days=days) for days in said if days is not None)])


def says_what_to_keep(config: Config) -> bool:
    """Whether any job, or a file, has a `keep`."""
    return config.keep is not None or any(job.keep is not None for job in config.jobs.values())


async def bounds_of(store: Store, config: Config, now: datetime) -> list[Bound]:
    """Return how far retention goes in each job that has rows; what is being backfilled stays."""
    filled = await _filled_from(store, config)
    found: list[Bound] = []
    for job in sorted(await store.counts()):
        keep = config.jobs[job].keep if job in config.jobs else config.keep
        found += _bounds(job, keep or Keep(), now, filled.get(job, now))
    return found


def _bounds(job: str, keep: Keep, now: datetime, filled_from: datetime) -> list[Bound]:
    found = []
    if keep.days is not None:
        found.append(Bound(job, min(now - timedelta(days=keep.days), filled_from)))
    if keep.runs is not None:
        found.append(Bound(job, min(now, filled_from), keep.runs))
    return found


async def _filled_from(store: Store, config: Config) -> dict[str, datetime]:
    """Return the first tick of what is being backfilled now, by job."""
    found: dict[str, datetime] = {}
    graph = Graph(config.jobs)
    for backfill in await store.backfills():
        if backfill.state is BackfillState.ACTIVE and backfill.job in config.jobs:
            for job in (backfill.job, *(graph.descendants(backfill.job) if backfill.downstream else ())):
                found[job] = min(backfill.first, found.get(job, backfill.first))
    return found


async def needed_by_joins(store: Store, config: Config) -> frozenset[Key]:
    """Return the rows (job, tick) that a join which is not judged yet may need."""
    keep: set[Key] = set()
    for job in config.jobs.values():
        if not job.depends_on:
            continue
        reference = await _reference(store, job.id)
        for edge in job.depends_on:
            keep.update([key async for key in _needed(store, edge.job, reference)])
    return frozenset(keep)


async def _reference(store: Store, job: str) -> datetime | None:
    """Return the newest schedule tick of a job that is accounted for, None when it never had one."""
    async for row in _newest_first(store, job):
        if is_schedule_tick(row.tick):
            return row.until or row.tick
    return None


async def _needed(store: Store, upstream: str, reference: datetime | None) -> AsyncIterator[Key]:
    async for row in _newest_first(store, upstream):
        yield row.key
        is_before = reference is None or (row.until or row.tick) <= reference
        if is_before and not row.only:
            return


def _delete(home: Path, gone: Sequence[Gone]) -> None:
    for each in gone:
        for path in each.logs:
            (home / path).unlink(missing_ok=True)
        _delete_state(home, run_name(each.job, each.tick))


def _delete_state(home: Path, run: str) -> None:
    """Delete the state of a file's jobs that a workflow's run has left behind, if it has."""
    if (home / "workflows").is_dir():
        from dagsched.handlers.workflow import state_of

        shutil.rmtree(state_of(str(home), run), ignore_errors=True)


async def _newest_first(store: Store, job: str, until: datetime | None = None) -> AsyncIterator[Run]:
    """Yield a job's rows a page at a time: most callers stop after a few."""
    while True:
        page = await store.rows(job, until=until, limit=PAGE)
        for row in page:
            yield row
        if len(page) < PAGE:
            return
        until = page[-1].tick - timedelta(milliseconds=1)
