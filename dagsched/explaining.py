"""`why`: the engine's answer, with what only the store knows: earlier configurations, attempts, how long jobs take."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from dagsched.closest import get_close_matches
from dagsched.conditions import parse
from dagsched.config import load_texts
from dagsched.daemon.restoring import restored
from dagsched.engine import Plan
from dagsched.engine.why import Answer, Then, explain_no_row, explain_run
from dagsched.errors import Unknown
from dagsched.model import (
    EMPTY,
    Config,
    ConfigVersion,
    Job,
    Run,
    RunState,
    format_instant,
    format_length,
    is_schedule_tick,
)
from dagsched.rehearsal import Draws, Habit, with_open_conditions
from dagsched.stores.contract import Store
from dagsched.virtual import Virtual

MILLISECOND = timedelta(milliseconds=1)
STEPS_AHEAD_MAX = 3000
AHEAD_MAX = timedelta(days=8)
AFTERWARDS = timedelta(days=1)


async def why(
    store: Store,
    config: Config | None,
    job: str,
    tick: datetime | None,
    now: datetime,
    *,
    daemon: Mapping[str, Any] | None = None,
) -> Answer:
    """Explain a job's tick, its newest without one, from the store; `daemon` is a running one's `status`, None if none.

    Raises Unknown when neither the configuration nor the state knows the job.
    """
    plan, _ = await restored(store, config or Config({}), now, slots=daemon["slots"] if daemon else None)
    # As a daemon's next turn would: what is queued takes its seat and its place in its pool's line.
    plan.seats.admit()
    return await explain(store, plan, config, job, tick, now, held=held_for(daemon))


async def explain_open(
    store: Store, plan: Plan, config: Config, job: str, tick: datetime | None, now: datetime, *, held: str = ""
) -> Answer | None:
    """Explain a run that is not over by a running daemon's own plan; None for everything else."""
    row = await _row(store, job, tick)
    if row is None or row.state.is_terminal:
        return None
    return await explain(store, plan, config, job, tick, now, held=held)


async def explain(
    store: Store, plan: Plan, config: Config | None, job: str, tick: datetime | None, now: datetime, *, held: str = ""
) -> Answer:
    """Explain a tick by a plan, a running daemon's or one that stands where the store does; neither is changed.

    `held`: why nothing starts at all. Raises Unknown.
    """
    row = await _row(store, job, tick)
    known = plan.book.jobs.get(job) or (config.jobs.get(job) if config else None)
    if row is not None:
        at = tick or row.tick
        then = await _then(store, plan, job, row.created or row.ended or at, row.config)
        attempts = await store.attempts(row.job, row.tick)
        answer = explain_run(plan, plan.book.ledger.get(row.key) or row, at, attempts, then, held)
        if row.state is RunState.RUNNING and attempts and (handed := await store.handed(attempts[-1])):
            answer.lines.append(f"attempt {attempts[-1].number}: {handed.words}")
            answer.json["handed"] = {**handed._asdict(), "since": format_instant(handed.since)}
        return answer
    if tick is None:
        if known is None:
            raise _unknown(plan, job)
        tick = plan.ticks.next_of(job)
        if tick is None:
            listens = known.schedule.event if known.schedule else ()
            coming = f"the next comes on event {' or '.join(listens)}" if listens else "none is to come by a schedule"
            words = f"{job} has never had a tick, and {coming}"
            return Answer([words], {"run": None, "job": job, "tick": None, "state": None, "reason": words})
    then = await _then(store, plan, job, min(tick - MILLISECOND, now), 0)
    if tick > now and known is not None:
        then = Then(then.version, known, then.is_newest)
    told = known or then.job
    if told is None and job not in await store.marks():
        raise _unknown(plan, job)
    told = told or Job(job)  # gone from the files, and not in what was in force at the tick
    answer = explain_no_row(plan, told, tick, now, then)
    if answer.json["reason"] == "still to come":
        await _foretell(store, told, tick, now, answer)
    return answer


async def _row(store: Store, job: str, tick: datetime | None) -> Run | None:
    return await store.run(job, tick) if tick else next(iter(await store.rows(job, limit=1)), None)


