"""Holds the record of one round against what really happened, promise by promise.

    audit(evidence) -> violations, in the words of the promise they break

P1  one row per (job, tick)                      P9   attempt n+1 only when nothing of attempt n lives
P2  an attempt number starts at most once        P10  pool slots are never exceeded
P3  no start before its upstreams allow it       P11  the overlap policy holds
P4  every due tick is accounted for              P12  no row off the schedule, none of an unknown job
P5  the record is true                           P13  a terminal state stays, rows do not vanish
P6  no process without a durable row             P14  one event per transition, numbered without a gap
P7  nothing stays open once nothing is due       P15  after a clean stop no process is left
P8  attempts within max_attempts, crashes count

A check speaks only where the evidence is certain: where an edit and a kill leave open which configuration was in
force, every candidate must condemn the row. `python -m tests.torture.auditor FOLDER` audits a folder that was kept.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.torture import audit_asked, audit_gates, audit_joins, audit_journal, audit_rows, audit_seats, audit_told
from tests.torture.evidence import BAD, LEFT_OUT, TERMINAL, Evidence, read_folder
from tests.torture.lives import Lives

Finding = tuple[str, str, str]
Check = Callable[[Lives], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise that was broken, by which run ("" for none), and the seed that replays the round."""

    promise: str
    run: str
    words: str
    seed: int

    def __str__(self) -> str:
        return f"{self.promise} seed {self.seed} {self.run}: {self.words}"


def audit(evidence: Evidence) -> list[Violation]:
    """Return every violation found, in order of the promises."""
    lives = Lives(evidence)
    found = [Violation(*finding, evidence.seed) for check in CHECKS for finding in check(lives)]
    return sorted(found, key=lambda each: (int(each.promise[1:]) if each.promise[1:].isdigit() else 0, each.run))


def repeated_work(evidence: Evidence) -> list[str]:
    """Return the attempts that ended with exit 0 by themselves and whose run was attempted again, unasked.

    The goal is none. One that the death of a spawner explains breaks no promise: killed in the very moment in which
    an attempt ends, nobody sees the end, and the attempt counts as lost. Any other breaks P5, also where another
    scheduler took over: the spawner goes on, and its machine hands the end over.
    """
    return [f"{run} attempt {attempt}" for run, attempt in audit_journal.repeated(Lives(evidence))]


# ---------------------------------------------------------------- events


def _events_are_gapless(lives: Lives) -> Iterator[Finding]:
    for number, event in enumerate(lives.evidence.events, 1):
        if event["seq"] != number:
            yield "P14", event["run"] or "", f"event {event['seq']} stands where {number} should"
            return


def _events_are_a_chain(lives: Lives) -> Iterator[Finding]:
    for run, events in lives.events.items():
        state = None
        for event in events:
            if event["from"] != state:
                yield "P14", run, f"event {event['seq']} leaves {event['from']}, but the run was {state}"
            if state in TERMINAL and event["to"] != state and event["type"] != "run.reopened":
                yield "P13", run, f"event {event['seq']} ({event['type']}) made {event['to']} of {state}"
            state = event["to"]
        row = lives.rows.get(run)
        if row is not None and row["state"] != state:
            yield "P14", run, f"the row says {row['state']}, its newest event {state}"
        if row is None and not _was_split(lives, run):
            yield "P13", run, f"the run has events up to {state}, and no row"


def _rows_have_events(lives: Lives) -> Iterator[Finding]:
    for run, row in lives.rows.items():
        if not lives.events.get(run) and not (row["state"] in LEFT_OUT | BAD and _was_split(lives, run)):
            yield "P14", run, f"a row that is {row['state']} and has no event"


def _was_split(lives: Lives, run: str) -> bool:
    job = run.split(":")[1]
    return any(lives.is_reopened(row["run"]) for row in lives.by_job[job])


def _reruns_were_asked_for(lives: Lives) -> Iterator[Finding]:
    if any(verb["args"][0] in ("rerun", "backfill") for verb in lives.evidence.verbs):
        return
    for run in lives.rows:
        if lives.is_reopened(run):
            yield "P13", run, "was re-opened, and nobody asked for it"


def _rows_last(lives: Lives) -> Iterator[Finding]:
    for snapshot in lives.evidence.snapshots:
        for row in snapshot:
            now = lives.rows.get(row["run"])
            if now is None:
                if not _was_split(lives, row["run"]):
                    yield "P13", row["run"], f"was {row['state']} and has vanished"
            elif row["state"] in TERMINAL and now["state"] != row["state"] and not lives.is_reopened(row["run"]):
                yield "P13", row["run"], f"was {row['state']} and is {now['state']}"


# ---------------------------------------------------------------- ends


def _everything_ended(lives: Lives) -> Iterator[Finding]:
    for row in lives.evidence.history:
        if row["state"] not in TERMINAL:
            yield "P7", row["run"], f"is still {row['state']}: {row['reason']}"


def _nothing_is_left(lives: Lives) -> Iterator[Finding]:
    for words in lives.evidence.left:
        yield "P15", "", words


def _what_the_driver_saw(lives: Lives) -> Iterator[Finding]:
    for promise, words in lives.evidence.remarks:
        yield promise, "", words


def _attempts_are_limited(lives: Lives) -> Iterator[Finding]:
    for run, show in lives.evidence.shows.items():
        started = len(lives.starts(run))
        if show["attempts"] != started:
            yield "P8", run, f"the row counts {show['attempts']} attempts, the events {started}"
        if started > show["attempt_limit"] and started:
            yield "P8", run, f"{started} attempts of at most {show['attempt_limit']}"
        born = lives.born(run)
        if born is not None and started:
            yield from _within_declared(lives, run, started)


def _within_declared(lives: Lives, run: str, started: int) -> Iterator[Finding]:
    from tests.torture.evidence import instant

    events = lives.events[run]
    declared = lives.evidence.declared(run.split(":")[1], instant(events[0]["time"]), instant(events[-1]["time"]))
    grants = 1 + sum(event["type"] == "run.reopened" for event in events)
    most = max((each.attempts_max for each in declared), default=None)
    if most is not None and started > most * grants:
        yield "P8", run, f"{started} attempts, though at most {most} were declared and {grants - 1} reruns asked for"


CHECKS: tuple[Check, ...] = (
    *audit_rows.CHECKS,
    *audit_joins.CHECKS,
    *audit_journal.CHECKS,
    *audit_seats.CHECKS,
    *audit_gates.CHECKS,
    *audit_asked.CHECKS,
    *audit_told.CHECKS,
    _events_are_gapless,
    _events_are_a_chain,
    _rows_have_events,
    _reruns_were_asked_for,
    _rows_last,
    _everything_ended,
    _nothing_is_left,
    _what_the_driver_saw,
    _attempts_are_limited,
)


def summary(evidence: Evidence) -> str:
    """Return one line about a round."""
    states = Counter(row["state"] for row in evidence.history)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    started = sum(line.kind == "start" for line in evidence.journal)
    repeated = len(repeated_work(evidence))
    return (
        f"seed {evidence.seed}: {len(evidence.history)} rows ({counts}), {started} attempts, "
        f"{len(evidence.events)} events, {len(evidence.versions)} configurations, {repeated} repeated after success"
    )


if __name__ == "__main__":
    kept = read_folder(Path(sys.argv[1]))
    print(summary(kept))
    for violation in audit(kept):
        print(violation)
