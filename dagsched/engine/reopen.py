"""A person's `rerun`: a terminal run is tried again, and with it what its failure had stopped.

Attempt numbers go on and `max_attempts` more are granted. Downstream, a run is re-opened if it was stopped by a
run that is re-opened; of a scheduled job without `catchup: all` only the newest such tick. A success is never
re-opened except by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from dagsched import reasons
from dagsched.closest import get_close_matches
from dagsched.engine.book import Book
from dagsched.engine.joins import Join, Judgement, link_edge, links_of, resolve, verdict_of
from dagsched.engine.ledger import Key
from dagsched.engine.lifecycle import Reopened
from dagsched.engine.ticks import Ticks
from dagsched.engine.waiting import WaitingRoom
from dagsched.errors import Refused, Unknown
from dagsched.model import (
    CALLED,
    OK,
    Catchup,
    Job,
    Link,
    Match,
    Origin,
    Run,
    RunState,
    format_instant,
    is_schedule_tick,
    parse_run_name,
)

MILLISECOND = timedelta(milliseconds=1)


def reopen(book: Book, waiting: WaitingRoom, ticks: Ticks, name: str, *, downstream: bool) -> None:
    """Re-open the run of that name; raises Refused or Unknown before anything is changed."""
    id, tick = _parsed(name)
    row = book.ledger.covering(id, tick)
    if row is None:
        raise Unknown("run", name, get_close_matches(name, [run.name for run in book.ledger.all_live()], 3))
    job = book.jobs.get(id)
    if job is None:
        raise Refused(f"{name} cannot be run again: its job is no longer in the configuration")
    if not row.state.is_terminal:
        raise Refused(f"{name} is {row.state}; only a run that is over can be run again")
    if tick not in (row.tick, row.until) and tick not in ticks.ticks_between(id, tick - MILLISECOND, tick):
        raise Unknown("run", name)
    if row.until is not None and not _knows_its_ticks(book, row):
        raise Refused(
            f"{name} is one of {row.name} to {format_instant(row.until)}, left out under a schedule that has changed "
            "since, so the others can no longer be told apart; trigger the job instead"
        )
    links = _links_now(book, job, row, tick)
    _check_upstreams(book, job, name, links)
    first = _reopen_one(book, ticks, row, tick, links)
    waiting.upstream_reopened(first)
    _reopen_below(book, waiting, ticks, first, include_success=downstream)


def reopen_if_ready(
    book: Book, waiting: WaitingRoom, ticks: Ticks, row: Run, tick: datetime, reason: str
) -> Run | None:
    """Re-open one tick of a terminal row for a backfill; None, and nothing is changed, where it would not run at once.

    That is where an upstream run keeps it from running, or the ticks of its range can no longer be told apart.
    """
    job = book.jobs[row.job]
    if row.until is not None and not _knows_its_ticks(book, row):
        return None
    links = _links_now(book, job, row, tick, past=True)
    judgement = _judge(book, job, links)
    if judgement is Judgement.WAIT and any(link.tick is None and link.match is Match.LATEST for link in links):
        return None
    if judgement not in (Judgement.RUN, Judgement.WAIT):
        return None
    run = _reopen_one(book, ticks, row, tick, links, reason, Origin.BACKFILL)
    waiting.upstream_reopened(run)
    return run


def _parsed(name: str) -> Key:
    try:
        return parse_run_name(name)
    except ValueError as error:
        raise Refused(str(error)) from None


def _check_upstreams(book: Book, job: Job, name: str, links: tuple[Link, ...]) -> None:
    if _judge(book, job, links) in (Judgement.RUN, Judgement.WAIT):
        return
    for link in links:
        row = resolve(link, book.ledger)
        if row is None or row.state not in OK:
            what = f"{row.name} is {row.state}" if row else f"{link.job} has no such tick"
            raise Refused(f"{name} cannot be run again: {what}; run that again first")


def _judge(book: Book, job: Job, links: tuple[Link, ...]) -> Judgement:
    join = Join(job.trigger_rule, [edge.job for edge in job.depends_on], links)
    for number, link in enumerate(links):
        join.hear(number, verdict_of(link, resolve(link, book.ledger)))
    return join.judge()


def _reopen_one(
    book: Book,
    ticks: Ticks,
    row: Run,
    tick: datetime,
    links: tuple[Link, ...],
    reason: str = "run again by request",
    origin: Origin | None = None,
) -> Run:
    if row.until is not None:
        row = _split(book, ticks, row, tick)
    if CALLED in row.params:
        # A workflow begins anew, also where its step had succeeded.
        row = row._replace(params={**row.params, CALLED: [*row.params[CALLED], ""]})
    grant = book.jobs[row.job].retry.max_attempts
    return book.move(row, Reopened(book.now, reason, grant, links, origin))


def _split(book: Book, ticks: Ticks, row: Run, tick: datetime) -> Run:
    """Cut one tick out of a range row, and return it as a row of its own."""
    assert row.until is not None
    middle, parts = row._replace(tick=tick, until=None), []
    # The ends are ticks by themselves, so that nothing is lost if the schedule has changed since.
    if row.tick < tick:
        parts.append(_range(row, row.tick, ticks.newest_between(row.job, row.tick, tick - MILLISECOND) or row.tick))
    parts.append(middle)
    if tick < row.until:
        parts.append(_range(row, ticks.first_between(row.job, tick, row.until) or row.until, row.until))
    book.split(row, parts)
    return middle


def _range(row: Run, first: datetime, last: datetime) -> Run:
    return row._replace(tick=first, until=last if last > first else None)


def _knows_its_ticks(book: Book, row: Run) -> bool:
    """Whether the ticks between a range row's ends can still be told: what made them has not changed since."""
    return row.config == book.config_number or _is_as_before(book, row.job, row.tick)


