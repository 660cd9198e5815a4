"""What a rehearsal showed, as one JSON-able document, with what was assumed in plain words."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dagsched import reasons
from dagsched.counting import counted
from dagsched.model import Config, Outcome, Run, format_instant
from dagsched.rehearsal.days import Day, Step, days_of
from dagsched.rehearsal.habits import ASSUMED, Habit, Source
from dagsched.rehearsal.heat import heat_of
from dagsched.rehearsal.rehearse import AFTERWARDS, Rehearsed, ticks_in
from dagsched.rehearsal.waits import FOR_CAPACITY, Cause
from dagsched.triggers import local

SHOWN_MAX = 10

NOTHING = timedelta(0)
NO_POOL = "(none)"


def report(
    rehearsed: Rehearsed, habits: Mapping[str, Habit], seed: int, opened: Sequence[str] = ()
) -> dict[str, Any]:
    """Return the document that `simulate --json` prints; lengths in seconds, instants in UTC, dates local.

    `opened`: jobs that were rehearsed without their condition.
    """
    zone = timezone_of(rehearsed.config)
    days = days_of(rehearsed, zone)
    heat = heat_of(rehearsed.attempts, rehearsed.start, rehearsed.until, zone)
    ticks = ticks_in(rehearsed)
    late = list(_late(rehearsed))
    return {
        "from": format_instant(rehearsed.start),
        "until": format_instant(rehearsed.until),
        "timezone": zone,
        "seed": seed,
        "slots": rehearsed.slots,
        "states": _counted((state, count) for (_, state, _), count in ticks.items()),
        "left_out": _counted((_kind(reason), n) for (_, state, reason), n in ticks.items() if _is_left(state)),
        "attempts": _attempts(rehearsed),
        "waits": _waits(rehearsed),
        "pools": _by(rehearsed, lambda run: _job_field(rehearsed, run, "pool") or NO_POOL, rehearsed.config.pools),
        "priorities": _by(rehearsed, lambda run: str(_job_field(rehearsed, run, "priority") or 0)),
        "deadlines": {"declared": _deadlines(rehearsed.config), "late": late},
        "finish": _finish(days, zone),
        "days": [_day(day, zone) for day in days],
        "heat": [{"date": date.isoformat(), "hours": [round(x, 3) for x in hours]} for date, hours in heat.items()],
        "jobs": _jobs(rehearsed, habits, ticks, Counter(row["job"] for row in late)),
        "assumptions": list(assumptions(rehearsed, habits, zone, opened)),
    }


def timezone_of(config: Config) -> str:
    """Return the zone that most schedules are in, UTC without any."""
    zones = Counter(job.schedule.timezone for job in config.jobs.values() if job.schedule is not None)
    return min(zones, key=lambda zone: (-zones[zone], zone), default="UTC")


def spread(lengths: Sequence[timedelta]) -> dict[str, Any]:
    """Return how many lengths there are, and their p50, p95 and maximum in seconds (nearest rank; None of nothing)."""
    ordered = sorted(lengths)

    def at(percent: int) -> float | None:
        return ordered[math.ceil(len(ordered) * percent / 100) - 1].total_seconds() if ordered else None

    return {"runs": len(ordered), "p50_s": at(50), "p95_s": at(95), "max_s": at(100)}


# ---------------------------------------------------------------- runs


def _counted(items: Iterable[tuple[Any, int]]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for name, count in items:
        found[str(name)] += count
    return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


def _is_left(state: str) -> bool:
    return state in ("skipped", "missed", "cancelled", "upstream_failed")


def _kind(reason: str) -> str:
    known = reasons.read(reason)
    return known.kind if known is not None else reason or "no reason given"


def _attempts(rehearsed: Rehearsed) -> dict[str, Any]:
    outcomes = Counter(str(attempt.outcome) for attempt in rehearsed.attempts if attempt.outcome is not None)
    return {
        "started": len(rehearsed.attempts),
        "retries": sum(attempt.number > 1 for attempt in rehearsed.attempts),
        "timed_out": outcomes[str(Outcome.TIMED_OUT)],
        "failed": outcomes[str(Outcome.FAILED)],
        "unfinished": sum(attempt.outcome is None for attempt in rehearsed.attempts),
    }


# ---------------------------------------------------------------- waits


def _waits(rehearsed: Rehearsed) -> dict[str, Any]:
    """Return by cause how many runs waited for it at all, and how long those did."""
    by_cause: dict[Cause, list[timedelta]] = defaultdict(list)
    for run in rehearsed.rows:
        for cause, spent in rehearsed.waits.spent.get(run.key, {}).items():
            by_cause[cause].append(spent)
    return {
        str(cause): {**spread(by_cause[cause]), "total_s": sum(by_cause[cause], NOTHING).total_seconds()}
        for cause in Cause
        if cause in by_cause
    }


def _by(rehearsed: Rehearsed, name_of: Any, capacities: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return by name how long runs that were started had waited because others used what they needed."""
    found: dict[str, list[timedelta]] = defaultdict(list)
    for run in rehearsed.rows:
        if run.attempts and run.job in rehearsed.config.jobs:
            found[name_of(run)].append(_waited(rehearsed, run))
    names = sorted({*found, *(capacities or ())}, key=_in_order)
    rows = {name: {**spread(found[name]), "waited": sum(map(bool, found[name]))} for name in names}
    if capacities is not None:
        for name, row in rows.items():
            row["slots"] = capacities.get(name)
    return rows


