"""Backfills: ticks that a person asked for, made a few at a time however many they are.

Of a backfill no more than `max_active` ticks are under way: the next one is made in the very event that ends one of
them. So a year of ticks costs no more memory than a day, and its order is that in which it is made. The ledger in
memory does not reach back that far: the daemon is told what is wanted (`want`), reads it, and hands it in (`fed`).
Nothing of a slice that was handed in leaves memory before all of it is used.

A tick is made if it has no row. One that has is re-opened if it never ran, or as `again` says; and in any case only
if its upstream runs let it run, so that asking twice changes nothing the second time.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from dagsched import reasons
from dagsched.closest import get_close_matches
from dagsched.counting import counted
from dagsched.engine.book import Book
from dagsched.engine.events import BackfillFed, BackfillRequested, Want
from dagsched.engine.joins import Join, Judgement, Verdict, links_of, resolve, verdict_of
from dagsched.engine.lifecycle import Cancelled
from dagsched.engine.reopen import reopen_if_ready
from dagsched.engine.seats import Seats
from dagsched.engine.ticks import Ticks
from dagsched.engine.waiting import WaitingRoom
from dagsched.errors import Refused, Unknown
from dagsched.graph import Graph
from dagsched.model import (
    BAD,
    LIVE,
    OK,
    Again,
    Backfill,
    BackfillState,
    Job,
    Link,
    Origin,
    Run,
    RunState,
    format_instant,
)
from dagsched.triggers import trigger_of
from dagsched.triggers.calendars import days_off

SLICE = 128
# Rows that one event makes; the loop has others to serve before the next.
ROWS_AT_ONCE = 32
MILLISECOND = timedelta(milliseconds=1)


@dataclass(slots=True)
class _Work:
    """An active backfill: its jobs, its ticks under way with the jobs that are, and those handed in and not made yet.

    `kept`: the keys of the last two slices. `is_exhausted`: the last of its ticks was handed in.
    """

    backfill: Backfill
    scope: tuple[str, ...] = ()
    under_way: dict[datetime, set[str]] = field(default_factory=dict)
    pending: deque[datetime] = field(default_factory=deque)
    kept: deque[dict[str, set[datetime]]] = field(default_factory=lambda: deque(maxlen=2))
    is_exhausted: bool = False


class Filling:
    """All active backfills. `last_id`: the number of the newest backfill ever."""

    def __init__(self, book: Book, waiting: WaitingRoom, ticks: Ticks, seats: Seats) -> None:
        self._book, self._waiting, self._ticks, self._seats = book, waiting, ticks, seats
        self._works: dict[int, _Work] = {}
        self._rows_left = 0
        self.last_id = 0

    def __bool__(self) -> bool:
        return bool(self._works)

    def restore(self, backfills: Iterable[Backfill], last_id: int) -> None:
        """Take up what the store holds; `rebuilt` makes the rest."""
        self._works = {backfill.id: _Work(backfill) for backfill in backfills}
        self.last_id = last_id

    def rebuilt(self, waiting: WaitingRoom, ticks: Ticks, seats: Seats, *, is_in_force: bool) -> None:
        """Go on under a new configuration: what was handed in under the old one is wanted anew.

        Until one `is_in_force` a backfill whose job is gone is left as it is.
        """
        self._waiting, self._ticks, self._seats = waiting, ticks, seats
        for work in list(self._works.values()):
            job = self._book.jobs.get(work.backfill.job)
            if (job is None or not job.enabled) and not is_in_force:
                continue
            if job is None or not job.enabled:
                self._end(work, BackfillState.CANCELLED, "job removed" if job is None else "job disabled")
                continue
            self._works[work.backfill.id] = self._started(work.backfill)
        self._tell_seats()

    def _started(self, backfill: Backfill) -> _Work:
        below = self._ticks.spread(backfill.job) if backfill.downstream else []
        work = _Work(backfill, (backfill.job, *below))
        for id in work.scope:
            for run in self._book.ledger.live(id):
                if run.origin is Origin.BACKFILL and backfill.first <= run.tick <= backfill.last:
                    work.under_way.setdefault(run.tick, set()).add(id)
        return work

    # ------------------------------------------------------------ what people ask

    def ask(self, event: BackfillRequested) -> None:
        """Begin a backfill, or go on with the very same one; raises Refused or Unknown."""
        job = self._book.jobs.get(event.job)
        if job is None:
            raise Unknown("job", event.job, get_close_matches(event.job, list(self._book.jobs), 3))
        # What is due already is not for a backfill to make.
        self._ticks.make_due()
        self._refuse(event, job)
        same = self._same(event)
        if same is not None:
            self._change(self._works[same.id], max_active=event.max_active)
            return
        self.last_id += 1
        backfill = Backfill(
            self.last_id, job.id, event.first, event.last, event.newest_first, event.max_active, event.downstream,
            event.again, event.params, total=event.total, created=event.now,
        )  # fmt: skip
        self._works[backfill.id] = self._started(backfill)
        self._tell_seats()
        self._book.save_backfill(backfill)
        self._note("backfill.started", backfill, f"{_span(backfill)}, {counted(backfill.total, 'tick')}")

    def _refuse(self, event: BackfillRequested, job: Job) -> None:
        if not job.enabled:
            raise Refused(f"{job.id} is disabled in {job.position or 'its file'}; set enabled: true there first")
        if event.last < event.first:
            raise Refused("it would end before it begins")
        if event.last > event.now:
            raise Refused(f"{format_instant(event.last)} is still to come; its schedule makes such ticks by itself")
        if not event.total:
            raise Refused(f"{job.id} has no tick from {format_instant(event.first)} to {format_instant(event.last)}")
        if event.max_active < 1:
            raise Refused("'max_active' is at least 1")
        other = self.active_on(job.id)
        if other is not None and self._same(event) is None:
            raise Refused(
                f"backfill {other.id} of {job.id} is under way ({_span(other)}); wait for its end, "
                f"or end it: dagsched backfill --cancel {other.id}"
            )

    def _same(self, event: BackfillRequested) -> Backfill | None:
        other = self.active_on(event.job)
        if other is None:
            return None
        asked = (event.first, event.last, event.newest_first, event.downstream, event.again, dict(event.params))
        under_way = (other.first, other.last, other.newest_first, other.downstream, other.again, dict(other.params))
        return other if asked == under_way else None

    def active_on(self, job: str) -> Backfill | None:
        """Return the backfill of that job that is under way, None without one."""
        return next((work.backfill for work in self._works.values() if work.backfill.job == job), None)

    def cancel(self, id: int) -> None:
        """Make no more of its ticks, and cancel what has not started; raises Refused."""
        work = self._works.get(id)
        if work is None:
            raise Refused(f"no backfill {id} is under way")
        for tick in list(work.under_way):
            for job in reversed(work.scope):
                run = self._book.ledger.get((job, tick))
                if run is not None and job in work.under_way.get(tick, ()) and run.state is not RunState.RUNNING:
                    self._book.move(run, Cancelled(self._book.now, f"backfill {id} was cancelled"))
        self._end(work, BackfillState.CANCELLED, "cancelled by request")

    # ------------------------------------------------------------ what the plan tells

    def ended(self, run: Run) -> None:
        """Hear that a run is over."""
        for work in self._works.values():
            jobs = work.under_way.get(run.tick)
            if jobs is not None and run.job in jobs:
                jobs.remove(run.job)
                if not jobs:
                    del work.under_way[run.tick]
                self._count(work, run)

    def _count(self, work: _Work, run: Run) -> None:
        word = "succeeded" if run.state in OK else "failed" if run.state in BAD else "skipped"
        self._change(work, **{word: getattr(work.backfill, word) + 1})

    def fill_all(self, judge: Callable[[], None]) -> None:
        """Make what there is room for in one event, and have it judged: what is left out at once makes room."""
        self._rows_left = ROWS_AT_ONCE
        while self._fill():
            judge()

    def wake_at(self) -> datetime | None:
        """Return now when the next tick waits for nothing but the next event, else None."""
        return self._book.now if self._works and self.is_behind else None

    def _fill(self) -> bool:
        """Make the next ticks where there is room; True if something was made, and may have to be judged."""
        before = self._rows_left
        for work in list(self._works.values()):
            while self._has_room(work) and self._rows_left > 0:
                self._make(work, work.pending.popleft())
            if work.is_exhausted and not work.pending and not work.under_way:
                self._end(work, BackfillState.DONE, "")
        return self._rows_left != before

    @property
    def is_behind(self) -> bool:
        """Whether the next tick waits for nothing but the next event."""
        return any(self._has_room(work) for work in self._works.values())

    def _has_room(self, work: _Work) -> bool:
        if not work.pending or self._seats.held:
            return False
        limit = self._book.jobs[work.backfill.job].max_active_runs
        most = work.backfill.max_active if limit is None else min(limit, work.backfill.max_active)
        return len(work.under_way) < most

    def kept(self, job: str) -> set[datetime]:
        """Return the ticks of the job that are not to leave memory."""
        return {tick for work in self._works.values() for part in work.kept for tick in part.get(job, ())}

    # ------------------------------------------------------------ slices

    def hungry(self) -> list[int]:
        """Return the numbers of the backfills that soon have no tick left to make."""
        if self._seats.held:
            return []
        return [id for id, work in self._works.items() if not work.is_exhausted and len(work.pending) <= SLICE // 2]

    def want(self, id: int) -> Want | None:
        """Return the next slice of a backfill, None if it is over."""
        work = self._works.get(id)
        if work is None:
            return None
        after = work.pending[-1] if work.pending else work.backfill.position
        found = slice_of(self._book.jobs, self._book.graph, work.backfill, after)
        return Want(id, self._book.config_number, after, found, len(found) < SLICE, work.scope)

    def again_of(self, id: int) -> Again:
        """Return which ticks with a row that backfill runs."""
        work = self._works.get(id)
        return work.backfill.again if work is not None else Again.GAPS

    def fed(self, event: BackfillFed) -> None:
        """Take a slice; one that another has overtaken is dropped, and wanted anew."""
        want, work = event.want, self._works.get(event.want.id)
        if work is None or want.config != self._book.config_number or work.is_exhausted:
            return
        if want.after != (work.pending[-1] if work.pending else work.backfill.position):
            return
        kept: dict[str, set[datetime]] = {id: set(want.ticks) for id in want.jobs}
        for row in event.rows:
            kept.setdefault(row.job, set()).add(row.tick)
            # One that was read alive and is not in memory has ended since: this plan was made after it was read.
            if row.state not in LIVE and self._book.ledger.get(row.key) is None:
                self._book.ledger.put(row)
        work.kept.append(kept)
        work.pending.extend(want.ticks)
        work.is_exhausted = want.is_last

    # ------------------------------------------------------------ one tick

    def _make(self, work: _Work, tick: datetime) -> None:
        made = reopened = 0
        # A tick that is left alone costs little, but not nothing.
        self._rows_left -= 1
        for id in work.scope:
            row = self._book.ledger.covering(id, tick)
            if not is_wanted(row, work.backfill.again):
                continue
            run = self._born(work, id, tick) if row is None else self._reopened(work, row, tick)
            if run is None:
                continue
            self._rows_left -= 1
            self._tell_others(work, id, tick)
            made, reopened = made + (row is None), reopened + (row is not None)
            if run.state in LIVE:
                work.under_way.setdefault(tick, set()).add(id)
            else:
                self._count(work, run)
        now = work.backfill
        self._change(
            work, position=tick, handled=now.handled + 1, made=now.made + made, reopened=now.reopened + reopened
        )

    def _tell_others(self, work: _Work, id: str, tick: datetime) -> None:
        """Keep a row in memory that another backfill did not find when it looked for upstream runs."""
        for other in self._works.values():
            if other is not work and other.kept:
                other.kept[-1].setdefault(id, set()).add(tick)

    def _born(self, work: _Work, id: str, tick: datetime) -> Run:
        job = self._book.jobs[id]
        links = links_of(job, tick, self._book.ledger, past=True)
        name = _waits_for_ever(self._book, job, links)
        if name is not None:
            reason = reasons.NO_EARLIER_TICK(name)
            return self._book.leave_out(id, tick, RunState.SKIPPED, reason, origin=Origin.BACKFILL)
        params = work.backfill.params if id == work.backfill.job else {}
        return self._ticks.make_run(
            job, tick, Origin.BACKFILL, patient=True, asked_for=True, params=params, links=links
        )

    def _reopened(self, work: _Work, row: Run, tick: datetime) -> Run | None:
        job = self._book.jobs[row.job]
        off = days_off(job, self._book.calendars) if job.calendar else None
        if not job.enabled or (off is not None and off.reason(tick)):
            return None
        reason = f"backfill {work.backfill.id}"
        run = reopen_if_ready(self._book, self._waiting, self._ticks, row, tick, reason)
        if run is not None and run.job == work.backfill.job and work.backfill.params:
            run = self._book.amend(run, params=work.backfill.params)
        return run

    # ------------------------------------------------------------ helpers

    def _end(self, work: _Work, state: BackfillState, reason: str) -> None:
        self._change(work, state=state, reason=reason, ended=self._book.now)
        del self._works[work.backfill.id]
        self._tell_seats()
        done = work.backfill
        words = f"{done.made} made, {done.reopened} run again: {done.succeeded} success, {done.failed} failed"
        self._note(f"backfill.{state}", done, reason or words)

    def _change(self, work: _Work, **fields: Any) -> None:
        work.backfill = work.backfill._replace(**fields)
        self._book.save_backfill(work.backfill)

    def _note(self, type: str, backfill: Backfill, reason: str) -> None:
        self._book.note(type, job=backfill.job, reason=f"backfill {backfill.id}: {reason}", detail={"id": backfill.id})

    def _tell_seats(self) -> None:
        works = self._works.values()
        self._seats.filled = frozenset(id for work in works for id in work.scope)
        self._seats.newest_first = frozenset(id for work in works if work.backfill.newest_first for id in work.scope)


def is_wanted(row: Run | None, again: Again) -> bool:
    """Whether a backfill that runs `again` what that says runs a tick with this row, None for none."""
    if row is None:
        return True
    if row.state in LIVE:
        return False
    if row.state in OK:
        return again is Again.ALL
    return row.attempts == 0 or again is not Again.GAPS


def ticks_of(jobs: Mapping[str, Job], graph: Graph, id: str, after: datetime, until: datetime) -> Iterator[datetime]:
    """Yield the schedule ticks of a job in (after, until], its upstreams' if it has no schedule, oldest first."""
    job = jobs[id]
    if job.schedule is not None:
        yield from trigger_of(job.schedule).ticks(after, until)
        return
    newest: datetime | None = None
    for tick in heapq.merge(*(ticks_of(jobs, graph, above, after, until) for above in graph.upstream[id])):
        if tick != newest:
            newest = tick
            yield tick


