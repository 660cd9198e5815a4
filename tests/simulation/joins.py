"""Joins computed once more, from durable rows alone: what a run had to be judged against, and whether it may start."""

from __future__ import annotations

from collections import Counter, deque
from datetime import datetime, timedelta

from dagsched.model import Job, Link, Match, Run, is_schedule_tick
from dagsched.triggers import trigger_of
from tests.simulation.journal import TERMINAL, Broken, Seen

BAD = {"failed", "upstream_failed", "cancelled"}


def may_start(seen: Seen, job: Job, run: Run) -> bool:
    """Whether the job's trigger rule holds for `run` by what its upstream runs are now."""
    count = Counter(_edge(seen, run, edge.job) for edge in job.depends_on)
    all_ = len(job.depends_on)
    return {
        "all_success": count["ok"] == all_,
        "all_done": not count["pending"],
        "all_failed": count["bad"] == all_,
        "one_success": count["ok"] > 0,
        "one_failed": count["bad"] > 0,
        "none_failed": not count["bad"] and not count["pending"],
        "none_skipped": not count["left"] and not count["pending"],
        "always": True,
    }[job.trigger_rule] or not all_


def words(seen: Seen, run: Run) -> str:
    """Return what each link of a run says."""
    return ", ".join(f"{link.job} {link.match} {link.tick}: {_says(seen, link)}" for link in run.links) or "no links"


def _edge(seen: Seen, run: Run, upstream: str) -> str:
    """Return the worst that an upstream says; one without a link says nothing against it."""
    said = {_says(seen, link) for link in run.links if link.job == upstream}
    return next((verdict for verdict in ("bad", "pending", "left") if verdict in said), "ok")


def _says(seen: Seen, link: Link) -> str:
    if link.tick is None:
        return "left" if link.match is Match.SAME else "pending"
    row = seen.pointed(link)
    if row is None:
        return "left"
    if row.state not in TERMINAL:
        return "pending"
    if row.state in BAD:
        return "bad"
    return "ok" if row.state == "success" else "left"


def check_match(seen: Seen, job: Job, run: Run) -> None:
    """Raise `Broken` unless the links of a run just made are those that the rows of the moment give."""
    for edge in job.depends_on:
        found = {_name(seen, link.job, link.tick) for link in run.links if link.job == edge.job}
        wanted = _wanted(seen, job, run, edge.job, edge.match)
        if found != wanted:
            raise Broken("P3", run.name, f"is judged against {found} of {edge.job} ({edge.match}), not {wanted}")


def _name(seen: Seen, job: str, tick: datetime | None) -> str | None:
    row = seen.covering(job, tick) if tick is not None else None
    return row.name if row else None


def _wanted(seen: Seen, job: Job, run: Run, upstream: str, match: Match) -> set[str | None]:
    rows = sorted((row for row in seen.rows.get(upstream, {}).values() if not row.only), key=lambda row: row.tick)
    there = [row for row in rows if row.tick <= run.tick]
    if match is Match.ALL:
        opened = _previous(seen, job.id, run.tick, by_schedule=run.origin == "backfill")
        return {
            row.name
            for row in there
            if (opened is None or (row.until or row.tick) > opened)
            and (is_schedule_tick(row.tick) or row.tick == run.tick)
        }
    exact = [row for row in there if row.tick == run.tick or (row.until is not None and row.until >= run.tick)]
    if match is Match.SAME:
        return {exact[-1].name if exact else None}
    return {there[-1].name if there else None}


def _previous(seen: Seen, job: str, tick: datetime, *, by_schedule: bool) -> datetime | None:
    before = [row for row in seen.rows.get(job, {}).values() if row.tick < tick and is_schedule_tick(row.tick)]
    newest = max(before, key=lambda row: row.tick, default=None)
    if newest is not None and not by_schedule:
        return min(newest.until or newest.tick, tick)
    schedule = seen.versions[-1].config.jobs[job].schedule
    assert schedule is not None, "only a job with a schedule may count with `all`"
    # A job that is new counts from the tick it would have had before; six weeks reach past any schedule made here.
    ticks = deque(trigger_of(schedule).ticks(tick - timedelta(weeks=6), tick - timedelta(milliseconds=1)), maxlen=1)
    return ticks[0] if ticks else None
