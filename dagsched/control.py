"""The verbs: what a person may ask of a running daemon, whichever way they ask.

Each verb reads what the plan may have forgotten, gives the loop one event, and answers once that is durable.
Verbs that were left in the store's inbox while no daemon ran are carried out at its start, in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, NamedTuple

from dagsched.asked import (
    again_of,
    checked_event,
    digest_of,
    flag_of,
    in_words,
    instant_of,
    number_of,
    text_of,
)
from dagsched.backfill import surveys, ticks_asked_for
from dagsched.closest import get_close_matches
from dagsched.engine import events
from dagsched.engine.commands import Command, RecordEvent
from dagsched.engine.verdicts import blocking
from dagsched.errors import DagschedError, Refused, Unknown
from dagsched.handlers.params import checked_params, missing_params, params_from_event
from dagsched.lookups import called_by, rows_for_rerun
from dagsched.model import (
    EMPTY,
    Run,
    RunState,
    format_instant,
    parse_instant,
    parse_run_name,
    run_name,
)
from dagsched.registering import register, unregister
from dagsched.retention import keep_house, prune

if TYPE_CHECKING:
    from dagsched.daemon import Daemon
    from dagsched.engine import Plan

log = logging.getLogger("dagsched.control")

OUTCOME_PATIENCE_S = 20.0
BLOCKED_MAX = 500  # runs of which `status` says what they wait for


class Also(NamedTuple):
    """What the commit that carries out a verb does besides.

    `request`: it takes this one out of the inbox. `keep`: it keeps the answer under this key, with a digest of what was
    asked.
    """

    request: int | None = None
    keep: tuple[str, str] | None = None


NOTHING = Also()
Verb = Callable[["Control", Mapping[str, Any], Also], Awaitable[Mapping[str, Any]]]


class Control:
    """The verbs of one running daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self._registering = asyncio.Lock()
        self._under_way: dict[str, asyncio.Event] = {}

    async def do(self, verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Carry a verb out and return its answer, JSON-able; raises Refused or Unknown.

        `by` in the body says on whose behalf another process asks (`who`, `role`, `id`): that goes into the event log,
        in the same commit as what is done or in an earlier one.
        """
        by = body.get("by")
        if not isinstance(by, Mapping):
            return await self._do(verb, body)
        words = f"{by.get('who')}: {in_words(verb, body)}"
        self._daemon.loop.tell(_audited(self._daemon.clock.now(), words, dict(by)))
        try:
            return await self._do(verb, body)
        except DagschedError as error:
            refused = f"{words}: refused: {error}"
            await self._daemon.loop.ask(lambda now: _audited(now, refused, dict(by)))
            raise

    async def take_requests(self) -> None:
        """Carry out what was left in the inbox; what is refused is told in the event log and dropped."""
        snapshot = await self._daemon.store.snapshot({})
        for request in snapshot.requests:
            try:
                if request.verb not in REMEMBERED:
                    raise Refused(f"there is no verb {request.verb!r} that can be remembered")
                await self._do(request.verb, request.body, Also(request.id))
            except Refused as error:
                words = f"{request.verb} of {format_instant(request.time)}: {error}"
                log.warning("a remembered command was refused: %s", words)
                await self._daemon.loop.ask(
                    partial(events.Noted, type="request.refused", reason=words), request=request.id
                )

    async def _do(self, verb: str, body: Mapping[str, Any], also: Also = NOTHING) -> Mapping[str, Any]:
        found = _VERBS.get(verb)
        if found is None:
            raise Refused(f"there is no verb {verb!r}; known are {', '.join(sorted(_VERBS))}")
        if verb in REMEMBERED and body.get("key") is not None:
            return await self._once(found, verb, body, also)
        return await found(self, body, also)

    async def _once(self, do: Verb, verb: str, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Do what a key stands for once: who asks again, even of a later daemon, gets the answer that was given."""
        subject = next((str(body[name]) for name in ("job", "run", "event", "id") if body.get(name)), "")
        keep = (f"{verb} {subject} {text_of(body, 'key')}", digest_of(body))
        async with self._only(keep[0]):
            kept = await self._daemon.store.answer(keep[0])
            if kept is None:
                return await do(self, body, also._replace(keep=keep))
        if kept.asked != keep[1]:
            raise Refused(f"the key {body['key']!r} was used to ask for something else")
        return kept.answer

    @asynccontextmanager
    async def _only(self, key: str) -> AsyncIterator[None]:
        """Let one at a time through with the same key: the second waits for what the first is answered."""
        while (other := self._under_way.get(key)) is not None:
            await other.wait()
        done = self._under_way[key] = asyncio.Event()
        try:
            yield
        finally:
            del self._under_way[key]
            done.set()

    # ------------------------------------------------------------ verbs

    async def trigger(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Make a run now. Answer: `runs`, the names of what was made, and `blocked`, what keeps it from starting."""
        id, plan = text_of(body, "job"), self._daemon.loop.plan
        job = plan.book.jobs.get(id)
        params = checked_params(job, body.get("params") or {}) if job else {}
        if job is not None and flag_of(body, "with_upstream"):
            for above in plan.book.graph.ancestors(id):
                missing = missing_params(plan.book.jobs[above], {})
                if missing:
                    words = f"{above} needs a value for its parameter {missing[0]!r}"
                    raise Refused(f"{words}, which only `dagsched trigger {above} --param {missing[0]}=…` can give")

        def make(now: datetime) -> events.Event:
            return events.TriggerRequested(now, id, params, flag_of(body, "with_upstream"), flag_of(body, "only"))

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            return _made(self._daemon, id, commands)

        return dict(await self._daemon.loop.ask(make, answer, *also))

    async def emit(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
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

        return dict(await daemon.loop.ask(make, lambda commands: _emitted(daemon, name, commands), *also))

    async def call(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Make a run as a step of the run `caller`, a workflow. Answer: `run`, and `stopping` when it is being ended.

        One that an earlier attempt of the caller has made is the answer if it lives, or has succeeded.
        """
        id, caller = text_of(body, "job"), self._run_name({"run": text_of(body, "caller")})
        daemon, plan = self._daemon, self._daemon.loop.plan
        job = plan.book.jobs.get(id)
        params = checked_params(job, body.get("params") or {}) if job else {}
        waits, rows = flag_of(body, "wait"), await called_by(daemon.store, caller)

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            calling = daemon.loop.plan.book.ledger.get(parse_run_name(caller))
            run = daemon.loop.plan.calls.known(calling, id, or_newest=True) if calling else None
            assert run is not None, "it was there, or has been made"
            return {"run": run.name, "stopping": bool(run.stopping)}

        return dict(
            await daemon.loop.ask(lambda now: events.RunCalled(now, id, caller, params, waits, rows), answer, *also)
        )

    async def outcome(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
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
        return await self._do(verb, body)

    async def cancel(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """End a run: at once if it has not started, else its attempt gets TERM, and KILL after the grace."""
        name = self._run_name(body)
        return await self._answered({"run": name}, lambda now: events.CancelRequested(now, name), also)

    async def rerun(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Try a run again that is over, and what its failure had stopped."""
        name = self._run_name(body)
        downstream = flag_of(body, "downstream")
        with self._daemon.loop.plan.keeping_rows():
            rows = await rows_for_rerun(self._daemon.store, self._daemon.config, name)
            return await self._answered(
                {"run": name}, lambda now: events.RerunRequested(now, name, downstream, rows), also
            )

    async def backfill(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Run a stretch of ticks of a job. Answer: `id` of the backfill that is under way, and its `total` of ticks.

        `dry_run`: make none; the answer's `id` is None, and `jobs` says what would become of the ticks.
        """
        id, daemon = text_of(body, "job"), self._daemon
        first, last = instant_of(body, "first"), instant_of(body, "last")
        job, config = daemon.loop.plan.book.jobs.get(id), daemon.config
        if job is None:
            raise Unknown("job", id, get_close_matches(id, list(config.jobs), 3))
        asked: dict[str, Any] = {
            "newest_first": flag_of(body, "newest_first"), "downstream": flag_of(body, "downstream"),
            "max_active": number_of(body, "max_active"), "again": again_of(body),
            "params": checked_params(job, body.get("params") or {}, is_partial=True),
        }  # fmt: skip
        # Counting through years of ticks takes longer than others can wait.
        ticks = await asyncio.to_thread(ticks_asked_for, config, id, first, last, daemon.clock.now())
        if flag_of(body, "dry_run"):
            found = await surveys(daemon.store, config, id, ticks, asked["again"], downstream=asked["downstream"])
            runs = sum(each.runs for each in found)
            return {"id": None, "job": id, "total": len(ticks), "runs": runs, "jobs": [each.as_row() for each in found]}

        def make(now: datetime) -> events.Event:
            return events.BackfillRequested(now, id, first, last, len(ticks), **asked)

        def answer(commands: Sequence[Command]) -> Mapping[str, Any]:
            filling = daemon.loop.plan.filling
            under_way = filling.active_on(id)
            return {"id": under_way.id if under_way else filling.last_id, "job": id, "total": len(ticks)}

        return dict(await daemon.loop.ask(make, answer, *also))

    async def backfill_cancel(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """End a backfill: nothing more of it is made, and what has not started is cancelled."""
        id = number_of(body, "id")
        return await self._answered({"id": id}, lambda now: events.BackfillCancelRequested(now, id), also)

    async def pause(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Have a job's ticks skipped from now on."""
        id = text_of(body, "job")
        return await self._answered({"job": id}, lambda now: events.PauseRequested(now, id), also)

    async def resume(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Have a paused job go on."""
        id = text_of(body, "job")
        return await self._answered({"job": id}, lambda now: events.ResumeRequested(now, id), also)

    async def ack(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Say that a failed run was seen: it is no dead letter any more."""
        name = self._run_name(body)
        with self._daemon.loop.plan.keeping_rows():
            row = await self._daemon.store.run(*parse_run_name(name))
            rows = (row,) if row is not None else ()
            return await self._answered({"run": name}, lambda now: events.AckRequested(now, name, rows), also)

    async def stop(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """End the daemon; `handover` leaves running attempts to the spawner, for the next daemon to adopt."""
        handover = flag_of(body, "handover")
        self._daemon.stop(handover=handover)
        return {"pid": os.getpid(), "handover": handover}

    async def reload(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Read the job files again. Answer: `applied`, the configuration's `number`, and `problems`."""
        applied = await self._daemon.reload()
        return {"applied": applied, "number": self._daemon.number, "problems": self._problems()}

    async def prune(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Delete runs that ended before `before`, with attempts, events and logs. Answer: `deleted`, their number."""
        before, daemon, dry_run = instant_of(body, "before"), self._daemon, flag_of(body, "dry_run")
        return {"deleted": await prune(daemon.store, daemon.state_dir, daemon.config, before, dry_run=dry_run)}

    async def retention(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Delete the runs that the job files' `keep` gives up. Answer: `deleted`, their number."""
        daemon, dry_run = self._daemon, flag_of(body, "dry_run")
        now = daemon.clock.now()
        return {"deleted": await keep_house(daemon.store, daemon.state_dir, daemon.config, now, dry_run=dry_run)}

    async def rollup(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Work out the figures of all days that are over. Answer: `days`, of how many they have changed."""
        return {"days": await self._daemon.store.rollup(before=self._daemon.clock.now())}

    async def compact(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Give unused space back to the disk. Answer: bytes in use `before` and `after`, and `freed`."""
        before, after = await self._daemon.store.compact()
        return {"before": before, "after": after, "freed": max(0, before - after)}

    async def register(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Put a job's `text` in force as `job`. Answer: `created`, the configuration's `number`, and `problems`."""
        text = body.get("text")
        if not isinstance(text, str):
            raise Refused("this verb needs 'text'")
        async with self._registering:
            return await register(self._daemon, text_of(body, "job"), text, may_command=flag_of(body, "may_command"))

    async def unregister(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Take a job that was registered out of force."""
        async with self._registering:
            return await unregister(self._daemon, text_of(body, "job"))

    async def audit(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Write down what the API refused."""
        reason = text_of(body, "reason")
        await self._daemon.loop.ask(lambda now: _audited(now, reason))
        return {}

    async def status(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Tell how the daemon is."""
        daemon, plan = self._daemon, self._daemon.loop.plan
        wake = plan.wake_at()
        return {
            "pid": os.getpid(),
            "since": format_instant(daemon.started),
            "config": daemon.number,
            "problems": self._problems(),
            "reverted": list(daemon.job_files.reverted) if daemon.job_files else [],
            "health": daemon.health,
            "stopping": daemon.is_stopping,
            "grace_until": format_instant(daemon.grace_until) if daemon.grace_until else None,
            "slots": plan.seats.slots_max,
            "commits": daemon.loop.commits.as_json(),
            "running": [run.name for run in plan.running()],
            "next": format_instant(wake) if wake else None,
            "http": daemon.http or None,
            "blocked": _waited_for(plan),
        }

    async def why(self, body: Mapping[str, Any], also: Also) -> Mapping[str, Any]:
        """Explain a run that is open, a job's newest without a tick. Answer: `lines` for people, `json` with the facts.

        Of everything else no more is known here than is stored, and whoever asks can read that: both are empty then.
        """
        from dagsched.explaining import explain_open, held_for

        daemon, given = self._daemon, body.get("tick")
        try:
            tick = parse_instant(given) if isinstance(given, str) else None
        except ValueError as error:
            raise Refused(f"'tick' is no instant: {error}") from None
        held = held_for({"stopping": daemon.is_stopping, "health": daemon.health})
        now = daemon.clock.now()
        plan, config = daemon.loop.plan, daemon.config
        found = await explain_open(daemon.store, plan, config, text_of(body, "job"), tick, now, held=held)
        return {"lines": found.lines, "json": found.json} if found is not None else {"lines": [], "json": {}}

    async def _answered(
        self, answer: Mapping[str, Any], make: Callable[[datetime], events.Event], also: Also
    ) -> Mapping[str, Any]:
        """Have an event applied, and return what is known to be the answer once it is durable."""
        return dict(await self._daemon.loop.ask(make, lambda commands: answer, *also))

    def _problems(self) -> list[dict[str, Any]]:
        files = self._daemon.job_files
        return files.problem_rows() if files is not None else []

    def _run_name(self, body: Mapping[str, Any]) -> str:
        name = text_of(body, "run")
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
    "register": Control.register,
    "unregister": Control.unregister,
    "audit": Control.audit,
    "status": Control.status,
    "why": Control.why,
}

# Each of these is one event and its commit, so it may wait in the inbox, and be done once for a key. The others answer
# about a running daemon, or are the same when they are done twice.
REMEMBERED = frozenset({"trigger", "emit", "cancel", "rerun", "backfill", "backfill_cancel", "pause", "resume", "ack"})


def _waited_for(plan: Plan) -> dict[str, str]:
    """Return what keeps live runs from going on, BLOCKED_MAX at most: the oldest run of each job first, then others."""
    held = [run for run in plan.book.ledger.all_live() if run.state is not RunState.RUNNING]
    oldest: dict[str, Run] = {}
    for run in held:
        if run.job in plan.book.jobs:
            oldest.setdefault(run.job, run)
    others = (run for run in held if run.job in oldest and run is not oldest[run.job])
    return {run.name: blocking(plan, run) for run in islice(chain(oldest.values(), others), BLOCKED_MAX)}


def _audited(now: datetime, words: str, detail: Mapping[str, Any] = EMPTY) -> events.Noted:
    return events.Noted(now, "api.audit", words[:1000], detail)


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
