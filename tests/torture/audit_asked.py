"""P1, P4, P7, P14: events and backfills, as they were asked for and as they became rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from tests.torture.audit_rows import runs_answered
from tests.torture.evidence import Row, instant, run_parts
from tests.torture.lives import Lives
from tests.torture.world import World

Finding = tuple[str, str, str]

SECOND = timedelta(seconds=1)
# Instants in the record are cut to milliseconds.
CUT = timedelta(milliseconds=2)


# ---------------------------------------------------------------- events


def emissions_are_made_once(lives: Lives) -> Iterator[Finding]:
    """An event of a name and an id makes runs once, however often and to however many daemons it is said."""
    made: dict[tuple[str, str], set[str]] = defaultdict(set)
    asked: dict[str, list[str]] = defaultdict(list)
    for verb in _given(lives, "emit"):
        name, id = verb["args"][1], _option(verb, "--id")
        asked[name].append(id)
        if id and (runs := runs_answered(verb)):
            made[name, id].add(runs[0].split(":", 2)[2])
    for (name, id), ticks in made.items():
        if len(ticks) > 1:
            yield "P1", "", f"event {name} with the id {id} made the ticks {', '.join(sorted(ticks))}"
    emitted = [event["reason"] for event in lives.evidence.events if event["type"] == "event.emitted"]
    for name in set(emitted):
        most = asked[name].count("") + len({id for id in asked[name] if id})
        if emitted.count(name) > most:
            yield "P1", "", f"event {name} was emitted {emitted.count(name)} times, and asked for at most {most} times"


def emissions_reach_all(lives: Lives) -> Iterator[Finding]:
    """Whoever listens for certain has a row at the event's tick, and so have those below without a schedule."""
    for verb in _given(lives, "emit"):
        runs = runs_answered(verb) if verb["code"] == 0 else []
        if not runs:
            continue
        tick = run_parts(runs[0])[1]
        version = lives.evidence.version_at(tick)
        newer = lives.evidence.version_at(tick + SECOND)
        if version is None or newer is not version or tick - version.applied < SECOND:
            continue  # An edit at that moment leaves open who listened.
        certain = set.intersection(*(_hearers(world, verb["args"][1]) for world in version.candidates))
        for job in sorted(certain):
            if lives.covering(job, tick) is None:
                yield "P4", f"job:{job}:{runs[0].split(':', 2)[2]}", f"listens to {verb['args'][1]}, and has no row"


def _hearers(world: World, event: str) -> set[str]:
    listeners = [job.id for job in world.jobs.values() if job.event == event]
    return {*listeners, *(below.id for id in listeners for below in world.below(id))}


# ---------------------------------------------------------------- backfills


def backfills_come_to_an_end(lives: Lives) -> Iterator[Finding]:
    for backfill in lives.evidence.backfills:
        if backfill["state"] == "active":
            yield "P7", "", f"backfill {backfill['id']} of {backfill['job']} is active for ever: {backfill}"


def backfills_make_every_tick(lives: Lives) -> Iterator[Finding]:
    """One that is done has left no tick without a row that its job had under all configurations meanwhile."""
    for backfill in lives.evidence.backfills:
        if backfill["state"] != "done":
            continue
        began, ended = instant(backfill["created"]), instant(backfill["ended"])
        declared = lives.evidence.declared(backfill["job"], began, ended)
        first, last = instant(backfill["first"]), instant(backfill["last"])
        ticks = [set(job.ticks(first - CUT, last)) for job in declared]
        for tick in sorted(set.intersection(*ticks)) if ticks else ():
            if tick >= first and lives.covering(backfill["job"], tick) is None:
                name = f"job:{backfill['job']}:{tick:%Y-%m-%dT%H:%M:%SZ}"
                yield "P4", name, f"backfill {backfill['id']} is done, and this tick of it has no row"


def backfills_answered_are_kept(lives: Lives) -> Iterator[Finding]:
    """A backfill that was answered with its number stands in the log, and in the list of backfills."""
    known = {backfill["id"]: backfill["job"] for backfill in lives.evidence.backfills}
    for verb in _given(lives, "backfill"):
        words = verb["out"].split()
        if verb["code"] or len(words) < 4 or words[0] != "backfill" or not words[1].isdigit():
            continue
        number, job = int(words[1]), words[3].rstrip(":")
        until = datetime.fromtimestamp(verb["done"], UTC) + CUT
        if known.get(number) != job:
            yield "P14", "", f"backfill {number} of {job} was answered, and the list has {known.get(number)} there"
        started = (event for event in lives.evidence.events if event["type"] == "backfill.started")
        if not any(event["job"] == job and instant(event["time"]) <= until for event in started):
            yield "P14", "", f"backfill {number} of {job} was answered and left no event"


def backfilled_runs_were_asked_for(lives: Lives) -> Iterator[Finding]:
    """A row that a backfill made lies in the stretch of one that was there when it was made."""
    stretches = [
        (instant(each["first"]), instant(each["last"]), instant(each["created"])) for each in lives.evidence.backfills
    ]
    for row in lives.evidence.history:
        born = lives.born(row["run"])
        if row["trigger"] != "backfill" or born is None:
            continue
        tick = instant(row["tick"])
        newest = instant(lives.events[row["run"]][-1]["time"])
        if not any(first <= tick <= last and created <= newest for first, last, created in stretches):
            yield "P12", row["run"], "no backfill asked for this tick"


# ---------------------------------------------------------------- commands


def _given(lives: Lives, verb: str) -> Iterator[Row]:
    return (each for each in lives.evidence.verbs if each["args"][0] == verb)


def _option(verb: Row, name: str) -> str:
    args = verb["args"]
    return str(args[args.index(name) + 1]) if name in args else ""


CHECKS = (
    emissions_are_made_once,
    emissions_reach_all,
    backfills_come_to_an_end,
    backfills_make_every_tick,
    backfills_answered_are_kept,
    backfilled_runs_were_asked_for,
)
