"""P3: which upstream runs a run was judged against, and whether what became of them allowed its start."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import reduce
from itertools import product

from tests.torture.audit_rows import is_due
from tests.torture.evidence import BAD, LEFT_OUT, TERMINAL, Row, instant, run_parts
from tests.torture.lives import Lives, is_schedule_tick, same_in_all, ticks_of
from tests.torture.world import Declared

Finding = tuple[str, str, str]
Verdicts = frozenset[str]

SECOND = timedelta(seconds=1)
MILLISECOND = timedelta(milliseconds=1)


def starts_were_allowed(lives: Lives) -> Iterator[Finding]:
    for run, show in lives.evidence.shows.items():
        if show["only"] or not show["attempts"]:
            continue
        queued = _last_judged(lives, run)
        if queued is None:
            continue
        start = next((e for e in lives.starts(run) if e["seq"] > queued["seq"]), None)
        if start is None:
            continue
        declared = lives.evidence.declared(show["job"], instant(queued["time"]), instant(start["time"]))
        if not declared or not same_in_all([(each.rule, each.depends_on) for each in declared]):
            continue
        edges = _edges(lives, declared[0], show, queued)
        if not any(_allows(declared[0].rule, tally) for tally in _tallies(edges.values())):
            said = ", ".join(f"{job}: {'/'.join(sorted(verdicts))}" for job, verdicts in edges.items())
            yield "P3", run, f"started under {declared[0].rule} with {said}"


def _last_judged(lives: Lives, run: str) -> Row | None:
    """Return the event with which the run's joins were last judged; None if it never waited for anything."""
    return next((event for event in reversed(lives.events[run]) if event["type"] == "run.queued"), None)


def _edges(lives: Lives, job: Declared, show: Row, queued: Row) -> Mapping[str, Verdicts]:
    """Return what each upstream may have said; one that the run has no link to says nothing against it."""
    edges: dict[str, Verdicts] = {name: frozenset({"ok"}) for name, _ in job.depends_on}
    by_job: dict[str, list[Verdicts]] = {}
    for link in show["upstream"]:
        by_job.setdefault(link["job"], []).append(_verdict(lives, show, link, queued))
    for name, links in by_job.items():
        if name in edges:
            edges[name] = reduce(_together, links)
    return edges


def _together(some: Verdicts, more: Verdicts) -> Verdicts:
    """Return what two links of one edge may say together: the worst of both."""
    return frozenset(_worst(choice) for choice in product(some, more))


def _tallies(edges: Iterable[Verdicts]) -> Iterable[Counter[str]]:
    """Return every tally that the edges' verdicts may add up to; there are few of them, however many edges."""
    found = {(): Counter[str]()}
    for edge in edges:
        more = [tally + Counter((verdict,)) for tally in found.values() for verdict in edge]
        found = {tuple(sorted(tally.items())): tally for tally in more}
    return found.values()


def _worst(said: Sequence[str]) -> str:
    return next((verdict for verdict in ("bad", "pending", "left") if verdict in said), "ok")


def _exactness(lives: Lives, show: Row, link: Row) -> set[bool]:
    """Return whether stand-ins do not count: the job had no schedule when the edge was bound, and took its very tick.

    An edge is bound at the run's birth, and anew by an edit that changes it before the joins are judged.
    """
    born, judged = lives.born(show["run"]), _last_judged(lives, show["run"])
    if born is None:
        return {False, True}
    made = lives.evidence.declared(show["job"], instant(born["time"]), instant(born["time"]))
    until = instant((judged or born)["time"])
    later = lives.evidence.declared(show["job"], instant(born["time"]), until)
    bound = [*made, *(each for each in later if not same_in_all([_edge_to(link["job"], one) for one in (*made, each)]))]
    is_same = run_parts(link["run"])[1] == run_parts(show["run"])[1]
    return {is_same and not each.is_scheduled for each in bound} or {False, True}


def _edge_to(upstream: str, job: Declared) -> tuple[str, str] | None:
    return next((edge for edge in job.depends_on if edge[0] == upstream), None)