def has_ticks(jobs: Mapping[str, Job], graph: Graph, id: str) -> bool:
    """Whether the job has a schedule, or an upstream that has."""
    return jobs[id].schedule is not None or any(has_ticks(jobs, graph, above) for above in graph.upstream[id])


def slice_of(
    jobs: Mapping[str, Job], graph: Graph, backfill: Backfill, position: datetime | None
) -> tuple[datetime, ...]:
    """Return the next ticks of a backfill after `position` in its order, at most SLICE."""
    first, last = backfill.first - MILLISECOND, backfill.last
    if not backfill.newest_first:
        return tuple(islice(ticks_of(jobs, graph, backfill.job, position or first, last), SLICE))
    until = last if position is None else position - MILLISECOND
    # Schedules are read forwards: back in windows that grow until one holds enough.
    width = timedelta(hours=1)
    while True:
        start = max(first, until - width)
        found = deque(ticks_of(jobs, graph, backfill.job, start, until), maxlen=SLICE)
        if len(found) == SLICE or start == first:
            return tuple(reversed(found))
        width *= 4


def _waits_for_ever(book: Book, job: Job, links: tuple[Link, ...]) -> str | None:
    """Return the upstream without any tick so early that keeps the job's rule open, None if there is none."""
    missing = next((link.job for link in links if is_unmatched(link)), None)
    if missing is None:
        return None
    join = Join(job.trigger_rule, [edge.job for edge in job.depends_on], links)
    for number, link in enumerate(links):
        join.hear(number, verdict_of(link, resolve(link, book.ledger)))
    return missing if join.judge() is Judgement.WAIT else None


def is_unmatched(link: Link) -> bool:
    """Whether a link waits for an upstream that had no tick yet."""
    return link.tick is None and verdict_of(link, None) is Verdict.PENDING


def _span(backfill: Backfill) -> str:
    return f"{format_instant(backfill.first)} to {format_instant(backfill.last)}"
