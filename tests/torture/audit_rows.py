"""P1, P4, P12: rows against the ticks that were due, computed here by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.torture.evidence import FOREVER, LEFT_OUT, Row, Version, instant
from tests.torture.lives import Lives, is_schedule_tick, ticks_of
from tests.torture.world import World

Finding = tuple[str, str, str]

# The daemon looks at the time at least once a second; a tick in the last moment before a stop may be unseen.
UNSEEN = timedelta(seconds=2)


def ticks_have_one_row(lives: Lives) -> Iterator[Finding]:
    names = [row["run"] for row in lives.evidence.history]
    for run in sorted({name for name in names if names.count(name) > 1} if len(set(names)) < len(names) else ()):
        yield "P1", run, "has more than one row"
    for rows in lives.by_job.values():
        last, name = None, ""
        for row in rows:
            first, until = ticks_of(row)
            if last is not None and first <= last and is_schedule_tick(first):
                yield "P1", row["run"], f"its tick lies in the row of {name} too"
            if last is None or until > last:
                last, name = until, row["run"]


def due_ticks_have_rows(lives: Lives) -> Iterator[Finding]:
    versions = lives.evidence.versions
    for place, version in enumerate(versions):
        is_last = place + 1 == len(versions)
        until = lives.evidence.stopped - UNSEEN if is_last else versions[place + 1].applied
        if until.year == FOREVER.year:
            continue
        for job, tick in _due_for_certain(version, until):
            if lives.covering(job, tick) is None:
                yield "P4", f"job:{job}:{tick:%Y-%m-%dT%H:%M:%SZ}", f"was due under version {version.number}; no row"


def _due_for_certain(version: Version, until: datetime) -> set[tuple[str, datetime]]:
    each = [_due(world, version.applied, until) for world in version.candidates]
    return set.intersection(*each) if each else set()


def _due(world: World, after: datetime, until: datetime) -> set[tuple[str, datetime]]:
    found = set()
    for job in world.jobs.values():
        if job.is_scheduled:
            names = [job.id, *(below.id for below in world.below(job.id))]
            found |= {(name, tick) for tick in job.ticks(after, until) for name in names}
    return found


def rows_are_on_schedule(lives: Lives) -> Iterator[Finding]:
    known = {id for version in lives.evidence.versions for world in version.candidates for id in world.jobs}
    for row in lives.evidence.history:
        if row["job"] not in known:
            yield "P12", row["run"], "no configuration ever declared this job"
            continue
        for tick in dict.fromkeys(ticks_of(row)):
            if is_schedule_tick(tick) and not is_due(lives, row, tick) and not _was_filled(lives, row, tick):
                yield "P12", row["run"], f"no schedule in force had the tick {tick:%H:%M:%S}"
        if not is_schedule_tick(ticks_of(row)[0]):
            yield from _made_by_a_person(lives, row)


def is_due(lives: Lives, row: Row, tick: datetime, *, certainly: bool = False) -> bool:
    """Whether a configuration that may have been in force (`certainly`: all of them) gave the row's job this tick."""
    version = lives.evidence.version_at(tick)
    if version is None:
        return False
    return (all if certainly else any)(_has(world, row, tick) for world in version.candidates)


def _was_filled(lives: Lives, row: Row, tick: datetime) -> bool:
    """Whether a backfill may have made the tick: one of a schedule in force while that was under way."""
    if row["trigger"] != "backfill":
        return False
    born = lives.born(row["run"])
    made = instant(born["time"]) if born is not None else None
    return any(
        _has(world, row, tick)
        for version in lives.evidence.versions
        if made is None or version.applied <= made
        for world in version.candidates
    )


def _has(world: World, row: Row, tick: datetime) -> bool:
    job = world.jobs.get(row["job"])
    if job is None:
        return False
    if job.is_scheduled:
        return job.is_due_at(tick)
    return any(each.is_due_at(tick) and job in world.below(each.id) for each in world.jobs.values())