def _in_order(name: str) -> tuple[float, str]:
    """Sort priorities with the highest first, and names by themselves."""
    try:
        return (-float(name), "")
    except ValueError:
        return (math.inf, name)


def _waited(rehearsed: Rehearsed, run: Run) -> timedelta:
    spent = rehearsed.waits.spent.get(run.key, {})
    return sum((spent[cause] for cause in FOR_CAPACITY if cause in spent), NOTHING)


def _job_field(rehearsed: Rehearsed, run: Run, name: str) -> Any:
    return getattr(rehearsed.config.jobs[run.job], name, None)


# ---------------------------------------------------------------- deadlines


def _deadlines(config: Config) -> int:
    return sum(getattr(job, "deadline", None) is not None for job in config.jobs.values())


def _late(rehearsed: Rehearsed) -> Iterator[dict[str, Any]]:
    """Yield the runs that had not ended by their job's deadline, oldest tick first."""
    for run in rehearsed.rows:
        job = rehearsed.config.jobs.get(run.job)
        deadline = getattr(job, "deadline", None)
        if deadline is None or not (run.attempts or not run.state.is_terminal):
            continue
        by = run.tick + deadline
        ended = run.ended if run.state.is_terminal else None
        if getattr(run, "late", (ended or rehearsed.virtual.now) > by):
            late = (ended or rehearsed.virtual.now) - by
            yield {
                "run": run.name, "job": run.job, "deadline": format_instant(by),
                "ended": format_instant(ended) if ended else None, "late_s": late.total_seconds(),
            }  # fmt: skip


# ---------------------------------------------------------------- days


def _finish(days: Sequence[Day], zone: str) -> dict[str, Any]:
    """Return when days are finished, counted from their midnight; whole days alone, if there are any."""
    counted = [day for day in days if day.is_whole] or list(days)
    after = [length for day in counted if (length := _after_midnight(day, zone)) is not None]
    figures = spread(after)
    return {"days": figures["runs"], "p50_s": figures["p50_s"], "p95_s": figures["p95_s"], "max_s": figures["max_s"]}


def _after_midnight(day: Day, zone: str) -> timedelta | None:
    """Return how long after its midnight a day was finished, as its clocks show it."""
    if day.finish is None:
        return None
    return local(day.finish, zone).replace(tzinfo=None) - datetime(day.date.year, day.date.month, day.date.day)


def _day(day: Day, zone: str) -> dict[str, Any]:
    after = _after_midnight(day, zone)
    return {
        "date": day.date.isoformat(),
        "whole": day.is_whole,
        "runs": day.runs,
        "finish": format_instant(day.finish) if day.finish else None,
        "finish_s": after.total_seconds() if after is not None else None,
        "critical_path": [_step(step) for step in day.chain],
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "run": step.run.name,
        "job": step.run.job,
        "because": step.because,
        "started": format_instant(step.started),
        "ended": format_instant(step.ended),
        "waited_s": step.waited.total_seconds(),
        "duration_s": (step.ended - step.started).total_seconds(),
        "attempts": step.run.attempts,
        "state": str(step.run.state),
    }