def _is_as_before(book: Book, id: str, tick: datetime) -> bool:
    """Whether nothing has changed since that tick of what makes the job's ticks."""
    mark = book.marks.get(id)
    if mark is None or (mark.schedule_since is not None and mark.schedule_since > tick):
        return False
    return book.jobs[id].schedule is not None or all(
        _is_as_before(book, above, tick) for above in book.graph.upstream[id]
    )


def _links_now(book: Book, job: Job, row: Run, tick: datetime, *, past: bool = False) -> tuple[Link, ...]:
    """Return what the run is judged against under the job as it is now.

    Edges may have been edited since: those that are left keep their links, and like any run that was there
    before the edit it is bound to an added one only if that upstream has a tick by then.
    """
    if row.only:
        return ()
    if not row.links:
        return links_of(job, tick, book.ledger, past=past)
    found: list[Link] = []
    for edge in job.depends_on:
        kept = [link for link in row.links if link.job == edge.job and link.match is edge.match]
        added = link_edge(job, edge, tick, book.ledger, past=past)
        found += kept or [link for link in added if link.tick is not None]
    return tuple(found)


def _reopen_below(book: Book, waiting: WaitingRoom, ticks: Ticks, first: Run, *, include_success: bool) -> None:
    reopened: set[Key] = {first.key}
    for id in book.graph.descendants(first.job):
        job = book.jobs[id]
        stopped = list(_stopped(book, ticks, job, reopened, first.tick, include_success))
        if _is_newest_only(job):
            stopped = stopped[-1:]
        for tick in stopped:
            row = book.ledger.covering(id, tick)
            assert row is not None, "nothing is dropped within one event"
            run = _reopen_one(book, ticks, row, tick, _links_now(book, job, row, tick))
            reopened.add(run.key)
            waiting.upstream_reopened(run)


def _is_newest_only(job: Job) -> bool:
    # Each event has its own data, and no later one stands for it.
    return job.schedule is not None and job.catchup is not Catchup.ALL and not job.schedule.event


def _stopped(
    book: Book, ticks: Ticks, job: Job, reopened: set[Key], since: datetime, include_success: bool
) -> Iterator[datetime]:
    """Yield the ticks of the job's terminal rows that a re-opened run had stopped, oldest first."""
    names = {edge.job for edge in job.depends_on}
    for row in list(book.ledger.between(job.id, since - MILLISECOND, datetime.max.replace(tzinfo=since.tzinfo))):
        if not (_was_stopped(row) or (include_success and row.state.is_terminal)):
            continue
        if row.until is not None and not _knows_its_ticks(book, row):
            continue
        if row.links:
            if any((link.job, _target(book, link)) in reopened for link in row.links):
                yield row.tick
        elif job.schedule is None:
            # Left out together with its upstream: the same tick of the upstream is the one.
            yield from sorted({tick for name, tick in reopened if name in names and _has(row, tick)})
        elif reasons.read(row.reason) in reasons.STOPPED:
            # Made and left out by one event: the links were never kept, so they are made again.
            for tick in _ticks_of(ticks, job, row):
                links = links_of(job, tick, book.ledger)
                if any((link.job, _target(book, link)) in reopened for link in links):
                    yield tick


def _was_stopped(row: Run) -> bool:
    """Whether an upstream stopped it, and not its own overlap, pause or queue; inherited rows are looked at closer."""
    if row.state is RunState.SKIPPED:
        return reasons.read(row.reason) in reasons.STOPPED | reasons.NO_FIRE
    return row.state in (RunState.UPSTREAM_FAILED, RunState.MISSED)


def _ticks_of(ticks: Ticks, job: Job, row: Run) -> list[datetime]:
    if row.until is None:
        return [row.tick]
    return [row.until] if _is_newest_only(job) else ticks.ticks_between(job.id, row.tick - MILLISECOND, row.until)


def _has(row: Run, tick: datetime) -> bool:
    # A person's tick is never one of a range, also if it lies between its ends.
    return row.tick == tick or (is_schedule_tick(tick) and row.tick <= tick <= (row.until or row.tick))


def _target(book: Book, link: Link) -> datetime | None:
    row = resolve(link, book.ledger)
    return row.tick if row else link.tick
