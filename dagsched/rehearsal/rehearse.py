"""Lets the coming days happen: what was before them, the days, and the end of what they began."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from dagsched.engine import Plan
from dagsched.engine.ledger import Key
from dagsched.graph import Graph
from dagsched.model import Attempt, Config, Job, JobMark, Origin, Run, RunState
from dagsched.rehearsal.waits import Waits
from dagsched.triggers import trigger_of
from dagsched.virtual import Behave, Virtual

MILLISECOND = timedelta(milliseconds=1)
# What runs at the end of the last day may go on that long.
AFTERWARDS = timedelta(days=1)
LOOK_BACK = timedelta(days=400)
EARLIEST = datetime(1970, 1, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What happened to the ticks from `start` to before `until`, and to the runs that were under way at `start`.

    `rows` in order of tick, then job. `is_over`: every run came to its end within `AFTERWARDS`. `went_on`: it began
    with the state of a daemon; else every schedule's last tick before `start` was taken for a success. `known`: up to
    which tick a row had been written before.
    """

    config: Config
    start: datetime
    until: datetime
    slots: int | None
    went_on: bool
    known: Mapping[Key, datetime]
    is_over: bool
    rows: list[Run]
    attempts: list[Attempt]
    waits: Waits
    virtual: Virtual


def rehearse(
    config: Config,
    start: datetime,
    until: datetime,
    behave: Behave,
    *,
    slots: int | None = None,
    plan: Plan | None = None,
) -> Rehearsed:
    """Return what happens from `start` to before `until`, and to the end of what began by then.

    `plan`, which is used up, holds what a daemon's state was restored to; `slots` is then the plan's to know.
    """
    known = _known(plan) if plan is not None else {}
    virtual = _virtual(config, start, behave, slots, plan)
    if plan is None:
        known = _known(virtual.plan)
    waits = Waits(virtual)
    virtual.on_commands = waits.look
    last = until - MILLISECOND
    virtual.run_until(last)
    while _is_under_way(virtual, last) and virtual.now < until + AFTERWARDS:
        if virtual.advance() is None:
            break
    rows = [run for run in virtual.rows() if run.tick <= last and not _is_known(run, known)]
    # Ticks after the end are made while the last runs end, and are no part of it.
    attempts = [attempt for run in rows for attempt in virtual.attempts(*run.key)]
    is_over = not _is_under_way(virtual, last)
    limit = virtual.plan.seats.slots_max
    return Rehearsed(config, start, until, limit, plan is not None, known, is_over, rows, attempts, waits, virtual)


def _known(plan: Plan) -> dict[Key, datetime]:
    """Return the rows that are there before anything happens, each with its last tick; those still live are not."""
    ledger, never = plan.book.ledger, datetime.max.replace(tzinfo=UTC)
    rows = (run for id in plan.book.jobs for run in ledger.between(id, None, never))
    return {run.key: run.until or run.tick for run in rows if run.state.is_terminal}


def _is_known(run: Run, known: Mapping[Key, datetime]) -> bool:
    return run.key in known and (run.until or run.tick) <= known[run.key]


def _virtual(config: Config, start: datetime, behave: Behave, slots: int | None, plan: Plan | None) -> Virtual:
    if plan is not None:
        return Virtual.resumed(plan, config, start, behave=behave, keeps_events=False)
    # A tick of the very start belongs to the days, so what watches was there just before it.
    before = start - MILLISECOND
    runs = list(_past(config, before))
    marks = [JobMark(id, before) for id in config.jobs]
    return Virtual(
        config, before, behave=behave, slots_max=slots, runs=runs, marks=marks, last_seen=before, in_force=config,
        config_number=1, keeps_events=False,
    )  # fmt: skip


def _past(config: Config, start: datetime) -> Iterator[Run]:
    """Yield a success for each job's last tick up to `start`, so that joins with earlier ticks find one."""
    graph = Graph(config.jobs)
    last: dict[str, datetime] = {}
    for id in graph.order:
        tick = _last_tick(config.jobs[id], start)
        if config.jobs[id].schedule is None:
            tick = max((last[above] for above in graph.upstream[id] if above in last), default=None)
        if tick is not None:
            last[id] = tick
            yield Run(
                id, tick, RunState.SUCCESS, origin=Origin.SCHEDULE, created=tick, ready=tick, started=tick, ended=tick,
                attempts=1, config=1,
            )  # fmt: skip


def _last_tick(job: Job, start: datetime) -> datetime | None:
    if job.schedule is None:
        return None
    trigger, width = trigger_of(job.schedule), timedelta(hours=1)
    earliest = max(EARLIEST, start - LOOK_BACK)
    while True:
        after = max(earliest, start - width)
        newest = max(trigger.ticks(after, start), default=None)
        if newest is not None or after == earliest:
            return newest
        width *= 4


def _is_under_way(virtual: Virtual, until: datetime) -> bool:
    return any(run.tick <= until for run in virtual.plan.book.ledger.all_live())


def ticks_in(rehearsed: Rehearsed) -> Counter[tuple[str, RunState, str]]:
    """Return how many ticks there were by (job, state, reason); a range row counts each tick in it."""
    found: Counter[tuple[str, RunState, str]] = Counter()
    for run in rehearsed.rows:
        count = 1
        if run.until is not None and run.job in rehearsed.config.jobs:
            last = min(run.until, rehearsed.until - MILLISECOND)
            after = rehearsed.known.get(run.key, run.tick - MILLISECOND)
            ticks = rehearsed.virtual.plan.ticks.ticks_between(run.job, after, last)
            count = max(1, len(ticks))
        found[run.job, run.state, run.reason] += count
    return found
