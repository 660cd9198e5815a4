"""What the ledger says of the ticks that a backfill is to make: before it begins, and slice by slice while it goes on.

`survey` is the dry run: what would become of each tick, counted, from the store alone. `rows_for_want` is what a plan
needs of history for its next ticks: their own rows, and for those that it will run the upstream runs they are joined
with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from dagsched.engine.events import Want
from dagsched.engine.filling import has_ticks, is_wanted, ticks_of
from dagsched.engine.joins import previous_by_schedule
from dagsched.errors import Refused
from dagsched.graph import Graph
from dagsched.model import Again, Config, Job, Match, Run, format_instant, is_schedule_tick
from dagsched.stores.contract import Store
from dagsched.stores.needed import last_tick

TICKS_MAX = 100_000
PAGE = 500
MILLISECOND = timedelta(milliseconds=1)
Key = tuple[str, datetime]


@dataclass(slots=True)
class Survey:
    """What would become of the ticks of one job, by the state their rows are in; `new` have none.

    `samples` are the first ticks that would run.
    """

    job: str
    new: int = 0
    again: Counter[str] = field(default_factory=Counter)
    left: Counter[str] = field(default_factory=Counter)
    samples: list[datetime] = field(default_factory=list)

    @property
    def runs(self) -> int:
        """How many runs would be made or re-opened."""
        return self.new + self.again.total()

    def as_row(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "job": self.job, "runs": self.runs, "new": self.new, "again": dict(self.again),
            "left_alone": dict(self.left), "first_ticks": [format_instant(tick) for tick in self.samples],
        }  # fmt: skip


def ticks_asked_for(config: Config, job: str, first: datetime, last: datetime, now: datetime) -> list[datetime]:
    """Return the ticks of a job from `first` to `last`, both included; raises Refused for what cannot be backfilled.

    That is a job that gets no ticks by any schedule, an empty or a coming stretch, and more than TICKS_MAX ticks.
    """
    graph = Graph(config.jobs)
    if not has_ticks(config.jobs, graph, job):
        raise Refused(f"{job} has no schedule, nor has anything it waits for; run it with: dagsched trigger {job}")
    coming = next(ticks_of(config.jobs, graph, job, max(now, first - MILLISECOND), last), None)
    if coming is not None:
        raise Refused(
            f"{job} has ticks that are still to come, the next at {format_instant(coming)}: its schedule makes those; "
            f"let the backfill end at {format_instant(now)} or before"
        )
    found = list(islice(ticks_of(config.jobs, graph, job, first - MILLISECOND, last), TICKS_MAX + 1))
    if not found:
        raise Refused(f"{job} has no tick from {format_instant(first)} to {format_instant(last)}")
    if len(found) > TICKS_MAX:
        raise Refused(
            f"{job} has more than {TICKS_MAX:,} ticks from {format_instant(first)} to {format_instant(last)}; "
            f"the first {TICKS_MAX:,} end at {format_instant(found[-2])}: backfill a part at a time"
        )
    return found


def jobs_asked_for(config: Config, job: str, *, downstream: bool) -> list[str]:
    """Return the jobs that a backfill makes ticks of: `job`, and its unscheduled descendants if asked for."""
    found = [job]
    if downstream:
        reached, graph = {job}, Graph(config.jobs)
        for id in graph.descendants(job):
            if config.jobs[id].schedule is None and reached.intersection(graph.upstream[id]):
                reached.add(id)
                found.append(id)
    return found


async def surveys(
    store: Store, config: Config, job: str, ticks: list[datetime], again: Again, *, downstream: bool
) -> list[Survey]:
    """Return what would become of these ticks of each job that a backfill makes them of."""
    jobs = jobs_asked_for(config, job, downstream=downstream)
    return [await survey(store, each, ticks, again) for each in jobs]


async def survey(store: Store, job: str, ticks: list[datetime], again: Again) -> Survey:
    """Return what would become of these ticks of a job, oldest first and at least one, by the rows they have now."""
    found = Survey(job)
    rows = _rows_over(store, job, ticks[0], ticks[-1])
    row = await anext(rows, None)
    for tick in ticks:
        while row is not None and last_tick(row) < tick:
            row = await anext(rows, None)
        at = row if row is not None and row.tick <= tick else None
        if not is_wanted(at, again):
            assert at is not None, "a tick without a row is always wanted"
            found.left[str(at.state)] += 1
            continue
        if at is None:
            found.new += 1
        else:
            found.again[str(at.state)] += 1
        if len(found.samples) < 5:
            found.samples.append(tick)
    return found


async def _rows_over(store: Store, job: str, first: datetime, last: datetime) -> AsyncIterator[Run]:
    """Yield the job's rows of schedule ticks that reach into [first, last], a page at a time, oldest first."""
    after = first - MILLISECOND
    while True:
        page = await store.rows(job, after=after, until=last, newest_first=False, limit=PAGE)
        for row in page:
            if is_schedule_tick(row.tick):
                yield row
        if len(page) < PAGE:
            break
        after = last_tick(page[-1])
    beyond = await store.run(job, last)
    if beyond is not None and last_tick(beyond) > last:
        yield beyond