def held_for(daemon: Mapping[str, Any] | None) -> str:
    """Return why nothing starts at present, whatever run it is; empty when there is no such reason."""
    if daemon is None:
        return "no daemon is running"
    if daemon["stopping"]:
        return "the daemon is stopping"
    return "" if daemon["health"] == "ok" else f"the state cannot be written: {daemon['health']}"


def _unknown(plan: Plan, job: str) -> Unknown:
    return Unknown("job", job, get_close_matches(job, list(plan.book.jobs), 3))


async def _then(store: Store, plan: Plan, job: str, at: datetime, number: int) -> Then:
    """Return what was in force at an instant; `number`: the configuration that a row names, 0 for none."""
    newest = next(iter(await store.configs(limit=1)), None)
    version = await _version(store, at, number, newest)
    if version is None:
        return Then(None, None, newest is None)
    if newest is not None and version.number == newest.number and plan.book.config_number == newest.number:
        return Then(version, plan.book.jobs.get(job))
    # A daemon that is asked goes on meanwhile.
    said = (await asyncio.to_thread(load_texts, version.files, version.applied)).config
    return Then(version, said.jobs.get(job) if said else None, newest is not None and version.number == newest.number)


async def _version(
    store: Store, at: datetime, number: int, newest: ConfigVersion | None
) -> ConfigVersion | None:
    if newest is not None and number == newest.number:
        return newest
    found = next(iter(await store.configs(limit=1, at=at)), None)
    if not number or (found is not None and found.number == number):
        return found
    # The wall clock was set back since, or the row was made in the very instant of an edit.
    return next((version for version in await store.configs() if version.number == number), None)


# ---------------------------------------------------------------- what is to come


async def _habits(store: Store, config: Config) -> dict[str, Habit]:
    """Return of each job that its attempts take the median of its newest ones, succeed, and put out what the last did.

    Outputs are read where a condition looks at them.
    """
    medians = {row["job"]: row["duration_p50_s"] or 0.0 for row in await store.statistics()}
    looked_at = {
        use.name for job in config.jobs.values() if job.when for use in parse(job.when).uses if use.kind == "output"
    }
    found = {}
    for id in config.jobs:
        rows = await store.rows(id, states=(RunState.SUCCESS,), limit=1) if id in looked_at else ()
        outputs = rows[0].outputs if rows else EMPTY
        found[id] = Habit((timedelta(seconds=medians.get(id, 0.0)),), outputs=outputs)
    return found


async def _foretell(store: Store, job: Job, tick: datetime, now: datetime, answer: Answer) -> None:
    """Add what becomes of a coming tick as things stand, if a few thousand steps of a virtual clock lead there."""
    run = await predicted(store, job, tick, now)
    if run is None:
        answer.json["predicted"] = None
        return
    starts = format_instant(run.started) if run.started else None
    answer.json["predicted"] = {"state": str(run.state), "reason": run.reason, "started": starts}
    if run.started is not None:
        lead = f"it starts at {starts}"
        late = run.started - tick
        late = timedelta(seconds=round(late.total_seconds()))
        lead += f", {format_length(late)} after its tick" if late else ""
    else:
        lead = f"it is {run.state}" + (f": {run.reason}" if run.reason else "")
    answer.lines.append(f"as things stand {lead} (if every attempt succeeds and takes as long as it usually does)")


async def predicted(store: Store, job: Job, tick: datetime, now: datetime) -> Run | None:
    """Return what the run of a coming tick comes to on a virtual clock, None if that is too far or too much to tell."""
    if tick - now > AHEAD_MAX or not is_schedule_tick(tick):
        return None
    version = next(iter(await store.configs(limit=1)), None)
    if version is None:
        return None
    plan, _ = await restored(store, Config({}), now, slots=None)
    book = plan.book
    config = Config(book.jobs, book.pools, pool_rates=book.pool_rates, calendars=book.calendars)
    if job.id not in config.jobs:
        return None
    habits = await _habits(store, config)
    config, _ = with_open_conditions(config, habits)
    virtual = Virtual.resumed(plan, config, now, behave=Draws(0, habits), keeps_events=False)
    for _ in range(STEPS_AHEAD_MAX):
        found = virtual.row(job.id, tick)
        if found is not None and (found.started is not None or found.state.is_terminal):
            return found
        if virtual.now > tick + AFTERWARDS or virtual.advance() is None:
            return found
    return None


