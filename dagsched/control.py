"""The verbs: what a person may ask of a running daemon, whichever way they ask.

Each verb reads what the plan may have forgotten, gives the loop one event, and answers once that is durable.
Verbs that were left in the store's inbox while no daemon ran are carried out at its start, in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from jsonschema import Draft202012Validator

from dagsched.backfill import add_upstreams, ticks_asked_for
from dagsched.engine import events
from dagsched.engine.commands import Command, RecordEvent
from dagsched.engine.why import Answer, blocking, explain_no_row, explain_run
from dagsched.errors import Refused, Unknown
from dagsched.graph import Graph
from dagsched.model import (
    Again,
    Config,
    Job,
    Run,
    format_instant,
    parse_instant,
    parse_run_name,
    run_name,
)
from dagsched.retention import keep_house, prune
from dagsched.stores.contract import Store

if TYPE_CHECKING:
    from dagsched.daemon import Daemon

log = logging.getLogger("dagsched.control")

MILLISECOND = timedelta(milliseconds=1)
ROWS_BELOW_MAX = 2000

Verb = Callable[["Control", Mapping[str, Any], int | None], Awaitable[Mapping[str, Any]]]


class Control:
    """The verbs of one running daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def do(self, verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry a verb out and return its answer, JSON-able; raises Refused or Unknown."""
        return await self._do(verb, body, None)

    async def take_requests(self) -> None:
        """Carry out what was left in the inbox; what is refused is told in the event log and dropped."""
        snapshot = await self._daemon.store.snapshot({})
        for request in snapshot.requests:
            try:
                if request.verb not in _REMEMBERED:
                    raise Refused(f"there is no verb {request.verb!r} that can be remembered")
                await self._do(request.verb, request.body, request.id)
            except Refused as error:
                words = f"{request.verb} of {format_instant(request.time)}: {error}"
                log.warning("a remembered command was refused: %s", words)
                await self._daemon.loop.ask(
                    partial(events.Noted, type="request.refused", reason=words), request=request.id
                )

    async def _do(self, verb: str, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        found = _VERBS.get(verb)
        if found is None:
            raise Refused(f"there is no verb {verb!r}; known are {', '.join(sorted(_VERBS))}")
        return await found(self, body, request)

    # ------------------------------------------------------------ verbs

    async def trigger(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Make a run now. Answer: `runs`, the names of what was made, and `blocked`, what keeps it from starting."""
        id, plan = _text(body, "job"), self._daemon.loop.plan
        job = plan.book.jobs.get(id)
        params = checked_params(job, body.get("params") or {}) if job else {}

        def make(now: datetime) -> events.Event:
            return events.TriggerRequested(now, id, params, _flag(body, "with_upstream"), _flag(body, "only"))

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            return _made(self._daemon, id, commands)

        return dict(await self._daemon.loop.ask(make, answer, request))

    async def cancel(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """End a run: at once if it has not started, else its attempt gets TERM, and KILL after the grace."""
        name = self._run_name(body)
        await self._daemon.loop.ask(lambda now: events.CancelRequested(now, name), request=request)
        return {"run": name}

    async def rerun(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Try a run again that is over, and what its failure had stopped."""
        name = self._run_name(body)
        downstream = _flag(body, "downstream")
        with self._daemon.loop.plan.keeping_rows():
            rows = await rows_for_rerun(self._daemon.store, self._daemon.config, name)
            await self._daemon.loop.ask(lambda now: events.RerunRequested(now, name, downstream, rows), request=request)
        return {"run": name}

    async def backfill(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Run a stretch of ticks of a job. Answer: `id` of the backfill that is under way, and its `total` of ticks."""
        id, daemon = _text(body, "job"), self._daemon
        first, last = _instant(body, "first"), _instant(body, "last")
        job, config = daemon.loop.plan.book.jobs.get(id), daemon.config
        if job is None:
            raise Unknown("job", id, get_close_matches(id, list(config.jobs), 3))
        asked: dict[str, Any] = {
            "newest_first": _flag(body, "newest_first"), "downstream": _flag(body, "downstream"),
            "max_active": _number(body, "max_active"), "again": _again(body),
            "params": checked_params(job, body.get("params") or {}, is_partial=True),
        }  # fmt: skip
        # Counting through years of ticks takes longer than others can wait.
        ticks = await asyncio.to_thread(ticks_asked_for, config, id, first, last, daemon.clock.now())

        def make(now: datetime) -> events.Event:
            return events.BackfillRequested(now, id, first, last, len(ticks), **asked)

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            filling = daemon.loop.plan.filling
            under_way = filling.active_on(id)
            return {"id": under_way.id if under_way else filling.last_id, "job": id, "total": len(ticks)}

        return dict(await daemon.loop.ask(make, answer, request))

    async def backfill_cancel(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """End a backfill: nothing more of it is made, and what has not started is cancelled."""
        id = _number(body, "id")
        await self._daemon.loop.ask(lambda now: events.BackfillCancelRequested(now, id), request=request)
        return {"id": id}

    async def pause(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Have a job's ticks skipped from now on."""
        id = _text(body, "job")
        await self._daemon.loop.ask(lambda now: events.PauseRequested(now, id), request=request)
        return {"job": id}

    async def resume(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Have a paused job go on."""
        id = _text(body, "job")
        await self._daemon.loop.ask(lambda now: events.ResumeRequested(now, id), request=request)
        return {"job": id}

    async def ack(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Say that a failed run was seen: it is no dead letter any more."""
        name = self._run_name(body)
        with self._daemon.loop.plan.keeping_rows():
            row = await self._daemon.store.run(*parse_run_name(name))
            rows = (row,) if row is not None else ()
            await self._daemon.loop.ask(lambda now: events.AckRequested(now, name, rows), request=request)
        return {"run": name}

    async def stop(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """End the daemon; `handover` leaves running attempts to the spawner, for the next daemon to adopt."""
        handover = _flag(body, "handover")
        self._daemon.stop(handover=handover)
        return {"pid": os.getpid(), "handover": handover}

    async def reload(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Read the job files again. Answer: `applied`, the configuration's `number`, and `problems`."""
        applied = await self._daemon.reload()
        return {"applied": applied, "number": self._daemon.number, "problems": self._problems()}

    async def prune(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Delete runs that ended before `before`, with attempts, events and logs. Answer: `deleted`, their number."""
        before, daemon, dry_run = _instant(body, "before"), self._daemon, _flag(body, "dry_run")
        return {"deleted": await prune(daemon.store, daemon.state_dir, daemon.config, before, dry_run=dry_run)}

    async def retention(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Delete the runs that the job files' `keep` gives up. Answer: `deleted`, their number."""
        daemon, dry_run = self._daemon, _flag(body, "dry_run")
        now = daemon.clock.now()
        return {"deleted": await keep_house(daemon.store, daemon.state_dir, daemon.config, now, dry_run=dry_run)}

    async def rollup(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Work out the figures of all days that are over. Answer: `days`, of how many they have changed."""
        return {"days": await self._daemon.store.rollup(before=self._daemon.clock.now())}

    async def compact(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Give unused space back to the disk. Answer: bytes in use `before` and `after`, and `freed`."""
        before, after = await self._daemon.store.compact()
        return {"before": before, "after": after, "freed": max(0, before - after)}

    async def status(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Tell how the daemon is."""
        daemon, plan = self._daemon, self._daemon.loop.plan
        wake = plan.wake_at()
        return {
            "pid": os.getpid(),
            "since": format_instant(daemon.started),
            "config": daemon.number,
            "problems": self._problems(),
            "reverted": list(daemon.job_files.reverted) if daemon.job_files else [],
            "health": daemon.loop.health.trouble or "ok",
            "stopping": daemon.is_stopping,
            "slots": plan.seats.slots_max,
            "running": [run.name for run in plan.running()],
            "next": format_instant(wake) if wake else None,
        }

    def _problems(self) -> list[dict[str, Any]]:
        files = self._daemon.job_files
        return files.problem_rows() if files is not None else []

    def _run_name(self, body: Mapping[str, Any]) -> str:
        name = _text(body, "run")
        try:
            job, tick = parse_run_name(name)
        except ValueError as error:
            raise Refused(str(error)) from None
        return run_name(job, tick)


_VERBS: Mapping[str, Verb] = {
    "trigger": Control.trigger,
    "cancel": Control.cancel,
    "rerun": Control.rerun,
    "backfill": Control.backfill,
    "backfill_cancel": Control.backfill_cancel,
    "pause": Control.pause,
    "resume": Control.resume,
    "ack": Control.ack,
    "stop": Control.stop,
    "reload": Control.reload,
    "prune": Control.prune,
    "retention": Control.retention,
    "rollup": Control.rollup,
    "compact": Control.compact,
    "status": Control.status,
}

# The others answer about a running daemon, and nothing takes them out of the inbox.
_REMEMBERED = frozenset({"trigger", "cancel", "rerun", "backfill", "backfill_cancel", "pause", "resume", "ack"})


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not value:
        raise Refused(f"this verb needs {key!r}")
    # A lone surrogate is text in JSON and in no file: no job or run can have it in its name.
    if any("\ud800" <= letter <= "\udfff" for letter in value):
        raise Refused(f"{key!r} is no text: {value!r}")
    return value


def _flag(body: Mapping[str, Any], key: str) -> bool:
    value = body.get(key, False)
    if not isinstance(value, bool):
        raise Refused(f"{key!r} is true or false")
    return value


def _number(body: Mapping[str, Any], key: str) -> int:
    value = body.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 1 << 31:
        raise Refused(f"{key!r} is a whole number of at least 1")
    return value


def _instant(body: Mapping[str, Any], key: str) -> datetime:
    try:
        return parse_instant(_text(body, key))
    except ValueError as error:
        raise Refused(f"{key!r} is no instant: {error}") from None


def _again(body: Mapping[str, Any]) -> Again:
    try:
        return Again(body.get("again", "gaps"))
    except ValueError:
        raise Refused(f"'again' is one of {', '.join(Again)}") from None


def checked_params(job: Job, given: object, *, is_partial: bool = False) -> Mapping[str, Any]:
    """Return the parameters of a manual run; raises Refused when they are not as the job declares them.

    `is_partial`: those without a default may be missing, as they are in runs that a schedule makes.
    """
    if not isinstance(given, Mapping):
        raise Refused("'params' is an object: a value by the name of each parameter")
    for name, value in given.items():
        param = job.params.get(name)
        if param is None:
            known = ", ".join(job.params) or "none"
            raise Refused(f"{job.id} has no parameter {name!r}; it declares {known}")
        error = next(Draft202012Validator(dict(param.schema)).iter_errors(value), None)
        if error is not None:
            raise Refused(f"parameter {name!r} of {job.id}: {error.message}")
    missing = [name for name, param in job.params.items() if param.default is None and name not in given]
    if missing and not is_partial:
        raise Refused(f"{job.id} needs a value for parameter {missing[0]!r}: --param {missing[0]}=…")
    return dict(given)


def _made(daemon: Daemon, job: str, commands: Sequence[Command]) -> Mapping[str, Any]:
    made = [
        command.row
        for command in commands
        if isinstance(command, RecordEvent) and command.row.tick and command.row.type in _BIRTHS
    ]
    ticks = [row.tick for row in made if row.job == job and row.tick]
    names = [run_name(row.job, row.tick) for row in made if row.tick in ticks[-1:]]
    blocked = []
    for tick in ticks[-1:]:
        run = daemon.loop.plan.book.ledger.get((job, tick))
        if run is not None and not run.state.is_terminal:
            words = blocking(daemon.loop.plan, run)
            blocked += [f"{run.name}: {words}"] if words else []
        elif run is not None:
            blocked.append(f"{run.name} is {run.state}: {run.reason}")
    return {"runs": names, "blocked": blocked}


_BIRTHS = frozenset({"run.created", "run.skipped", "run.missed"})


def _held_for(daemon: Mapping[str, Any] | None) -> str:
    """Return why nothing starts at present, whatever run it is; empty when there is no such reason."""
    if daemon is None:
        return "no daemon is running"
    if daemon["stopping"]:
        return "the daemon is stopping"
    return "" if daemon["health"] == "ok" else f"the state cannot be written: {daemon['health']}"


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
    from dagsched.daemon.restoring import restored

    plan, _ = await restored(store, config or Config({}), now, slots=daemon["slots"] if daemon else None)
    # As a daemon's next turn would: what is queued takes its seat and its place in its pool's line.
    plan.seats.admit()
    plan.seats.held_for = _held_for(daemon)
    known = plan.book.jobs.get(job) or (config.jobs.get(job) if config else None)
    row = await store.run(job, tick) if tick else next(iter(await store.rows(job, limit=1)), None)
    if row is not None:
        at = tick or row.tick
        return explain_run(plan, plan.book.ledger.get(row.key) or row, at, await store.attempts(row.job, row.tick))
    if known is None:
        raise Unknown("job", job)
    if tick is None:
        upcoming = plan.ticks.next_of(job)
        if upcoming is None:
            words = f"{job} has never had a tick, and none is to come by a schedule"
            return Answer([words], {"job": job, "tick": None, "state": None, "reason": words})
        tick = upcoming
    return explain_no_row(plan, known, tick, now)