# ---------------------------------------------------------------- a slice


async def rows_for_want(store: Store, jobs: Mapping[str, Job], want: Want, again: Again) -> tuple[Run, ...]:
    """Return the rows that a plan needs of history to make these ticks."""
    found: dict[Key, Run] = {}
    if not want.ticks:
        return ()
    first, last = min(want.ticks), max(want.ticks)
    for id in want.jobs:
        rows = [row async for row in _rows_over(store, id, first, last)]
        for tick, row in _by_tick(rows, sorted(want.ticks)):
            if row is not None:
                found[row.key] = row
            if is_wanted(row, again):
                await add_upstreams(store, jobs, id, row, tick, found, past=True)
    return tuple(found.values())


def _by_tick(rows: list[Run], ticks: list[datetime]) -> Iterator[tuple[datetime, Run | None]]:
    exact = {row.tick: row for row in rows if row.until is None}
    ranges = [row for row in rows if row.until is not None]
    for tick in ticks:
        over = (row for row in ranges if row.tick <= tick <= last_tick(row))
        yield tick, exact.get(tick) or next(over, None)


async def add_upstreams(
    store: Store,
    jobs: Mapping[str, Job],
    id: str,
    row: Run | None,
    tick: datetime,
    found: dict[Key, Run],
    *,
    past: bool = False,
) -> None:
    """Add the upstream rows that (`id`, `tick`) is judged against, and those that stand in for them.

    `row`: its own, if it has one. `past`: its links may have to be made anew, windows of `match: all` included.
    """
    wanted = [(link.job, link.tick) for link in row.links if link.tick is not None] if row is not None else []
    if not wanted or past:
        for edge in jobs[id].depends_on:
            newest = await _newest_seen(store, edge.job, tick)
            wanted += [(edge.job, tick), *((edge.job, each.tick) for each in newest)]
            if past and edge.match is Match.ALL:
                opened = previous_by_schedule(jobs[id], tick)
                window = await store.rows(edge.job, after=opened, until=tick) if opened is not None else ()
                found.update({each.key: each for each in window})
                wanted += [each.key for each in window]
    for job, at in wanted:
        upstream = found.get((job, at)) or await store.run(job, at)
        while upstream is not None:
            is_known = upstream.key in found
            found[upstream.key] = upstream
            if upstream.stand_in is None or (is_known and (job, upstream.stand_in) in found):
                break
            upstream = await store.run(job, upstream.stand_in)


async def _newest_seen(store: Store, job: str, until: datetime) -> list[Run]:
    """Return the job's newest row up to an instant that joins see, if there is one."""
    page = await store.rows(job, until=until, limit=1)
    while page and all(row.only for row in page):
        page = await store.rows(job, until=page[-1].tick - MILLISECOND, limit=PAGE)
    return [row for row in page if not row.only][:1]
