"""P2, P5, P6, P9: the journal that the jobs wrote against what the program says of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from math import inf

from tests.torture.evidence import LEFT_OUT, Line
from tests.torture.lives import Lives

Finding = tuple[str, str, str]

# Instants in the record are cut to milliseconds.
CUT_S = 0.002

# From a process's last line to the record of its end, and from its start to its first line, on a busy machine.
UNSEEN_S = 1.0

# How it is put that a spawner has ended an attempt itself, because its deadline was not put off.
UNHEARD = ("stopped because its scheduler was not heard of", "ended because its worker could not reach the state")

# How late a spawner may be on a busy machine; the longest command lives 3 s, the shortest timeout is 1 s.
OVERDUE_S = 1.8


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
    return _utc(line.wall - CUT_S)


def _utc(wall: float) -> datetime:
    return datetime.fromtimestamp(wall, UTC)


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
    if outcome == "failed" and was_told:
        yield "P5", run, f"attempt {number} failed as by itself, and it had been told to end"
    if outcome == "failed" and end not in (None, str(attempt["exit_code"])):
        yield "P5", run, f"attempt {number} failed with {attempt['exit_code']}, and its journal ends with {end}"
    if outcome is None:
        yield "P5", run, f"attempt {number} has no outcome"


def attempts_are_lost_with_a_spawner_only(lives: Lives) -> Iterator[Finding]:
    """What ran is not lost, whatever happens to the daemon, unless a spawner was killed in that time."""
    lived = {(line.run, line.attempt) for line in lives.evidence.journal}
    ends = {(line.run, line.attempt): line.extra for line in lives.evidence.journal if _is_main(line, "end")}
    for run, show in lives.evidence.shows.items():
        for attempt in show["attempt_list"]:
            key = (run, attempt["attempt"])
            if attempt["outcome"] == "lost" and key in lived and not may_be_lost(lives, *key):
                end = f"ended ({ends[key]})" if key in ends else "lived"
                yield "P5", run, f"attempt {key[1]} {end}, no spawner was killed meanwhile, and it is lost"


def may_be_lost(lives: Lives, run: str, attempt: int) -> bool:
    """Whether its spawner was killed under an attempt, or it may have heard nothing of its scheduler for too long."""
    unheard = lives.evidence.unheard
    return spawner_was_killed_under(lives, run, attempt) or _is_hit(lives, run, attempt, unheard)


def spawner_was_killed_under(lives: Lives, run: str, attempt: int) -> bool:
    """Whether a spawner was killed between an attempt's first line and its recorded end, or just about then."""
    return _is_hit(lives, run, attempt, [(kill, kill) for kill in lives.evidence.spawner_kills])


def _is_hit(lives: Lives, run: str, attempt: int, blows: Iterable[tuple[float, float]]) -> bool:
    walls = [line.wall for line in lives.evidence.journal if (line.run, line.attempt) == (run, attempt)]
    ended = min(lives.ended_at(run, attempt), max(lives.evidence.stopped, _utc(max(walls)))).timestamp()
    # An attempt is over when everything it left behind is, and its end may be told later than that.
    last = max(max(walls), ended)
    return any(min(walls) - UNSEEN_S <= until and began <= last + UNSEEN_S for began, until in blows)


def repeated(lives: Lives) -> list[tuple[str, int]]:
    """Return the attempts that ended with exit 0 by themselves and whose run was attempted again, unasked."""
    good = {(line.run, line.attempt) for line in lives.evidence.journal if line.kind == "end" and line.extra == "0"}
    good -= {(line.run, line.attempt) for line in lives.evidence.journal if _is_main(line, "term")}
    again = {(line.run, line.attempt) for line in lives.evidence.journal if line.kind == "start"}
    return sorted((run, n) for run, n in good if (run, n + 1) in again and not lives.is_reopened(run))


def work_is_not_repeated(lives: Lives) -> Iterator[Finding]:
    """After a good end nothing is tried again, unless nobody can have seen that end.

    Its spawner sees it whatever becomes of schedulers, so that one of them was not heard of is no reason.
    """
    for run, number in repeated(lives):
        attempts = {each["attempt"]: each for each in lives.evidence.shows[run]["attempt_list"]}
        if not _was_told(attempts.get(number, {})) and not spawner_was_killed_under(lives, run, number):
            yield "P5", run, f"attempt {number} ended well, no spawner was killed meanwhile, and another one followed"


def _was_told(attempt: Mapping[str, object]) -> bool:
    """Whether an attempt that ended well was told to end in that very moment: it had not been found over yet."""
    is_lost = attempt.get("outcome") == "lost" and str(attempt.get("reason")).startswith(UNHEARD)
    return is_lost or attempt.get("outcome") in ("timed_out", "cancelled")


def definitions_are_those_in_force(lives: Lives) -> Iterator[Finding]:
    """Each attempt ran what its job said when its start was written down, or when that order was given again."""
    for line in lives.evidence.journal:
        started = lives.started_at(line.run, line.attempt)
        if line.kind != "start" or started is None:
            continue
        declared = lives.evidence.declared(line.run.split(":")[1], started, _utc(line.wall))
        if declared and line.extra not in {each.edit for each in declared}:
            edits = "/".join(sorted({each.edit for each in declared}))
            yield "P12", line.run, f"attempt {line.attempt} ran the job of {line.extra}, in force was that of {edits}"


def timeouts_are_kept(lives: Lives) -> Iterator[Finding]:
    """What ran on long after its timeout, under a spawner that was free to see to it, did not end as by itself."""
    began = {(line.run, line.attempt): line for line in lives.evidence.journal if line.kind == "start"}
    outcomes = {
        (run, attempt["attempt"]): attempt["outcome"]
        for run, show in lives.evidence.shows.items()
        for attempt in show["attempt_list"]
    }
    for line in lives.evidence.journal:
        key = (line.run, line.attempt)
        if not _is_main(line, "end") or key not in began or outcomes.get(key) not in ("success", "failed"):
            continue
        first, started = began[key].wall, lives.started_at(*key)
        if started is None or _was_hindered(lives, first - UNSEEN_S, line.wall):
            continue
        declared = lives.evidence.declared(line.run.split(":")[1], started, _utc(first))
        timeout_s = max((each.timeout_s for each in declared), default=inf)
        if line.wall - first > timeout_s + OVERDUE_S:
            words = f"ran {line.wall - first:.1f} s with a timeout of {timeout_s:g} s, and is {outcomes[key]}"
            yield "P5", line.run, f"attempt {line.attempt} {words}"


def _was_hindered(lives: Lives, first: float, last: float) -> bool:
    killed = any(first <= kill <= last for kill in lives.evidence.spawner_kills)
    return killed or any(began <= last and ended >= first for began, ended in lives.evidence.spawner_freezes)


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
    attempts_are_lost_with_a_spawner_only,
    work_is_not_repeated,
    timeouts_are_kept,
    definitions_are_those_in_force,
    lost_attempts_are_respected,
)
