"""Why a tick ran, did not run, or does not run yet: the ledger in words, and the one condition that now blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dagsched.engine.joins import Verdict, resolve, verdict_of
from dagsched.engine.plan import Plan
from dagsched.model import LIVE, Attempt, Job, Match, Origin, Run, RunState, format_instant, run_name
from dagsched.triggers import dst_note, local, trigger_of
from dagsched.triggers.calendars import days_off
from dagsched.triggers.windows import opening

SECOND = timedelta(seconds=1)

_MADE_BY = {
    Origin.SCHEDULE: "its schedule",
    Origin.CATCHUP: "its schedule, caught up after it was missed",
    Origin.UPSTREAM: "an upstream's tick",
    Origin.MANUAL: "a person's trigger",
    Origin.ONCE: "run --once",
    Origin.EVENT: "an event",
    Origin.WORKFLOW: "a workflow",
    Origin.BACKFILL: "a backfill",
}


@dataclass(slots=True)
class Answer:
    """The explanation: `lines` for people, `json` with the same facts."""

    lines: list[str] = field(default_factory=list)
    json: dict[str, Any] = field(default_factory=dict)


def blocking(plan: Plan, run: Run) -> str:
    """Return the one condition that keeps a live run from going on, in words; empty while an attempt is under way."""
    if run.state is RunState.RUNNING:
        return ""
    if run.state is RunState.WAITING:
        return _waits_for(plan, run)
    return plan.seats.blocks(run)


def explain_run(plan: Plan, run: Run, tick: datetime, attempts: Sequence[Attempt]) -> Answer:
    """Explain a tick that has a row."""
    answer = Answer()
    answer.json = {
        "run": run_name(run.job, tick), "job": run.job, "tick": format_instant(tick), "state": str(run.state),
        "reason": run.reason, "trigger": str(run.origin),
    }  # fmt: skip
    answer.lines.append(f"{run_name(run.job, tick)} is {run.state}" + (f": {run.reason}" if run.reason else ""))
    if run.until is not None:
        span = f"{format_instant(run.tick)} to {format_instant(run.until)}"
        answer.lines.append(f"it is one of the ticks from {span} that were left out for this reason")
        answer.json["range"] = [format_instant(run.tick), format_instant(run.until)]
    answer.lines.append(f"made by {_MADE_BY[run.origin]}" + _config_words(plan, run))
    if run.stand_in is not None:
        answer.lines.append(f"{run_name(run.job, run.stand_in)} stands in for it")
        answer.json["stand_in"] = run_name(run.job, run.stand_in)
    answer.json["upstream"] = list(_upstreams(plan, run, answer.lines))
    answer.json["attempts"] = list(_attempts(attempts, answer.lines))
    if run.state in LIVE:
        _say_what_blocks(plan, run, answer)
    return answer


def explain_no_row(plan: Plan, job: Job, tick: datetime, now: datetime) -> Answer:
    """Explain an instant that has no row: still to come, not a tick of this job, or before it was known."""
    answer = Answer(json={"job": job.id, "tick": format_instant(tick), "state": None})
    lines = answer.lines
    mark = plan.book.marks.get(job.id)
    position = f" ({job.position})" if job.position else ""
    if job.schedule is None:
        above = ", ".join(edge.job for edge in job.depends_on)
        lines.append(f"{job.id}{position} has no schedule; it runs when {above or 'a person'} makes it")
        lines.append(f"none of them has made a tick at {format_instant(tick)}")
        answer.json["reason"] = "no schedule"
        return answer
    if job.schedule.event:
        names = " or ".join(job.schedule.event)
        lines.append(f"{job.id}{position} runs on event {names}; none was emitted at {format_instant(tick)}")
        answer.json["reason"] = f"on event {names}"
        return answer
    is_tick = trigger_of(job.schedule).next(tick - SECOND) == tick
    if not is_tick:
        _say_nearest(job, tick, lines, position)
        answer.json["reason"] = "not a tick of its schedule"
    elif tick > now:
        _say_coming(plan, job, tick, now, lines)
        answer.json["reason"] = "still to come"
    elif mark is not None and mark.schedule_since is not None and tick <= mark.schedule_since:
        since = format_instant(mark.schedule_since)
        lines.append(f"{job.id}{position} has had this schedule only since {since}, which is later")
        answer.json["reason"] = "before this schedule was in force"
    else:
        lines.append(f"{run_name(job.id, tick)} is due and its row is about to be made; is a daemon running?")
        answer.json["reason"] = "due, no daemon has made it yet"
    return answer


def _say_what_blocks(plan: Plan, run: Run, answer: Answer) -> None:
    blocked = blocking(plan, run)
    if not blocked:
        return
    since = run.ready if run.state is RunState.QUEUED else run.ended or run.started or run.created
    answer.lines.append(f"blocked now: {blocked}" + (f" (since {format_instant(since)})" if since else ""))
    answer.json["blocked"] = blocked
    answer.json["blocked_since"] = format_instant(since) if since else None


def _waits_for(plan: Plan, run: Run) -> str:
    waits = []
    for link in run.links:
        row = resolve(link, plan.book.ledger)
        if verdict_of(link, row) is not Verdict.PENDING:
            continue
        waits.append(f"{link.job}, which has never had a tick" if row is None else f"{row.name} ({row.state})")
    more = f" and {len(waits) - 5} more" if len(waits) > 5 else ""
    return f"it waits for upstream {', '.join(waits[:5])}{more}"


def _upstreams(plan: Plan, run: Run, lines: list[str]) -> Sequence[Mapping[str, Any]]:
    rows = []
    for link in run.links:
        row = resolve(link, plan.book.ledger)
        if link.tick is None:
            state = "has no tick at this one" if link.match is Match.SAME else "has never had a tick"
            lines.append(f"  upstream {link.job}: {state}")
            rows.append({"job": link.job, "match": str(link.match), "tick": None, "run": None, "state": None})
            continue
        name = row.name if row else run_name(link.job, link.tick)
        state = str(row.state) if row else "no longer in the ledger"
        lines.append(f"  upstream {name} ({link.match}): {state}")
        rows.append(
            {"job": link.job, "match": str(link.match), "tick": format_instant(link.tick), "run": name, "state": state}
        )
    return rows


def _attempts(attempts: Sequence[Attempt], lines: list[str]) -> Sequence[Mapping[str, Any]]:
    rows = []
    for attempt in attempts:
        ended = f", ended {format_instant(attempt.ended)}: {attempt.outcome}" if attempt.ended else ", under way"
        reason = f" ({attempt.reason})" if attempt.reason else ""
        lines.append(f"  attempt {attempt.number}: started {format_instant(attempt.started)}{ended}{reason}")
        rows.append(
            {
                "attempt": attempt.number, "started": format_instant(attempt.started),
                "ended": format_instant(attempt.ended) if attempt.ended else None,
                "outcome": str(attempt.outcome) if attempt.outcome else None, "reason": attempt.reason,
            }
        )  # fmt: skip
    return rows


def _config_words(plan: Plan, run: Run) -> str:
    job = plan.book.jobs.get(run.job)
    where = f", {job.position}" if job is not None and job.position and run.config == plan.book.config_number else ""
    return f", under configuration {run.config}{where}" if run.config else ""


def _say_nearest(job: Job, tick: datetime, lines: list[str], position: str) -> None:
    assert job.schedule is not None
    following = trigger_of(job.schedule).next(tick)
    wall = local(tick, job.schedule.timezone)
    lines.append(f"{job.id}{position} has no tick at {format_instant(tick)} ({wall:%Y-%m-%d %H:%M:%S %Z})")
    if following is None:
        lines.append("its schedule has no later tick either")
    else:
        lines.append(f"its next one after that is {format_instant(following)}{_note(job, following)}")


def _say_coming(plan: Plan, job: Job, tick: datetime, now: datetime, lines: list[str]) -> None:
    lines.append(f"{run_name(job.id, tick)} is still to come, in {_length(tick - now)}{_note(job, tick)}")
    mark = plan.book.marks.get(job.id)
    if not job.enabled:
        lines.append(f"as it stands it will be skipped: {job.id} is disabled ({job.position})")
    elif mark is not None and mark.paused is not None:
        lines.append(f"as it stands it will be skipped: {job.id} is paused since {format_instant(mark.paused)}")
    elif (off := days_off(job, plan.book.calendars)) is not None and (reason := off.reason(tick)):
        lines.append(f"as it stands it will be skipped: {reason}")
    else:
        _say_gates(job, tick, lines)


def _say_gates(job: Job, tick: datetime, lines: list[str]) -> None:
    """Say what a coming tick will have to pass."""
    if job.depends_on:
        lines.append("it will wait for " + ", ".join(f"{edge.job} ({edge.match})" for edge in job.depends_on))
    if job.when:
        lines.append(f"it will run only when {' '.join(job.when.split())}")
    found = opening(job.window, job.timezone, tick) if job.window else None
    if found is not None and found.opens > tick:
        hours = ", ".join(map(str, job.window))
        skips = job.window[0].outside == "skip"
        lines.append(
            f"its window {hours} is closed then: "
            + ("it will be skipped if it is ready then" if skips else f"it starts at {format_instant(found.opens)}")
        )


def _note(job: Job, tick: datetime) -> str:
    assert job.schedule is not None
    note = dst_note(job.schedule, tick)
    return f" ({note})" if note else ""


def _length(length: timedelta) -> str:
    return str(timedelta(seconds=round(length.total_seconds())))