def _verdict(lives: Lives, show: Row, link: Row, queued: Row) -> Verdicts:
    if link["run"] is None:
        return frozenset({"left" if link["match"] == "same" else "pending"})
    found: set[str] = set()
    for exact in _exactness(lives, show, link):
        found |= _verdict_of(lives, link["run"], lives.end_of_moment(queued), exact=exact)
    return frozenset(found)


def _verdict_of(lives: Lives, run: str, seq: int, *, exact: bool) -> set[str]:
    """Return what the row of a tick, or what stands in for it, may have said when event `seq` was written."""
    name, tick = run_parts(run)
    row = lives.covering(name, tick)
    found: set[str] = set()
    for _ in range(100):
        if row is None:
            return {"ok", "bad", "left"}
        if lives.is_reopened(row["run"]):
            # What stood in for it when the join was judged is no longer told.
            found |= {"ok", "bad", "left"}
        stand_in = lives.evidence.shows.get(row["run"], {}).get("stand_in")
        state = lives.state_at(row["run"], seq) or row["state"]
        if exact or not stand_in or state not in TERMINAL:
            return found | {_says(state)}
        row = lives.covering(name, run_parts(stand_in)[1])
    return found


def _says(state: str) -> str:
    if state not in TERMINAL:
        return "pending"
    if state in BAD:
        return "bad"
    return "left" if state in LEFT_OUT else "ok"


def _allows(rule: str, count: Counter[str]) -> bool:
    return {
        "all_success": count["ok"] == count.total(),
        "all_done": not count["pending"],
        "all_failed": count["bad"] == count.total(),
        "one_success": count["ok"] > 0,
        "one_failed": count["bad"] > 0,
        "none_failed": not count["bad"] and not count["pending"],
        "none_skipped": not count["left"] and not count["pending"],
        "always": True,
    }[rule]


# ---------------------------------------------------------------- the journal's word


def upstreams_had_ended(lives: Lives) -> Iterator[Finding]:
    """Under all_success the journal itself must show a good end of every upstream run before the start."""
    starts = {line.run: line.place for line in reversed(lives.evidence.journal) if line.kind == "start"}
    ends = {
        line.run: line.place
        for line in reversed(lives.evidence.journal)
        if line.kind == "end" and line.extra == "0" and line.role == "main"
    }
    for run, place in starts.items():
        show = lives.evidence.shows.get(run)
        if show is None or show["only"] or lives.is_reopened(run):
            continue
        judged = _last_judged(lives, run)
        began = lives.starts(run)
        if judged is None or not began:
            continue
        declared = lives.evidence.declared(show["job"], instant(judged["time"]), instant(began[0]["time"]))
        if not declared or {each.rule for each in declared} != {"all_success"}:
            continue
        for link in show["upstream"]:
            for name in _standing(lives, link, show):
                if ends.get(name, place + 1) > place and lives.rows[name]["state"] == "success":
                    yield "P3", run, f"its first line stands before the end of {name} in the journal"


def _standing(lives: Lives, link: Row, show: Row) -> list[str]:
    row = lives.covering(*run_parts(link["run"])) if link["run"] else None
    while row is not None and row["state"] != "success" and True not in _exactness(lives, show, link):
        stand_in = lives.evidence.shows.get(row["run"], {}).get("stand_in")
        row = lives.covering(*run_parts(stand_in)) if stand_in else None
    return [row["run"]] if row is not None and row["state"] == "success" else []


# ---------------------------------------------------------------- the match


def matches_are_right(lives: Lives) -> Iterator[Finding]:
    """The links of a run whose edges were never edited are the ones that the rows of that moment give."""
    for run, show in lives.evidence.shows.items():
        born = lives.born(run)
        if born is None or show["only"] or born["type"] != "run.created" or lives.is_reopened(run):
            continue
        made = instant(born["time"])
        last = instant(lives.events[run][-1]["time"])
        declared = lives.evidence.declared(show["job"], made, last)
        if not declared or not same_in_all([(each.depends_on, each.is_scheduled) for each in declared]):
            continue
        for upstream, match in declared[0].depends_on:
            links = [link["run"] for link in show["upstream"] if link["job"] == upstream]
            yield from _match(lives, run, upstream, match, links, born)