def _made_by_a_person(lives: Lives, row: Row) -> Iterator[Finding]:
    if row["trigger"] == "upstream":
        above = {other["trigger"] for other in lives.evidence.history if other["tick"] == row["tick"]}
        if not above & {"manual", "event"}:
            yield "P12", row["run"], "no trigger made its tick"
    elif row["trigger"] == "event":
        emitted = {verb["args"][1] for verb in lives.evidence.verbs if verb["args"][0] == "emit"}
        tick = instant(row["tick"])
        # An emission "now" while that millisecond is taken is a little later than now.
        declared = lives.evidence.declared(row["job"], tick - timedelta(seconds=1), tick)
        if declared and not emitted & {each.event for each in declared}:
            yield "P12", row["run"], "nobody emitted an event that its job listens to"
    elif row["trigger"] != "manual":
        yield "P12", row["run"], f"a tick between two seconds made by {row['trigger']}"
    else:
        asked = [verb["args"] for verb in lives.evidence.verbs if verb["args"][0] == "trigger"]
        if not any(args[1] == row["job"] or "--with-upstream" in args for args in asked):
            yield "P12", row["run"], "nobody triggered this job"


def answers_are_kept(lives: Lives) -> Iterator[Finding]:
    """What `trigger` and `emit` said they made must be there: an answer is given once it is durable."""
    for verb in lives.evidence.verbs:
        if verb["args"][0] in ("trigger", "emit") and verb["code"] == 0:
            for run in runs_answered(verb):
                if run not in lives.rows:
                    yield "P4", run, f"{verb['args'][0]} answered with this run, and it has no row"


def runs_answered(verb: Row) -> list[str]:
    """Return the runs that a command said it made."""
    return [line for line in verb["out"].splitlines() if line.startswith("job:")]


def reasons_fit(lives: Lives) -> Iterator[Finding]:
    for row in lives.evidence.history:
        if row["state"] in LEFT_OUT | {"upstream_failed", "cancelled"} and not row["reason"]:
            yield "P4", row["run"], f"is {row['state']} for no reason"
        born = lives.born(row["run"])
        if born is None or lives.is_reopened(row["run"]):
            continue
        made = instant(born["time"])
        policies = {each.catchup for each in lives.evidence.declared(row["job"], made, made)}
        if row["trigger"] == "catchup" and policies and policies <= {"none"}:
            yield "P4", row["run"], "was caught up though catchup is none"
        if row["reason"].startswith("down from") and "none" not in policies and row["trigger"] == "schedule":
            yield "P4", row["run"], f"was left out ({row['reason']}) though catchup is {policies}"
        if row["reason"].startswith("coalesced") and "latest" not in policies and row["trigger"] == "schedule":
            yield "P4", row["run"], f"was {row['reason']} though catchup is {policies}"
        yield from _stand_in_exists(lives, row)


def _stand_in_exists(lives: Lives, row: Row) -> Iterator[Finding]:
    stand_in = lives.evidence.shows.get(row["run"], {}).get("stand_in")
    if stand_in and lives.covering(row["job"], instant(stand_in.split(":", 2)[2])) is None:
        yield "P4", row["run"], f"{stand_in} stands in for it and has no row"


def pauses_hold(lives: Lives) -> Iterator[Finding]:
    windows: dict[str, list[list[datetime]]] = {}
    for event in lives.evidence.events:
        if event["type"] == "job.paused":
            windows.setdefault(event["job"], []).append([instant(event["time"]), FOREVER])
        elif event["type"] == "job.resumed" and windows.get(event["job"]):
            windows[event["job"]][-1][1] = instant(event["time"])
    for row in lives.evidence.history:
        if row["trigger"] not in ("schedule", "catchup", "event"):
            continue
        first, last = ticks_of(row)
        inside = [w for w in windows.get(row["job"], []) if w[0] <= first <= w[1]]
        if row["reason"] == "paused" and not any(w[0] <= first and last <= w[1] for w in inside):
            yield "P4", row["run"], "was skipped as paused, and the job was not paused"
        if any(w[0] < first for w in inside) and row["attempts"] and not lives.is_reopened(row["run"]):
            yield "P4", row["run"], "ran though its job was paused"


CHECKS = (ticks_have_one_row, due_ticks_have_rows, rows_are_on_schedule, answers_are_kept, reasons_fit, pauses_hold)
