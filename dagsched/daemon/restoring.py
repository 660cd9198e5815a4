"""The store's rows back into a plan, after a start and whenever a plan had to be thrown away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from dagsched.config import load_texts
from dagsched.definition import from_json
from dagsched.engine import Plan
from dagsched.engine.joins import previous_by_schedule
from dagsched.engine.rates import Start
from dagsched.model import Attempt, Config, Dependency, Job, Match, Run, is_schedule_tick
from dagsched.stores.contract import Snapshot, Store

MILLISECOND = timedelta(milliseconds=1)
PAGE = 200
STAND_INS_MAX = 100
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Standing(NamedTuple):
    """Where a store stands. `config`: what is in force as version `number`, None and 0 before any was."""

    snapshot: Snapshot
    runs: Sequence[Run]
    config: Config | None
    number: int
    definitions: Mapping[str, Job]
    starts: Sequence[Start]
    now: datetime

    def plan(self, *, slots: int | None, once: bool = False) -> Plan:
        """Return a new plan that stands there."""
        plan = Plan(slots, once=once)
        plan.restore(
            runs=self.runs,
            attempts=self.snapshot.attempts,
            marks=self.snapshot.marks,
            last_event=self.snapshot.last_event,
            last_seen=self.snapshot.last_seen,
            config=self.config,
            config_number=self.number,
            definitions=self.definitions,
            starts=self.starts,
            emissions=self.snapshot.emissions,
            backfills=self.snapshot.backfills,
            last_backfill=self.snapshot.last_backfill,
            now=self.now,
        )
        return plan


async def restored(
    store: Store, new: Config, now: datetime, *, slots: int | None, once: bool = False
) -> tuple[Plan, Snapshot]:
    """Return a plan that stands where the store stands, and the snapshot it was made from.

    The plan has the stored configuration in force. If this program can no longer read that one (it was written
    by another version), `new` takes its place, so that at least unchanged ids keep their ticks.
    """
    last = next(iter(await store.configs(limit=1)), None)
    config = new
    if last is not None and last.digest != new.digest:
        config = load_texts(last.files, now).config or new
    found = await standing(store, config if last is not None else None, last.number if last else 0, new, now)
    return found.plan(slots=slots, once=once), found.snapshot


async def standing(store: Store, config: Config | None, number: int, new: Config, now: datetime) -> Standing:
    """Return where the store stands with `config` in force; with it are the rows that `new` will need too."""
    configs = (config, new) if config is not None else (new,)
    snapshot = await store.snapshot(await _horizons(store, now, *configs))
    hidden = await _newest_visible(store, snapshot.runs)
    definitions = await _definitions(store, snapshot.attempts)
    starts = await _starts(store, now, *configs)
    return Standing(snapshot, [*snapshot.runs, *hidden], config, number, definitions, starts, now)


async def rows_for_edit(store: Store, plan: Plan, new: Config, now: datetime) -> tuple[Run, ...]:
    """Return the rows that edges which `new` adds are judged by.

    A waiting run binds to an added upstream's tick up to its own, a `match: all` counts back to the job's previous
    schedule tick, and none of those rows, that tick's own among them, need have been in memory so far.
    """
    found: dict[tuple[str, datetime], Run] = {}
    old = plan.book.jobs
    for job in new.jobs.values():
        known = old.get(job.id)
        if known is job:
            continue
        added = [edge for edge in job.depends_on if known is None or edge not in known.depends_on]
        for edge in added:
            found.update({row.key: row for row in await _rows_of_edge(store, plan, job, edge, now)})
    return tuple(found.values())


async def starts_for_edit(store: Store, plan: Plan, new: Config, now: datetime) -> tuple[Start, ...]:
    """Return the starts that count for rate limits which `new` makes or changes; the plan knows the others."""
    book = plan.book
    jobs = {
        id: job
        for id, job in new.jobs.items()
        if job.rate_limit is not None and (id not in book.jobs or book.jobs[id].rate_limit != job.rate_limit)
    }
    rates = {name: limit for name, limit in new.pool_rates.items() if book.pool_rates.get(name) != limit}
    return await _starts(store, now, Config(jobs, pool_rates=rates))


async def _starts(store: Store, now: datetime, *configs: Config) -> tuple[Start, ...]:
    """Return the starts that the rate limits of these configurations still count, oldest first."""
    limits = [job.rate_limit for config in configs for job in config.jobs.values() if job.rate_limit is not None]
    limits += [limit for config in configs for limit in config.pool_rates.values()]
    if not limits:
        return ()
    attempts = await store.started_since(now - max(limit.per for limit in limits))
    pools = {name for config in configs for name in config.pool_rates}
    jobs = {id for config in configs for id, job in config.jobs.items() if job.rate_limit is not None}
    # A pool counts what took a slot of it then, wherever the job is now.
    then = await _definitions(store, attempts) if pools else {}
    found = []
    for attempt in attempts:
        job = then.get(attempt.definition)
        pool = (job.pool if job is not None else None) or ""
        start = Start(attempt.job if attempt.job in jobs else "", pool if pool in pools else "", attempt.started)
        if start.job or start.pool:
            found.append(start)
    return tuple(sorted(found, key=lambda start: start.at))


async def _rows_of_edge(store: Store, plan: Plan, job: Job, edge: Dependency, now: datetime) -> list[Run]:
    if edge.match is Match.ALL:
        opened = await _window_opens(store, job, now)
        return [row for id in (edge.job, job.id) for row in await store.rows(id, after=opened)]
    rows: list[Run] = []
    for run in plan.book.ledger.live(job.id):
        row = await store.run(edge.job, run.tick)
        rows += [row] if row is not None else await store.rows(edge.job, until=run.tick, limit=1)
    return rows


async def _definitions(store: Store, attempts: Sequence[Attempt]) -> Mapping[str, Job]:
    """Return the jobs as they were when the open attempts started, by hash; one nobody can read is left out."""
    found: dict[str, Job] = {}
    for digest in {attempt.definition for attempt in attempts}:
        stored = await store.definition(digest)
        if stored is not None:
            found[digest] = from_json(stored)
    return found


async def _horizons(store: Store, now: datetime, *configs: Config) -> Mapping[str, datetime]:
    """Return from which instant on rows are needed: a `match: all` counts back to its own previous tick."""
    found: dict[str, datetime] = {}
    for config in configs:
        for job in config.jobs.values():
            counted = [edge.job for edge in job.depends_on if edge.match is Match.ALL]
            if not counted:
                continue
            opened = await _window_opens(store, job, now)
            for name in (*counted, job.id):
                found[name] = min(opened, found.get(name, opened))
    return found


async def _window_opens(store: Store, job: Job, now: datetime) -> datetime:
    """Return an instant after which lies all that the job's next `match: all` counts."""
    previous = await _newest_schedule_tick(store, job.id) or previous_by_schedule(job, now + MILLISECOND)
    return previous - MILLISECOND if previous else EPOCH


