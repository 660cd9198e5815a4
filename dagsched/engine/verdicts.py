"""The gates a tick passes on its way to a start, as a table, and what each of them says of one run.

A run meets its gates in three stages. At *birth*, when its tick is made: is the job enabled, not paused, and what does
catch-up make of the tick? When its *joins* are judged: upstreams, and overlap. At its *start*: a seat, delays, pool,
and the daemon. The engine says in words which gate left a tick out (the row's reason) or holds a run back now; the
table knows these words. A new gate is one line of it: its place among the others, its words, who asks for it, and what
a person can do about it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from typing import NamedTuple

from dagsched.engine.joins import Verdict as Says
from dagsched.engine.joins import resolve, verdict_of
from dagsched.engine.plan import Plan
from dagsched.model import LIVE, Job, Match, Origin, Run, RunState, format_instant

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
    """One line of the table.

    `left_out`: a pattern of the reasons of ticks that ended at this gate; `blocks`: one of the words with which the
    engine says that it holds a run back; "" when that never happens. `asked`: whether the job asks for it at all.
    """

    name: str
    stage: Stage
    left_out: str = ""
    blocks: str = ""
    asked: Callable[[Job], bool] = _always
    unblock: Callable[[Plan, Run, Job], str] = lambda plan, run, job: ""


def blocking(plan: Plan, run: Run, held: str = "") -> str:
    """Return the one condition that keeps a live run from going on, in words; empty while an attempt is under way.

    `held`: why nothing starts at all, if the plan itself does not know.
    """
    if run.state is RunState.RUNNING:
        return ""
    if run.state is RunState.WAITING:
        return _waits_for(plan, run)
    return f"nothing starts now: {held}" if held else plan.seats.blocks(run)


def verdicts(plan: Plan, run: Run, job: Job | None, held: str = "") -> list[Verdict]:
    """Return what every gate says of the run, in their order; `job`: its declaration, None when it is no more."""
    words = blocking(plan, run, held) if run.state in LIVE and job is not None else ""
    gate = gate_of(run, words)
    at = _stage(run, gate)
    found = []
    for number, each in enumerate(GATES):
        if each is gate:
            found.append(_closed(plan, run, job, each, words))
        elif job is not None and not each.asked(job):
            found.append(Verdict(each.name, "not_asked"))
        elif each.stage < at or (gate is not None and each.stage == at and number < GATES.index(gate)):
            found.append(Verdict(each.name, "passed", _passed_at(run, each.stage), _why_passed(plan, run, each)))
        else:
            found.append(Verdict(each.name, "not_reached"))
    return found


def gate_of(run: Run, words: str) -> Gate | None:
    """Return the gate at which the run stands or its tick ended, None when it went through all of them."""
    if run.state in LIVE:
        return next((gate for gate in GATES if gate.blocks and re.match(gate.blocks, words)), None)
    if run.attempts:
        return None
    found = next((gate for gate in GATES if gate.left_out and re.match(gate.left_out, run.reason)), None)
    if found is None and run.state is RunState.MISSED:
        return CATCH_UP  # its job was removed, say
    return found


def _stage(run: Run, gate: Gate | None) -> Stage:
    if run.state is RunState.WAITING:
        return Stage.JOIN
    if run.state in (RunState.QUEUED, RunState.RETRYING):
        return Stage.START
    return gate.stage if gate is not None else Stage.PAST if run.attempts else Stage.BIRTH


def _closed(plan: Plan, run: Run, job: Job | None, gate: Gate, words: str) -> Verdict:
    if run.state not in LIVE:
        return Verdict(gate.name, "left_out", run.ended, run.reason)
    assert job is not None, "only runs of jobs that are declared are held back"
    return Verdict(gate.name, "blocks", blocked_since(plan, run, gate), words, gate.unblock(plan, run, job))


def blocked_since(plan: Plan, run: Run, gate: Gate | None) -> datetime | None:
    """Return since when the gate has held the run back, as far as that is known."""
    since = run.started if run.state is RunState.RETRYING else run.ready
    since = since or run.created
    mark = plan.book.marks.get(run.job)
    if gate is not None and gate.name == "paused" and mark is not None and mark.paused is not None:
        return max(mark.paused, since) if since else mark.paused
    if gate is not None and gate.name != "delay" and run.not_before is not None and run.not_before <= plan.book.now:
        return max(run.not_before, since) if since else run.not_before
    return since


def _passed_at(run: Run, stage: Stage) -> datetime | None:
    return {Stage.BIRTH: run.created, Stage.JOIN: run.ready, Stage.START: run.started}.get(stage)


def _why_passed(plan: Plan, run: Run, gate: Gate) -> str:
    if gate.name == "upstreams":
        return ", ".join(_upstream_states(plan, run))
    return "caught up" if gate.name == "catch-up" and run.origin is Origin.CATCHUP else ""


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


CATCH_UP = Gate("catch-up", Stage.BIRTH, "down|coalesced into |too old: |schedule changed")
GATES: tuple[Gate, ...] = (
    Gate("enabled", Stage.BIRTH, "disabled$"),
    Gate("paused", Stage.BIRTH, "paused$", ".* is paused$", unblock=lambda plan, run, job: f"dagsched resume {job.id}"),
    Gate("calendar", Stage.BIRTH, "calendar ", asked=lambda job: bool(job.calendar)),
    CATCH_UP,
    Gate("queue", Stage.BIRTH, "queue full"),
    Gate("upstreams", Stage.JOIN, "upstream |superseded|.* has never had a tick|its rule ",
         "it waits for upstream", _has_upstreams, _upstreams_end),
    Gate("condition", Stage.JOIN, "when: ", asked=lambda job: bool(job.when)),
    Gate("overlap", Stage.JOIN, "overlap: |replaced by "),
    Gate("seat", Stage.START, "", "max_active_runs ", lambda job: job.max_active_runs is not None, _a_seat),
    Gate("delay", Stage.START, "", "its retry delay |its jitter ",
         lambda job: bool(job.jitter) or job.retry.max_attempts > 1, _at_the_end_of_the_delay),
    Gate("window", Stage.START, "window: ", "window ", lambda job: bool(job.window), _when_it_opens),
    Gate("rate", Stage.START, "", "rate_limit ", lambda job: job.rate_limit is not None or job.pool is not None,
         _when_it_opens),
    Gate("pool", Stage.START, "", "pool ", lambda job: job.pool is not None, _room_in_the_pool),
    Gate("daemon", Stage.START, "", "nothing starts now|all [0-9]+ slots ", unblock=_the_daemon),
)  # fmt: skip
"""In the order in which they are judged. Of two that know the same words the first one is meant."""