def _match(
    lives: Lives, run: str, upstream: str, match: str, links: Sequence[str | None], born: Row
) -> Iterator[Finding]:
    if any(lives.is_reopened(row["run"]) for row in lives.by_job[upstream]):
        return  # Ranges may have been split since.
    job, tick = run_parts(run)
    if match == "all" and lives.rows[run]["trigger"] == "backfill":
        return  # Its window opens at the tick that the schedule in force has before it, whether there is a row or not.
    opened = _previous_tick(lives, job, tick, born)
    if match == "all" and opened is None:
        return  # A job's first window opens at the tick its schedule would have had before; the simulation checks it.
    rows = [row for row in lives.by_job[upstream] if instant(row["tick"]) <= tick and not lives.is_only(row["run"])]
    by_seq = [row for row in rows if _was_there(lives, row, born, strictly=True)]
    by_time = [row for row in rows if _was_there(lives, row, born, strictly=False)]
    sure = (False, True)
    wanted = [_expected(lives, opened, tick, match, there, each) for there in (by_seq, by_time) for each in sure]
    found = frozenset(_row_name(lives, link) for link in links)
    if found not in wanted:
        yield "P3", run, f"is judged against {_words(found)} of {upstream} ({match}); expected {_words(wanted[1])}"


def _was_there(lives: Lives, row: Row, born: Row, *, strictly: bool) -> bool:
    event = lives.born(row["run"])
    if event is None:
        return False
    return bool(event["seq"] < born["seq"] if strictly else instant(event["time"]) <= instant(born["time"]))


def _expected(
    lives: Lives, opened: datetime | None, tick: datetime, match: str, there: Sequence[Row], certainly: bool
) -> frozenset[str | None]:
    if match == "all":
        return frozenset(row["run"] for row in there if _has_one(lives, row, opened, tick, certainly))
    newest = there[-1] if there else None
    if match == "same":
        covers = newest is not None and _has_one(lives, newest, tick - MILLISECOND, tick, certainly)
        return frozenset({newest["run"] if newest is not None and covers else None})
    return frozenset({newest["run"] if newest is not None else None})


def _has_one(lives: Lives, row: Row, after: datetime | None, until: datetime, certainly: bool) -> bool:
    """Whether the row stands for a tick in (after, until]; a range may have grown since, so its ticks are counted."""
    first, last = ticks_of(row)
    if not is_schedule_tick(first):
        return first == until
    if after is None or first == last:
        return first <= until and (after is None or first > after)
    tick = max(first, after.replace(microsecond=0) + SECOND)
    while tick <= min(last, until):
        if tick > after and is_due(lives, row, tick, certainly=certainly):
            return True
        tick += SECOND
    return False


def _previous_tick(lives: Lives, job: str, tick: datetime, born: Row) -> datetime | None:
    """Return the newest schedule tick before this one with a row when the run was made; backfills add others later."""
    before = [
        min(ticks_of(row)[1], tick)
        for row in lives.by_job[job]
        if instant(row["tick"]) < tick and is_schedule_tick(instant(row["tick"])) and not _came_later(lives, row, born)
    ]
    return before[-1] if before else None


def _came_later(lives: Lives, row: Row, born: Row) -> bool:
    # Of one moment the earlier tick comes first, wherever the lines about it stand.
    event = lives.born(row["run"])
    return event is not None and instant(event["time"]) > instant(born["time"])


def _row_name(lives: Lives, link: str | None) -> str | None:
    row = lives.covering(*run_parts(link)) if link else None
    return row["run"] if row else link


def _words(names: frozenset[str | None]) -> str:
    return ", ".join(sorted(name or "nothing" for name in names)) or "no run"


CHECKS = (starts_were_allowed, upstreams_had_ended, matches_are_right)