async def _newest_schedule_tick(store: Store, job: str) -> datetime | None:
    until: datetime | None = None
    while True:
        page = await store.rows(job, until=until, limit=PAGE)
        for row in page:
            if is_schedule_tick(row.tick):
                return row.tick
        if len(page) < PAGE:
            return None
        until = page[-1].tick - MILLISECOND


async def _newest_visible(store: Store, runs: Sequence[Run]) -> list[Run]:
    """Return the row behind each job's newest one where that was made by `trigger --only`: joins do not see it."""
    newest: dict[str, Run] = {}
    for run in runs:
        if run.job not in newest or newest[run.job].tick < run.tick:
            newest[run.job] = run
    found = []
    for job, run in newest.items():
        until = run.tick
        while run.only:
            page = await store.rows(job, until=until - MILLISECOND, limit=PAGE)
            visible = next((row for row in page if not row.only), None)
            if visible is not None:
                found += [visible, *await _stand_ins(store, visible)]
            if visible is not None or len(page) < PAGE:
                break
            until = page[-1].tick
    return found


async def _stand_ins(store: Store, row: Run) -> list[Run]:
    """Return the run that stands in for a left-out row, and what stands in for that one."""
    found: list[Run] = []
    while row.stand_in is not None and len(found) < STAND_INS_MAX:
        after = await store.run(row.job, row.stand_in)
        if after is None:
            break
        found.append(after)
        row = after
    return found
