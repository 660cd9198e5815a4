"""P10, P11: pools and overlap, judged at every start, by the event log and by the journal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.torture.evidence import TERMINAL, Row, instant
from tests.torture.lives import ACTIVE, ENDS, Lives, is_schedule_tick
from tests.torture.world import Declared

Finding = tuple[str, str, str]

STARTED = ACTIVE - {"queued"}


@dataclass(frozen=True, slots=True)
class Held:
    """What an attempt takes of a pool for certain: under every configuration that may have been in force."""

    pool: str
    slots: int


def held(lives: Lives, run: str, attempt: int) -> Held | None:
    """Return what an attempt held; None when it held nothing, or when that is not certain."""
    started = lives.started_at(run, attempt)
    if started is None:
        return None
    declared = lives.evidence.declared(run.split(":")[1], started, started)
    pools = {each.pool for each in declared}
    if len(pools) != 1 or "" in pools:
        return None
    return Held(pools.pop(), min(each.slots for each in declared))


def pools_hold_by_the_record(lives: Lives) -> Iterator[Finding]:
    under_way: dict[str, Held] = {}
    for event, at in _in_order(lives):
        run = event["run"]
        if event["type"] == "run.started":
            mine = held(lives, run, event["attempt"])
            if mine is not None:
                under_way[run] = mine
                yield from _exceeds(lives, run, under_way, at, "by the record")
        elif event["type"] in ENDS:
            under_way.pop(run, None)


def _in_order(lives: Lives) -> Iterator[tuple[Row, datetime]]:
    """Yield each event with the instant as of which it was decided: an exit that came before an edit may follow it."""
    latest = datetime.min.replace(tzinfo=UTC)
    for event in lives.evidence.events:
        latest = max(latest, instant(event["time"]))
        yield event, latest


def pools_hold_by_the_journal(lives: Lives) -> Iterator[Finding]:
    last = {(line.run, line.attempt): line.place for line in lives.evidence.journal}
    under_way: dict[tuple[str, int], Held] = {}
    for line in lives.evidence.journal:
        if line.kind != "start":
            continue
        under_way = {key: each for key, each in under_way.items() if last[key] > line.place}
        key = (line.run, line.attempt)
        mine = held(lives, *key)
        if mine is not None:
            under_way[key] = mine
            alive = {f"{run}#{attempt}": each for (run, attempt), each in under_way.items()}
            beside = [other for other, each in under_way.items() if each.pool == mine.pool]
            yield from _exceeds(lives, f"{line.run}#{line.attempt}", alive, _decided(lives, beside), "by the journal")


def _decided(lives: Lives, attempts: Iterable[tuple[str, int]]) -> datetime:
    """Return when the newest of these attempts was ordered.

    Of two that start together either may write first, so it is not always the one whose line comes last.
    """
    return max(started for each in attempts if (started := lives.started_at(*each)) is not None)


def _exceeds(lives: Lives, run: str, alive: Mapping[str, Held], at: datetime, how: str) -> Iterator[Finding]:
    pool = alive[run].pool
    used = sum(each.slots for each in alive.values() if each.pool == pool)
    capacity = max(lives.evidence.capacities(pool, at), default=None)
    if capacity is not None and used > capacity:
        others = ", ".join(name for name, each in alive.items() if each.pool == pool and name != run)
        yield "P10", run.partition("#")[0], f"took pool {pool} to {used} of {capacity} slots {how}, beside {others}"


# ---------------------------------------------------------------- seats


def seats_hold_by_the_record(lives: Lives) -> Iterator[Finding]:
    seated: dict[str, set[str]] = {}
    for event, at in _in_order(lives):
        job, run = event["job"], event["run"]
        if event["type"] == "run.started":
            mine = seated.setdefault(job, set())
            limit = _limit(lives, job, at)
            if run not in mine and limit is not None and len(mine) >= limit:
                yield "P11", run, f"is run number {len(mine) + 1} of {limit} active ones, beside {', '.join(mine)}"
            mine.add(run)
        elif run and event["to"] in TERMINAL | {"waiting"}:
            seated.get(job, set()).discard(run)


def seats_hold_by_the_journal(lives: Lives) -> Iterator[Finding]:
    last = {(line.run, line.attempt): line.place for line in lives.evidence.journal}
    firsts = {(event["run"], event["attempt"]) for event in lives.first_starts()}
    alive: dict[str, set[tuple[str, int]]] = {}
    for line in lives.evidence.journal:
        if line.kind != "start" or line.run not in lives.rows:
            continue
        job, key = line.run.split(":")[1], (line.run, line.attempt)
        mine = alive[job] = {other for other in alive.get(job, ()) if last[other] > line.place and other[0] != line.run}
        known = [each for each in (*mine, key) if lives.started_at(*each) is not None]
        seated = [_seat_of(each, firsts) for each in known]
        limit = _limit(lives, job, _decided(lives, seated)) if key in known else None
        if key in firsts and limit is not None and len(mine) >= limit:
            others = ", ".join(run for run, _ in mine)
            yield "P11", line.run, f"lived as number {len(mine) + 1} of {limit} allowed, beside {others}"
        mine.add(key)


def _seat_of(attempt: tuple[str, int], firsts: set[tuple[str, int]]) -> tuple[str, int]:
    """Return the attempt with which a run took the seat that this one of its attempts has: a retry takes none."""
    run, number = attempt
    return run, max((n for name, n in firsts if name == run and n <= number), default=number)


def _limit(lives: Lives, job: str, at: datetime) -> int | None:
    limits = [each.active_max for each in lives.evidence.declared(job, at, at)]
    certain = [limit for limit in limits if limit is not None]
    return max(certain) if certain and len(certain) == len(limits) else None


# ---------------------------------------------------------------- policies


def overlap_reasons_are_true(lives: Lives) -> Iterator[Finding]:
    # What is left of a range that is split for one of its ticks says again what the range said in its own time.
    split = {(event["job"], event["time"]) for event in lives.evidence.events if event["type"] == "run.reopened"}
    for event in lives.evidence.events:
        reason = event["reason"] or ""
        if event["type"] not in ("run.skipped", "run.cancelled", "run.stopping"):
            continue
        if event["type"] == "run.skipped" and event["from"] is None and (event["job"], event["time"]) in split:
            continue
        declared = lives.evidence.declared(event["job"], instant(event["time"]), instant(event["time"]))
        policies = {each.overlap for each in declared}
        if reason.startswith("overlap: ") and event["type"] == "run.skipped":
            yield from _was_active(lives, event, reason.split()[1])
            if "skip" not in policies:
                yield "P11", event["run"], f"was left out by overlap, and the policy was {policies}"
        if reason.startswith("replaced by") and event["type"] != "run.cancelled" and "replace" not in policies:
            yield "P11", event["run"], f"was {reason}, and the policy was {policies}"


def _was_active(lives: Lives, event: Row, other: str) -> Iterator[Finding]:
    states = {lives.state_at(other, seq) for seq in (event["seq"], lives.end_of_moment(event))}
    states |= {each["to"] for each in lives.events[other] if each["time"] == event["time"]}
    if not states & ACTIVE:
        yield "P11", event["run"], f"was left out because {other} was active, and that was {states}"


def skippers_do_not_queue(lives: Lives) -> Iterator[Finding]:
    """Under `overlap: skip` a live newcomer that finds every place taken by live runs is left out.

    One that waits for a backfill's run to end takes none.
    """
    for run in lives.rows:
        event = next((each for each in lives.events[run] if each["to"] == "queued"), None)
        if event is None or not _is_live_one(lives, run):
            continue
        at = instant(event["time"])
        declared = lives.evidence.declared(event["job"], at, at)
        if not _all_skip(declared) or lives.state_at(run, lives.end_of_moment(event)) not in ACTIVE:
            continue
        states = {
            row["run"]: lives.state_at(row["run"], lives.end_of_moment(event)) for row in lives.by_job[event["job"]]
        }
        is_held_up = any(lives.rows[name]["trigger"] == "backfill" and states[name] in STARTED for name in states)
        taking = STARTED if is_held_up else ACTIVE
        others = [name for name in states if name != run and _is_live_one(lives, name) and states[name] in taking]
        if len(others) >= max(each.active_max or 0 for each in declared):
            yield "P11", run, f"was queued though overlap is skip and active were {', '.join(others)}"


def _all_skip(declared: list[Declared]) -> bool:
    return bool(declared) and all(each.overlap == "skip" and each.active_max is not None for each in declared)


def _is_live_one(lives: Lives, run: str) -> bool:
    row = lives.rows[run]
    return row["trigger"] == "schedule" and is_schedule_tick(instant(row["tick"])) and not lives.is_reopened(run)


CHECKS = (
    pools_hold_by_the_record,
    pools_hold_by_the_journal,
    seats_hold_by_the_record,
    seats_hold_by_the_journal,
    overlap_reasons_are_true,
    skippers_do_not_queue,
)
