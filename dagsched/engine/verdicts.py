"""The gates a tick passes on its way to a start, as a table, and what each of them says of one run.

A run meets its gates in three stages. At *birth*, when its tick is made: is the job enabled, not paused, and what does
catch-up make of the tick? When its *joins* are judged: upstreams, and overlap. At its *start*: a seat, delays, pool,
and the daemon. Which gate left a tick out is told by the row's reason (`dagsched.reasons`); which one holds a run back
now, by the engine. A new gate is one line here: its place among the others, who asks for it, and what a person can do
about it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from dagsched import reasons
from dagsched.engine.gates import Hold
from dagsched.engine.joins import Verdict as Says
from dagsched.engine.joins import resolve, verdict_of
from dagsched.engine.plan import Plan
from dagsched.model import LIVE, Job, Match, Origin, Run, RunState, format_instant
from dagsched.reasons import At

SHOWN_MAX = 5


class Stage(IntEnum):
    """How far a run is."""

    BIRTH = 0
    JOIN = 1
    START = 2
    PAST = 3


class Verdict(NamedTuple):
    """What one gate says of a run. `verdict`: passed, blocks, left_out (the tick ended here), not_reached, not_asked.

    `since`: when it was passed, or since when it blocks. `unblock`: what would open it.
    """

    gate: str
    verdict: str
    since: datetime | None = None
    reason: str = ""
    unblock: str = ""


def _always(job: Job) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Gate:
    """One line of the table. `asked`: whether the job asks for it at all; `unblock`: what would open it, in words."""

    name: At
    stage: Stage
    asked: Callable[[Job], bool] = _always
    unblock: Callable[[Plan, Run, Job], str] = lambda plan, run, job: ""


def blocking(plan: Plan, run: Run, held: str = "") -> str:
    """Return the one condition that keeps a live run from going on, in words; empty while an attempt is under way.

    `held`: why nothing starts at all, if the plan itself does not know.
    """
    hold = hold_of(plan, run, held)
    return hold.words if hold is not None else ""


def hold_of(plan: Plan, run: Run, held: str = "") -> Hold | None:
    """Return the same with the gate it is, None while an attempt is under way."""
    if run.state is RunState.RUNNING:
        return None
    if run.state is RunState.WAITING:
        return Hold(At.UPSTREAMS, _waits_for(plan, run))
    return Hold(At.DAEMON, f"nothing starts now: {held}") if held else plan.seats.blocks(run)


def verdicts(plan: Plan, run: Run, job: Job | None, held: str = "") -> list[Verdict]:
    """Return what every gate says of the run, in their order; `job`: its declaration, None when it is no more."""
    hold = hold_of(plan, run, held) if run.state in LIVE and job is not None else None
    gate = gate_of(run, hold)
    at = _stage(run, gate)
    found = []
    for number, each in enumerate(GATES):
        if each is gate:
            found.append(_closed(plan, run, job, each, hold))
        elif job is not None and not each.asked(job):
            found.append(Verdict(each.name, "not_asked"))
        elif each.stage < at or (gate is not None and each.stage == at and number < GATES.index(gate)):
            found.append(Verdict(each.name, "passed", _passed_at(run, each.stage), _why_passed(plan, run, each)))
        else:
            found.append(Verdict(each.name, "not_reached"))
    return found


def gate_of(run: Run, hold: Hold | None) -> Gate | None:
    """Return the gate at which the run stands or its tick ended, None when it went through all of them."""
    if run.state in LIVE:
        return BY_NAME.get(hold.at) if hold is not None else None
    reason = reasons.read(run.reason)
    if run.attempts or reason is None or (run.state is RunState.CANCELLED and reason is not reasons.REPLACED):
        return None  # an edit may take a run's job away at any gate
    return BY_NAME[reason.at]


def _stage(run: Run, gate: Gate | None) -> Stage:
    if run.state is RunState.WAITING:
        return Stage.JOIN
    if run.state in (RunState.QUEUED, RunState.RETRYING):
        return Stage.START
    return gate.stage if gate is not None else Stage.PAST if run.attempts else Stage.BIRTH


def _closed(plan: Plan, run: Run, job: Job | None, gate: Gate, hold: Hold | None) -> Verdict:
    if run.state not in LIVE:
        return Verdict(gate.name, "left_out", run.ended, run.reason)
    assert job is not None, "only runs of jobs that are declared are held back"
    assert hold is not None, "a gate is closed because something holds the run back"
    return Verdict(gate.name, "blocks", blocked_since(plan, run, gate), hold.words, gate.unblock(plan, run, job))


def blocked_since(plan: Plan, run: Run, gate: Gate | None) -> datetime | None:
    """Return since when the gate has held the run back, as far as that is known."""
    since = run.started if run.state is RunState.RETRYING else run.ready
    since = since or run.created
    mark = plan.book.marks.get(run.job)
    name = gate.name if gate is not None else None
    if name is At.PAUSED and mark is not None and mark.paused is not None:
        return max(mark.paused, since) if since else mark.paused
    if name not in (None, At.DELAY) and run.not_before is not None and run.not_before <= plan.book.now:
        return max(run.not_before, since) if since else run.not_before
    return since


def _passed_at(run: Run, stage: Stage) -> datetime | None:
    return {Stage.BIRTH: run.created, Stage.JOIN: run.ready, Stage.START: run.started}.get(stage)


def _why_passed(plan: Plan, run: Run, gate: Gate) -> str:
    if gate.name is At.UPSTREAMS:
        return ", ".join(_upstream_states(plan, run))
    return "caught up" if gate.name is At.CATCH_UP and run.origin is Origin.CATCHUP else ""


def _upstream_states(plan: Plan, run: Run) -> Iterator[str]:
    for link in run.links[:SHOWN_MAX]:
        row = resolve(link, plan.book.ledger)
        yield f"{link.job}: no tick" if row is None else f"{row.name} {row.state}"
    if len(run.links) > SHOWN_MAX:
        yield f"{len(run.links) - SHOWN_MAX} more"


# ---------------------------------------------------------------- words


def _waits_for(plan: Plan, run: Run) -> str:
    waits = []
    for link in run.links:
        row = resolve(link, plan.book.ledger)
        if verdict_of(link, row) is not Says.PENDING:
            continue
        waits.append(f"{link.job}, which has never had a tick" if row is None else f"{row.name} ({row.state})")
    more = f" and {len(waits) - SHOWN_MAX} more" if len(waits) > SHOWN_MAX else ""
    return f"it waits for upstream {', '.join(waits[:SHOWN_MAX])}{more}"


def _upstreams_end(plan: Plan, run: Run, job: Job) -> str:
    waits = []
    for link in run.links:
        row = resolve(link, plan.book.ledger)
        if verdict_of(link, row) is not Says.PENDING:
            continue
        if row is not None:
            waits.append(f"{link.job} ends")
        elif link.match is Match.LATEST:
            coming = plan.ticks.next_of(link.job)
            when = f" (its next one is {format_instant(coming)})" if coming else f": dagsched trigger {link.job}"
            waits.append(f"{link.job} has a tick{when}")
    return ", and ".join(dict.fromkeys(waits)) if len(waits) <= SHOWN_MAX else f"{len(waits)} upstream runs end"


def _at_the_end_of_the_delay(plan: Plan, run: Run, job: Job) -> str:
    return f"it is {format_instant(run.not_before)}" if run.not_before is not None else ""


def _when_it_opens(plan: Plan, run: Run, job: Job) -> str:
    gate = plan.seats.gates.closed(run, job)
    if gate is not None:
        return f"it is {format_instant(gate.opens)}"
    return "the pool's rate allows another start, or is raised in the file"


def _room_in_the_pool(plan: Plan, run: Run, job: Job) -> str:
    inside = [other.name for other in plan.running() if _pool_of(plan, other) == job.pool]
    ends = f"{' or '.join(inside[:2])} ends" if inside else "the runs before it have started"
    return f"{ends}, or pool {job.pool} gets more slots in the file"


def _pool_of(plan: Plan, run: Run) -> str | None:
    job = plan.book.jobs.get(run.job)
    return job.pool if job is not None else None


def _a_seat(plan: Plan, run: Run, job: Job) -> str:
    return f"an active run of {job.id} ends, or max_active_runs is raised in the file"


def _the_daemon(plan: Plan, run: Run, job: Job) -> str:
    if plan.seats.slots_max is not None:
        return "a running attempt ends, or the daemon is started with more --slots"
    return "a daemon goes on: dagsched run, or what dagsched status says"


def _has_upstreams(job: Job) -> bool:
    return bool(job.depends_on)


def _may_be_delayed(job: Job) -> bool:
    return bool(job.jitter) or job.retry.max_attempts > 1


def _is_limited(job: Job) -> bool:
    return job.rate_limit is not None or job.pool is not None


GATES: tuple[Gate, ...] = (
    Gate(At.ENABLED, Stage.BIRTH),
    Gate(At.PAUSED, Stage.BIRTH, unblock=lambda plan, run, job: f"dagsched resume {job.id}"),
    Gate(At.CALENDAR, Stage.BIRTH, lambda job: bool(job.calendar)),
    Gate(At.CATCH_UP, Stage.BIRTH),
    Gate(At.QUEUE, Stage.BIRTH),
    Gate(At.UPSTREAMS, Stage.JOIN, _has_upstreams, _upstreams_end),
    Gate(At.CONDITION, Stage.JOIN, lambda job: bool(job.when)),
    Gate(At.OVERLAP, Stage.JOIN),
    Gate(At.SEAT, Stage.START, lambda job: job.max_active_runs is not None, _a_seat),
    Gate(At.DELAY, Stage.START, _may_be_delayed, _at_the_end_of_the_delay),
    Gate(At.WINDOW, Stage.START, lambda job: bool(job.window), _when_it_opens),
    Gate(At.RATE, Stage.START, _is_limited, _when_it_opens),
    Gate(At.POOL, Stage.START, lambda job: job.pool is not None, _room_in_the_pool),
    Gate(At.DAEMON, Stage.START, unblock=_the_daemon),
)
"""In the order in which they are judged."""
BY_NAME = {gate.name: gate for gate in GATES}
