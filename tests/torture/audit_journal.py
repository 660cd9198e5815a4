"""P2, P5, P6, P9: the journal that the jobs wrote against what the program says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime

from tests.torture.evidence import LEFT_OUT, Line
from tests.torture.lives import Lives

Finding = tuple[str, str, str]

# Instants in the record are cut to milliseconds.
CUT_S = 0.002

# From a process's last line to the record of its end, and from its start to its first line, on a busy machine.
UNSEEN_S = 1.0


def attempts_start_once(lives: Lives) -> Iterator[Finding]:
    seen: dict[tuple[str, int], Line] = {}
    for line in lives.evidence.journal:
        if line.kind != "start":
            continue
        first = seen.setdefault((line.run, line.attempt), line)
        if first is not line:
            yield "P2", line.run, f"attempt {line.attempt} started as process {first.pid} and again as {line.pid}"
    for run in lives.events:
        numbers = [event["attempt"] for event in lives.starts(run)]
        if numbers != list(range(1, len(numbers) + 1)):
            yield "P2", run, f"its attempts are numbered {numbers}"


def processes_have_rows(lives: Lives) -> Iterator[Finding]:
    for line in lives.evidence.journal:
        if line.kind != "start":
            continue
        started = lives.started_at(line.run, line.attempt)
        if line.run not in lives.rows:
            yield "P6", line.run, f"attempt {line.attempt} lived (process {line.pid}) and has no row"
        elif started is None:
            yield "P6", line.run, f"attempt {line.attempt} lived (process {line.pid}) and no start was written down"
        elif started.timestamp() > line.wall + CUT_S:
            yield "P6", line.run, f"attempt {line.attempt} lived before its start was written down"


def attempts_never_meet(lives: Lives) -> Iterator[Finding]:
    newest: dict[str, int] = defaultdict(int)
    told: set[tuple[str, int]] = set()
    for line in lives.evidence.journal:
        if line.kind == "start":
            newest[line.run] = max(newest[line.run], line.attempt)
        key = (line.run, line.attempt)
        if line.attempt < newest[line.run] and key not in told:
            told.add(key)
            yield "P9", line.run, f"attempt {line.attempt} ({line.role}) wrote after {newest[line.run]} had started"
        elif key not in told and _wall(line) > lives.ended_at(*key) and line.run in lives.rows:
            told.add(key)
            yield "P9", line.run, f"attempt {line.attempt} ({line.role} {line.pid}) lived on after its recorded end"


def _wall(line: Line) -> datetime:
    return datetime.fromtimestamp(line.wall - CUT_S, UTC)


def successes_are_true(lives: Lives) -> Iterator[Finding]:
    ends = {(line.run, line.attempt): line.extra for line in lives.evidence.journal if _is_main(line, "end")}
    terms = {(line.run, line.attempt) for line in lives.evidence.journal if _is_main(line, "term")}
    ran = {line.run for line in lives.evidence.journal if line.kind == "start"}
    for run, show in lives.evidence.shows.items():
        attempts = show["attempt_list"]
        if show["state"] == "success":
            last = attempts[-1] if attempts else None
            if last is None or last["outcome"] != "success" or last["exit_code"] != 0:
                yield "P5", run, "is success, and its last attempt is not"
        if show["state"] in LEFT_OUT and (run in ran or show["attempts"]) and not lives.is_reopened(run):
            yield "P5", run, f"ran, and is {show['state']}"
        for attempt in attempts:
            key = (run, attempt["attempt"])
            yield from _outcome_is_true(run, attempt, ends.get(key), key in terms)


def _outcome_is_true(run: str, attempt: dict[str, object], end: str | None, was_told: bool) -> Iterator[Finding]:
    number, outcome = attempt["attempt"], attempt["outcome"]
    if outcome == "success" and end != "0":
        yield "P5", run, f"attempt {number} is success, and its journal ends with {end or 'no end'}"
    if outcome == "success" and was_told:
        yield "P5", run, f"attempt {number} is success, and it had been told to end"
    if outcome == "failed" and end not in (None, str(attempt["exit_code"])):
        yield "P5", run, f"attempt {number} failed with {attempt['exit_code']}, and its journal ends with {end}"
    if outcome is None:
        yield "P5", run, f"attempt {number} has no outcome"


def finished_work_is_found(lives: Lives) -> Iterator[Finding]:
    """Work that ended by itself is not lost, unless a spawner was killed while it went on, or in that moment."""
    told = {(line.run, line.attempt) for line in lives.evidence.journal if _is_main(line, "term")}
    began = {(line.run, line.attempt): line.wall for line in lives.evidence.journal if line.kind == "start"}
    # An attempt is over when everything it left behind is.
    last = {(line.run, line.attempt): line.wall for line in lives.evidence.journal}
    for line in lives.evidence.journal:
        key = (line.run, line.attempt)
        if not _is_main(line, "end") or key in told:
            continue
        outcomes = {
            attempt["attempt"]: attempt["outcome"]
            for attempt in lives.evidence.shows.get(line.run, {}).get("attempt_list", ())
        }
        first = began.get(key, line.wall) - UNSEEN_S
        kills = [kill for kill in lives.evidence.spawner_kills if first <= kill <= last[key] + UNSEEN_S]
        if outcomes.get(line.attempt) == "lost" and not kills:
            yield "P5", line.run, f"attempt {line.attempt} ended ({line.extra}), no spawner was killed, and it is lost"


def lost_attempts_are_respected(lives: Lives) -> Iterator[Finding]:
    for run, show in lives.evidence.shows.items():
        lost = [attempt["attempt"] for attempt in show["attempt_list"] if attempt["outcome"] == "lost"]
        if not lost or lives.is_reopened(run):
            continue
        for number in lost:
            ended = lives.ended_at(run, number)
            policies = {each.on_crash for each in lives.evidence.declared(show["job"], ended, ended)}
            if number < show["attempts"] and policies == {"fail"}:
                yield "P8", run, f"attempt {number} was lost, on_crash is fail, and another followed"


def _is_main(line: Line, kind: str) -> bool:
    return line.kind == kind and line.role == "main"


CHECKS = (
    attempts_start_once,
    processes_have_rows,
    attempts_never_meet,
    successes_are_true,
    finished_work_is_found,
    lost_attempts_are_respected,
)