# ---------------------------------------------------------------- jobs


def _jobs(
    rehearsed: Rehearsed,
    habits: Mapping[str, Habit],
    ticks: Mapping[tuple[str, Any, str], int],
    late: Mapping[str, int],
) -> list[dict[str, Any]]:
    states: dict[str, Counter[str]] = defaultdict(Counter)
    skips: Counter[str] = Counter()
    waited: dict[str, list[timedelta]] = defaultdict(list)
    retries: Counter[str] = Counter()
    for (job, state, reason), count in ticks.items():
        states[job][str(state)] += count
        skips[job] += count if reasons.read(reason) is reasons.OVERLAP else 0
    for run in rehearsed.rows:
        if run.attempts:
            waited[run.job].append(_waited(rehearsed, run))
            retries[run.job] += run.attempts - 1
    return [
        {
            "job": id, "states": dict(sorted(states[id].items())), "overlaps": skips[id], "retries": retries[id],
            "late": late.get(id, 0), "waited": spread(waited[id]), "lengths_from": str(habits[id].lengths_from),
            "fail_rate": round(habits[id].fail_rate, 4), "fail_rate_from": str(habits[id].fail_rate_from),
        }
        for id in rehearsed.config.jobs
    ]  # fmt: skip


# ---------------------------------------------------------------- what was assumed


def assumptions(
    rehearsed: Rehearsed, habits: Mapping[str, Habit], zone: str, opened: Sequence[str] = ()
) -> Iterator[str]:
    """Yield in plain words what the figures rest on besides the job files; `opened`: whose conditions were left out."""
    used = [habits[id] for id in rehearsed.config.jobs]
    lengths = Counter(habit.lengths_from for habit in used)
    failures = Counter(habit.fail_rate_from for habit in used)
    if lengths[Source.HISTORY]:
        yield (
            f"{counted(lengths[Source.HISTORY], 'job')} {_take(lengths[Source.HISTORY])} as long as one of the newest "
            "successes on record, each as likely"
        )
    if lengths[Source.GIVEN]:
        yield f"{counted(lengths[Source.GIVEN], 'job')} {_take(lengths[Source.GIVEN])} as long as was said"
    if lengths[Source.ASSUMED]:
        yield (
            f"{counted(lengths[Source.ASSUMED], 'job')} without a success on record {_take(lengths[Source.ASSUMED])} "
            f"{int(ASSUMED.total_seconds())} s, or half the timeout where that is shorter"
        )
    if failures[Source.HISTORY]:
        yield f"attempts of {counted(failures[Source.HISTORY], 'job')} fail as often as those on record"
    if failures[Source.GIVEN]:
        yield f"attempts of {counted(failures[Source.GIVEN], 'job')} fail as often as was said"
    if failures[Source.ASSUMED]:
        yield f"attempts of {counted(failures[Source.ASSUMED], 'job')} without a record never fail"
    if any(habit.outputs for habit in used):
        yield "a success puts out what the newest one on record did"
    if opened:
        more = f" and {len(opened) - SHOWN_MAX} more" if len(opened) > SHOWN_MAX else ""
        yield f"conditions on outputs that are not on record hold: {', '.join(opened[:SHOWN_MAX])}{more}"
    yield "a failed attempt takes as long as one that succeeds, and one length does not depend on another"
    yield from _about_the_start(rehearsed)
    yield "the daemon is always there, starts at once what may start; nobody triggers, emits, edits or pauses anything"
    limit = f"{counted(rehearsed.slots, 'attempt')} at a time" if rehearsed.slots else "no limit on attempts at a time"
    yield f"{limit}, and a machine that is never too slow for them"
    yield f"days are those of {zone}; a day is finished when the last job that is due once that day has ended"


def _about_the_start(rehearsed: Rehearsed) -> Iterator[str]:
    if rehearsed.went_on:
        yield "it begins with the state as it is: runs under way, pauses, and what is due and has not run yet"
    else:
        yield "it begins with nothing under way; the tick of each schedule before the start counts as a success"
    if not rehearsed.is_over:
        hours = int(AFTERWARDS.total_seconds() // 3600)
        yield f"runs that were not over {hours} h after the end are counted as they then stood"


def _take(count: int) -> str:
    return "takes" if count == 1 else "take"
