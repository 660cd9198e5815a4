"""The verbs: what a person may ask of a running daemon, whichever way they ask.

Each verb reads what the plan may have forgotten, gives the loop one event, and answers once that is durable.
Verbs that were left in the store's inbox while no daemon ran are carried out at its start, in order.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

from dagsched.backfill import add_upstreams, ticks_asked_for
from dagsched.engine import events
from dagsched.engine.commands import Command, RecordEvent
from dagsched.engine.verdicts import blocking
from dagsched.errors import Refused, Unknown
from dagsched.graph import Graph
from dagsched.handlers.params import checked_params, missing_params, params_from_event
from dagsched.model import (
    CALLED,
    Again,
    Config,
    Run,
    RunState,
    format_instant,
    parse_instant,
    parse_run_name,
    run_name,
)
from dagsched.retention import keep_house, prune
from dagsched.stores.contract import Store

if TYPE_CHECKING:
    from dagsched.daemon import Daemon
    from dagsched.engine import Plan

log = logging.getLogger("dagsched.control")

MILLISECOND = timedelta(milliseconds=1)
ROWS_BELOW_MAX = 2000
OUTCOME_PATIENCE_S = 20.0
CALLED_LOOKED_AT = 20
EVENT_NAME_MAX = 128
EVENT_ID_MAX = 256
# A run is told them in one environment variable, which the kernel lets have 128 KiB.
EVENT_DATA_BYTES_MAX = 64 * 1024
_EVENT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./:-]*")
BLOCKED_MAX = 500  # jobs of which `status` says what they wait for

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
        if job is not None and _flag(body, "with_upstream"):
            for above in plan.book.graph.ancestors(id):
                missing = missing_params(plan.book.jobs[above], {})
                if missing:
                    words = f"{above} needs a value for its parameter {missing[0]!r}"
                    raise Refused(f"{words}, which only `dagsched trigger {above} --param {missing[0]}=…` can give")

        def make(now: datetime) -> events.Event:
            return events.TriggerRequested(now, id, params, _flag(body, "with_upstream"), _flag(body, "only"))

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            return _made(self._daemon, id, commands)

        return dict(await self._daemon.loop.ask(make, answer, request))

    async def emit(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Say that an event has happened. Answer: `tick`, `jobs` that listen, `runs` and `blocked` as of a trigger.

        `repeated`: the same `id` was emitted before; then nothing is made.
        """
        name, id, data = checked_event(body)
        daemon = self._daemon

        def make(now: datetime) -> events.Event:
            plan = daemon.loop.plan
            params = {}
            if not id or (name, id) not in plan.book.emissions:
                params = {each: params_from_event(plan.book.jobs[each], data) for each in plan.ticks.listeners(name)}
            return events.EventEmitted(now, name, data, id, params)

        return dict(await daemon.loop.ask(make, lambda commands: _emitted(daemon, name, commands), request))

    async def call(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Make a run as a step of the run `caller`, a workflow. Answer: `run`, and `stopping` when it is being ended.

        One that an earlier attempt of the caller has made is the answer if it lives, or has succeeded.
        """
        id, caller = _text(body, "job"), self._run_name({"run": _text(body, "caller")})
        daemon, plan = self._daemon, self._daemon.loop.plan
        job = plan.book.jobs.get(id)
        params = checked_params(job, body.get("params") or {}) if job else {}
        waits, rows = _flag(body, "wait"), await called_by(daemon.store, caller)

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            calling = daemon.loop.plan.book.ledger.get(parse_run_name(caller))
            run = daemon.loop.plan.calls.known(calling, id, or_newest=True) if calling else None
            assert run is not None, "it was there, or has been made"
            return {"run": run.name, "stopping": bool(run.stopping)}

        return dict(
            await daemon.loop.ask(lambda now: events.RunCalled(now, id, caller, params, waits, rows), answer, request)
        )

    async def outcome(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Tell how a run stands once it is over, or as it is after a while: `state`, `reason`, `outputs`, `is_over`."""
        key = parse_run_name(self._run_name(body))
        loop = self._daemon.loop
        over = loop.watch(key)
        try:
            row = await self._daemon.store.run(*key)
            if row is not None and not row.state.is_terminal:
                with suppress(TimeoutError):
                    await asyncio.wait_for(over, OUTCOME_PATIENCE_S)
                row = await self._daemon.store.run(*key)
        finally:
            self._daemon.loop.unwatch(key, over)
        if row is None:
            raise Unknown("run", run_name(*key))
        told = {"reason": row.reason, "outputs": dict(row.outputs), "is_over": row.state.is_terminal}
        return {"run": row.name, "state": str(row.state), **told}

    async def do_call(self, verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry out what a workflow asks for, and no other verb."""
        if verb not in ("call", "outcome"):
            raise Refused(f"`dagsched run --once` takes no command to {verb}")
        return await self._do(verb, body, None)

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
            "commits": daemon.loop.commits.as_json(),
            "running": [run.name for run in plan.running()],
            "next": format_instant(wake) if wake else None,
            "blocked": _waited_for(plan),
        }

    async def why(self, body: Mapping[str, Any], request: int | None) -> Mapping[str, Any]:
        """Explain a run that is open, a job's newest without a tick. Answer: `lines` for people, `json` with the facts.

        Of everything else no more is known here than is stored, and whoever asks can read that: both are empty then.
        """
        from dagsched.explaining import explain_open, held_for

        daemon, given = self._daemon, body.get("tick")
        try:
            tick = parse_instant(given) if isinstance(given, str) else None
        except ValueError as error:
            raise Refused(f"'tick' is no instant: {error}") from None
        held = held_for({"stopping": daemon.is_stopping, "health": daemon.loop.health.trouble or "ok"})
        now = daemon.clock.now()
        plan, config = daemon.loop.plan, daemon.config
        found = await explain_open(daemon.store, plan, config, _text(body, "job"), tick, now, held=held)
        return {"lines": found.lines, "json": found.json} if found is not None else {"lines": [], "json": {}}

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
    "emit": Control.emit,
    "call": Control.call,
    "outcome": Control.outcome,
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
    "why": Control.why,
}

# The others answer about a running daemon, and nothing takes them out of the inbox.
_REMEMBERED = frozenset({"trigger", "emit", "cancel", "rerun", "backfill", "backfill_cancel", "pause", "resume", "ack"})


def _waited_for(plan: Plan) -> dict[str, str]:
    """Return what keeps each job's oldest run that is not under way from going on, of BLOCKED_MAX jobs at most."""
    found: dict[str, str] = {}
    seen: set[str] = set()
    for run in plan.book.ledger.all_live():
        if run.job in seen or run.state is RunState.RUNNING or run.job not in plan.book.jobs:
            continue
        seen.add(run.job)
        found[run.name] = blocking(plan, run)
        if len(found) >= BLOCKED_MAX:
            break
    return found


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


def checked_event(body: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    """Return name, id ("" for none) and data of an event to be emitted; raises Refused when it cannot be one."""
    name, id, data = _text(body, "event"), body.get("id", ""), body.get("data") or {}
    if len(name) > EVENT_NAME_MAX or not _EVENT_NAME.fullmatch(name):
        raise Refused(
            f"{name[:60]!r} is no name of an event: letters, digits and _ . / : - are, at most {EVENT_NAME_MAX} of them"
        )
    if not isinstance(id, str) or len(id) > EVENT_ID_MAX:
        raise Refused(f"the id of an event is text of at most {EVENT_ID_MAX} characters")
    if not isinstance(data, Mapping):
        raise Refused("the data of an event are an object: a value by name")
    try:
        size = len(json.dumps(data, ensure_ascii=False).encode())
    except UnicodeEncodeError:
        raise Refused("the data of the event are no text") from None
    if size > EVENT_DATA_BYTES_MAX:
        most = f"at most {EVENT_DATA_BYTES_MAX:,} reach a run, so say where they are"
        raise Refused(f"the data are {size:,} bytes as JSON; {most}")
    return name, id, data


def _emitted(daemon: Daemon, event: str, commands: Sequence[Command]) -> Mapping[str, Any]:
    rows = [command.row for command in commands if isinstance(command, RecordEvent)]
    told = next(row for row in rows if row.type in ("event.emitted", "event.repeated"))
    if told.type == "event.repeated":
        return {"event": event, "repeated": True, "jobs": [], "runs": [], "blocked": []}
    jobs = told.detail["jobs"]
    made = [row for row in rows if row.seq > told.seq and row.tick and row.type in _BIRTHS and row.tick.microsecond]
    blocked = [words for row in made if row.job in jobs and row.tick for words in _held_back(daemon, row.job, row.tick)]
    runs = [run_name(row.job, row.tick) for row in made if row.tick]
    return {"event": event, "repeated": False, "jobs": jobs, "runs": runs, "blocked": blocked}


def _made(daemon: Daemon, job: str, commands: Sequence[Command]) -> Mapping[str, Any]:
    made = [
        command.row
        for command in commands
        if isinstance(command, RecordEvent) and command.row.tick and command.row.type in _BIRTHS
    ]
    ticks = [row.tick for row in made if row.job == job and row.tick]
    names = [run_name(row.job, row.tick) for row in made if row.tick in ticks[-1:]]
    blocked = [words for tick in ticks[-1:] for words in _held_back(daemon, job, tick)]
    return {"runs": names, "blocked": blocked}


def _held_back(daemon: Daemon, job: str, tick: datetime) -> list[str]:
    """Return what keeps a run that was just made from starting, in at most one sentence."""
    run = daemon.loop.plan.book.ledger.get((job, tick))
    if run is None:
        return []
    if run.state.is_terminal:
        return [f"{run.name} is {run.state}: {run.reason}"]
    words = blocking(daemon.loop.plan, run)
    return [f"{run.name}: {words}"] if words else []


_BIRTHS = frozenset({"run.created", "run.skipped", "run.missed"})


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


