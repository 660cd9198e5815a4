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
from pathlib import Path

from dagsched.model import Config, Run, is_schedule_tick, run_name
from dagsched.stores.contract import Store

PAGE = 200
Key = tuple[str, datetime]


async def prune(store: Store, home: Path, config: Config | None, before: datetime) -> int:
    """Delete runs that ended before `before`, their attempts, events and logs; return how many rows went.

    `store` must hold the state (`acquire`). `home`: the state directory, below which the logs are. Without a
    configuration no join is coming, and the store's own rules alone hold.
    """
    logs = await _logs_of_old_runs(store, before)
    keep = await needed_by_joins(store, config) if config is not None else frozenset()
    deleted = await store.prune(before=before, keep=keep)
    # Logs go last: a crash in between leaves files that nobody names, never a run whose log is gone.
    for key, paths in logs.items():
        if await store.run(*key) is None:
            _delete(home, paths)
            _delete_state(home, run_name(*key))
    return deleted


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


async def _logs_of_old_runs(store: Store, before: datetime) -> dict[Key, list[str]]:
    logs: dict[Key, list[str]] = {}
    for job in await store.marks():
        async for row in _newest_first(store, job, until=before):
            if row.attempts and row.ended is not None and row.ended < before:
                logs[row.key] = [attempt.log for attempt in await store.attempts(*row.key)]
    return logs


def _delete(home: Path, paths: Sequence[str]) -> None:
    for path in filter(None, paths):
        (home / path).unlink(missing_ok=True)


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
