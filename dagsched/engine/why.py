"""Why a tick ran, did not run, or does not run yet: the ledger in words, gate by gate, and the one that now blocks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dagsched.engine.joins import resolve
from dagsched.engine.plan import Plan
from dagsched.engine.verdicts import Verdict, blocked_since, gate_of, hold_of, verdicts
from dagsched.model import (
    LIVE,
    Attempt,
    ConfigVersion,
    Job,
    Match,
    Origin,
    Run,
    format_instant,
    format_length,
    run_name,
)
from dagsched.triggers import dst_note, local, trigger_of
from dagsched.triggers.calendars import days_off
from dagsched.triggers.text import schedule_text
from dagsched.triggers.windows import opening

__all__ = ["Answer", "Then", "explain_no_row", "explain_run"]

SECOND = timedelta(seconds=1)

_MADE_BY = {
    Origin.SCHEDULE: "its schedule",
    Origin.CATCHUP: "its schedule, caught up after it was missed",
    Origin.UPSTREAM: "an upstream's tick",
    Origin.MANUAL: "a person's trigger",
    Origin.ONCE: "run --once",
    Origin.EVENT: "an event that was emitted",
    Origin.WORKFLOW: "a step of a workflow",
    Origin.BACKFILL: "a backfill",
}


@dataclass(slots=True)
class Answer:
    """The explanation: `lines` for people, `json` with the same facts."""

    lines: list[str] = field(default_factory=list)
    json: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Then:
    """What was in force at the instant that is asked about.

    `version`: the configuration, None before any was, or if it is not stored. `job`: the job as it was declared in it.
    `is_newest`: whether that configuration is in force now.
    """

    version: ConfigVersion | None = None
    job: Job | None = None
    is_newest: bool = True


def explain_run(
    plan: Plan, run: Run, tick: datetime, attempts: Sequence[Attempt], then: Then, held: str = ""
) -> Answer:
    """Explain a tick that has a row. `held`: why nothing starts at all now, if the plan does not know."""
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
    answer.lines.append(f"made by {_MADE_BY[run.origin]}" + _config_words(plan, run, then))
    say_config(answer, then, run.config)
    if run.stand_in is not None:
        answer.lines.append(f"{run_name(run.job, run.stand_in)} stands in for it")
        answer.json["stand_in"] = run_name(run.job, run.stand_in)
    answer.json["upstream"] = list(_upstreams(plan, run, answer.lines))
    answer.json["attempts"] = list(_attempts(attempts, answer.lines))
    say_gates(plan, run, plan.book.jobs.get(run.job) or then.job, answer, held)
    return answer


def say_gates(plan: Plan, run: Run, job: Job | None, answer: Answer, held: str) -> None:
    """Add what each gate says, and on the last line what blocks now and what would open it."""
    found = verdicts(plan, run, job, held)
    answer.json["gates"] = [_gate_row(verdict) for verdict in found]
    shown = [verdict for verdict in found if verdict.verdict in ("passed", "left_out", "blocks")]
    if run.state in LIVE:
        told = ", ".join(verdict.gate for verdict in shown if verdict.verdict == "passed")
        answer.lines += [f"  passed: {told}"] if told else []
    for verdict in shown:
        if verdict.verdict == "left_out":
            answer.lines.append(f"  ended at the gate {verdict.gate}")
        elif verdict.verdict == "blocks":
            _say_what_blocks(verdict, answer)
    hold = hold_of(plan, run, held) if run.state in LIVE and run.job in plan.book.jobs else None
    if hold is not None and gate_of(run, hold) is None:
        # Its turn has come: it is told all the same.
        _say_what_blocks(Verdict(hold.at, "blocks", blocked_since(plan, run, None), hold.words), answer)


def _say_what_blocks(verdict: Verdict, answer: Answer) -> None:
    since = format_instant(verdict.since) if verdict.since else None
    answer.lines.append(f"blocked now: {verdict.reason}" + (f" (since {since})" if since else ""))
    answer.json["blocked"], answer.json["blocked_since"] = verdict.reason, since
    answer.json["unblock"] = verdict.unblock
    if verdict.unblock:
        answer.lines.append(f"it goes on when: {verdict.unblock}")


def _gate_row(verdict: Verdict) -> dict[str, Any]:
    row = verdict._asdict()
    row["since"] = format_instant(verdict.since) if verdict.since else None
    return row


def say_config(answer: Answer, then: Then, number: int = 0) -> None:
    """Add the configuration that was in force: its number, since when, and where it declares the job."""
    version, place = then.version, then.job.position if then.job else None
    answer.json["config"] = {
        "number": version.number if version else number or None,
        "applied": format_instant(version.applied) if version else None,
        "file": place.file if place else None,
        "line": place.line if place else None,
    }
    answer.json["schedule"] = schedule_text(then.job.schedule) if then.job else None


# ---------------------------------------------------------------- a tick without a row


def explain_no_row(plan: Plan, job: Job, tick: datetime, now: datetime, then: Then) -> Answer:
    """Explain an instant that has no row: still to come, not a tick of this job, or before it was known.

    `job`: as it is declared now, or was last; `then` is what was in force at the tick.
    """
    answer = Answer(json={"run": None, "job": job.id, "tick": format_instant(tick), "state": None})
    say_config(answer, then)
    answer.json["gates"] = []
    told = then.job or job
    if then.job is None:
        _say_unknown_then(job, tick, then, answer)
    elif told.schedule is None and _comes_from_upstream(plan, told, tick, now):
        _say_coming(plan, told, tick, now, answer)
    elif told.schedule is None:
        _say_unscheduled(told, tick, then, tick > now, answer)
    elif told.schedule.event:
        _say_on_event(told, tick, then, answer)
    elif trigger_of(told.schedule).next(tick - SECOND) != tick:
        _say_no_tick(told, tick, then, answer)
    elif _is_used_up(plan, job, tick, now):
        _say(answer, "max_runs used up", f"the schedule of {job.id} has had its {_max_runs(job)} runs (max_runs)")
    elif tick > now:
        _say_coming(plan, job, tick, now, answer)
    else:
        _say_lost(plan, job, tick, then, answer)
    answer.lines += _in_force_words(then, tick, now)
    return answer


def _in_force_words(then: Then, tick: datetime, now: datetime) -> list[str]:
    if then.version is None or then.job is None:
        return []
    place = f", {then.job.position}" if then.job.position else ""
    schedule = f", schedule {schedule_text(then.job.schedule)}" if then.job.schedule else ""
    verb = "is in force" if tick > now else "was in force then"
    since = format_instant(then.version.applied)
    return [f"configuration {then.version.number} (since {since}) {verb}{place}{schedule}"]


def _say(answer: Answer, reason: str, *lines: str) -> None:
    answer.json["reason"] = reason
    answer.lines += lines


def _say_unknown_then(job: Job, tick: datetime, then: Then, answer: Answer) -> None:
    if then.version is None:
        words = f"no configuration was in force at {format_instant(tick)}: no daemon had been started here yet"
        _say(answer, "before the first configuration", words)
    else:
        words = f"configuration {then.version.number}, in force since {format_instant(then.version.applied)}"
        _say(answer, "the job was not known then", f"{job.id} has no tick at {format_instant(tick)}: {words},"
             " does not declare it")


def _say_unscheduled(job: Job, tick: datetime, then: Then, is_to_come: bool, answer: Answer) -> None:
    above = " or ".join(edge.job for edge in job.depends_on)
    words = f"{job.id}{_where(job, then)} has no schedule; it runs when {above or 'a person'} makes it"
    if not above:
        return _say(answer, "no schedule", words, f"nobody made a tick at {format_instant(tick)}")
    made = f"none of them has made a tick at {format_instant(tick)}"
    made += f"; `dagsched next {job.id}` has those to come" if is_to_come else ""
    return _say(answer, "no schedule", words, made)


def _comes_from_upstream(plan: Plan, job: Job, tick: datetime, now: datetime) -> bool:
    """Whether an upstream will have this tick, and so a job without a schedule of its own."""
    return tick > now and job.id in plan.book.jobs and tick in plan.ticks.ticks_between(job.id, tick - SECOND, tick)


def _say_on_event(job: Job, tick: datetime, then: Then, answer: Answer) -> None:
    assert job.schedule is not None, "only asked for scheduled jobs"
    names = " or ".join(job.schedule.event)
    words = f"{job.id}{_where(job, then)} runs on event {names}"
    _say(answer, f"on event {names}", words, f"none was emitted at {format_instant(tick)}")


def _say_no_tick(job: Job, tick: datetime, then: Then, answer: Answer) -> None:
    schedule = job.schedule
    assert schedule is not None, "only asked for scheduled jobs"
    wall = local(tick, schedule.timezone)
    head = f"{job.id}{_where(job, then)} has no tick at {format_instant(tick)} ({wall:%Y-%m-%d %H:%M:%S %Z})"
    answer.lines.append(head)
    reason = "not a tick of its schedule"
    if schedule.start is not None and tick < schedule.start:
        reason = f"before its start, {format_instant(schedule.start)}"
    elif schedule.end is not None and tick > schedule.end:
        reason = f"past its end, {format_instant(schedule.end)}"
    elif schedule.at is not None:
        reason = "its only tick is another one"
    answer.lines.append(f"{reason}; the schedule is {schedule_text(schedule)}")
    following = trigger_of(schedule).next(tick)
    if following is None:
        answer.lines.append("its schedule has no later tick either")
    else:
        answer.lines.append(f"its next one after that is {format_instant(following)}{_note(job, following)}")
    answer.json["next"] = format_instant(following) if following else None
    answer.json["reason"] = reason


def _is_used_up(plan: Plan, job: Job, tick: datetime, now: datetime) -> bool:
    mark = plan.book.marks.get(job.id)
    if _max_runs(job) is None or mark is None or tick <= (mark.schedule_since or tick - SECOND):
        return False
    return plan.ticks.next_of(job.id) is None and job.id in plan.book.jobs


def _max_runs(job: Job) -> int | None:
    return job.schedule.max_runs if job.schedule is not None else None


def _say_coming(plan: Plan, job: Job, tick: datetime, now: datetime, answer: Answer) -> None:
    head = f"{run_name(job.id, tick)} is still to come, in {_length(tick - now)}{_note(job, tick)}"
    _say(answer, "still to come", head)
    mark = plan.book.marks.get(job.id)
    if not job.enabled:
        answer.lines.append(f"as it stands it will be skipped: {job.id} is disabled ({job.position})")
    elif mark is not None and mark.paused is not None:
        answer.lines.append(f"as it stands it will be skipped: {job.id} is paused since {format_instant(mark.paused)}")
        answer.lines.append(f"it goes on when: dagsched resume {job.id}")
    elif (off := days_off(job, plan.book.calendars)) is not None and (reason := off.reason(tick)):
        answer.lines.append(f"as it stands it will be skipped: {reason}")
    else:
        answer.lines += _gates_to_come(job, tick)


def _gates_to_come(job: Job, tick: datetime) -> Iterator[str]:
    """Yield what a coming tick will have to pass."""
    if job.depends_on:
        yield "it will wait for " + ", ".join(f"{edge.job} ({edge.match})" for edge in job.depends_on)
    if job.when:
        yield f"it will run only when {' '.join(job.when.split())}"
    found = opening(job.window, job.timezone, tick) if job.window else None
    if found is not None and found.opens > tick:
        hours = ", ".join(map(str, job.window))
        skips = job.window[0].outside == "skip"
        then = "it will be skipped if it is ready then" if skips else f"it starts at {format_instant(found.opens)}"
        yield f"its window {hours} is closed then: {then}"


def _say_lost(plan: Plan, job: Job, tick: datetime, then: Then, answer: Answer) -> None:
    """Explain a tick of the past that no row accounts for."""
    mark = plan.book.marks.get(job.id)
    if mark is not None and mark.schedule_since is not None and then.is_newest and tick <= mark.schedule_since:
        since = format_instant(mark.schedule_since)
        words = f"{job.id}{_where(job, then)} has had this schedule only since {since}, which is later"
        _say(answer, "before this schedule was in force", words)
    elif mark is not None and tick <= mark.cursor:
        words = f"{run_name(job.id, tick)} was a tick, and what became of it is no longer kept (dagsched prune)"
        _say(answer, "no longer kept", words)
    else:
        words = f"{run_name(job.id, tick)} is due and its row is about to be made; is a daemon running?"
        _say(answer, "due, no daemon has made it yet", words)


# ---------------------------------------------------------------- parts of an answer


def _where(job: Job, then: Then) -> str:
    when = f" in configuration {then.version.number}" if then.version is not None and not then.is_newest else ""
    return (f" ({job.position}{when})" if job.position else "") if then.job is not None or not when else when


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
                "place": attempt.place or None,
            }
        )  # fmt: skip
    return rows


def _config_words(plan: Plan, run: Run, then: Then) -> str:
    place = f", {then.job.position}" if then.job is not None and then.job.position else ""
    if not run.config:
        return ""
    since = f" (in force since {format_instant(then.version.applied)})" if then.version is not None else ""
    return f", under configuration {run.config}{since}{place}"


def _note(job: Job, tick: datetime) -> str:
    note = dst_note(job.schedule, tick) if job.schedule is not None else ""
    return f" ({note})" if note else ""


def _length(length: timedelta) -> str:
    """Return a length as people say it: to the second, and to the minute from an hour on."""
    size = 60 if length >= timedelta(hours=1) else 1
    return format_length(timedelta(seconds=size * round(length.total_seconds() / size)))


