"""From time to rows: when each schedule is due next, and the rows its ticks become.

Every due tick of every job ends as a row; `due.py` says what becomes of it. Ticks are made in the order (tick,
topological rank) before any join is judged, so that a run finds its upstreams' ticks in the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from heapq import heapify, heappop, heappush

from dagsched import reasons
from dagsched.counting import counted
from dagsched.engine.book import Book, Edit
from dagsched.engine.due import Due, dues, is_on_time, newest_tick
from dagsched.engine.joins import links_of
from dagsched.engine.waiting import WaitingRoom
from dagsched.engine.whens import refusal
from dagsched.model import (
    EMPTY,
    LIVE,
    Job,
    JobMark,
    Link,
    Origin,
    Run,
    RunState,
    format_instant,
    is_schedule_tick,
)
from dagsched.triggers import jitter, trigger_of
from dagsched.triggers.calendars import days_off

MILLISECOND = timedelta(milliseconds=1)
SECOND = timedelta(seconds=1)
STALE_MAX = 1000  # places in the heap that edits may leave behind


class Ticks:
    """Makes rows out of time; while `frozen` (`run --once`) schedules make none."""

    def __init__(self, book: Book, waiting: WaitingRoom) -> None:
        self._book = book
        self._waiting = waiting
        self.frozen = False
        self._heap: list[tuple[datetime, str]] = []
        self._next: dict[str, datetime] = {}
        self._ripe: list[tuple[datetime, int, str]] = []  # due and not made yet: (tick, rank, job), the last comes next
        self._coming: dict[tuple[int, datetime], datetime | None] = {}

    # ------------------------------------------------------------ when

    def successor(self, waiting: WaitingRoom, edit: Edit) -> Ticks:
        """Return what makes ticks after an edit; jobs that are the very same go on from where they are."""
        after = Ticks(self._book, waiting)
        after.frozen = self.frozen
        after._next, after._heap = dict(self._next), list(self._heap)
        if self._ripe:
            after._heap += [(tick, id) for tick, _, id in self._ripe]
            heapify(after._heap)
        for id in (*edit.removed, *edit.fresh):
            after._next.pop(id, None)
        for job in (self._book.jobs[id] for id in edit.fresh):
            if job.schedule is None or after._is_used_up(job):
                continue
            found = after._following(job, self._book.marks[job.id].cursor)
            if found is not None:
                after._next[job.id] = found
                heappush(after._heap, (found, job.id))
        after._coming.clear()
        if len(after._heap) > 2 * len(after._next) + STALE_MAX:
            after._heap = [(tick, id) for id, tick in after._next.items()]
            heapify(after._heap)
        return after

    def watch(self, id: str) -> None:
        """Look at one schedule anew."""
        self._next.pop(id, None)
        job = self._book.jobs.get(id)
        found = self._next_of(job) if job else None
        if found is not None:
            self._next[id] = found
            heappush(self._heap, (found, id))

    def wake_at(self) -> datetime | None:
        """Return the next instant at which a schedule has a tick, None without one."""
        if self.frozen:
            return None
        while self._ripe and self._next.get(self._ripe[-1][2]) != self._ripe[-1][0]:
            self._ripe.pop()
        while self._heap and self._next.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        if self._ripe and (not self._heap or self._ripe[-1][0] <= self._heap[0][0]):
            return self._ripe[-1][0]
        return self._heap[0][0] if self._heap else None

    def next_of(self, id: str) -> datetime | None:
        """Return the job's next schedule tick, None without one."""
        return self._next.get(id)

    def can_ever_tick(self, id: str) -> bool:
        """Whether a schedule will give the job another tick: its own, or for want of one any upstream's."""
        if self.frozen:
            return False
        job = self._book.jobs[id]
        if job.schedule is not None:
            return self._hears(job) if job.schedule.event else id in self._next
        return any(self.can_ever_tick(above) for above in self._book.graph.upstream[id])

    def _hears(self, job: Job) -> bool:
        """Whether an event that the job is scheduled on makes a tick of it, now or later."""
        assert job.schedule is not None
        end = job.schedule.end
        return (end is None or self._book.now <= end) and not self._is_used_up(job)

    def _has_begun(self, job: Job) -> bool:
        assert job.schedule is not None
        return job.schedule.start is None or job.schedule.start <= self._book.now

    def deaf_at(self) -> datetime | None:
        """Return the next instant at which some schedule on events ends, just after it; None if none does."""
        schedules = (job.schedule for job in self._book.jobs.values())
        ends = (each.end + MILLISECOND for each in schedules if each is not None and each.event and each.end)
        return min((end for end in ends if end > self._book.now), default=None)

    def _next_of(self, job: Job) -> datetime | None:
        if job.schedule is None or self._is_used_up(job):
            return None
        return trigger_of(job.schedule).next(self._book.marks[job.id].cursor)

    def _is_used_up(self, job: Job) -> bool:
        assert job.schedule is not None
        limit = job.schedule.max_runs
        return limit is not None and self._counted(job) >= limit

    def _counted(self, job: Job) -> int:
        """Runs the schedule has started, and those it is about to start."""
        mark = self._book.marks[job.id]
        coming = sum(
            run.attempts == 0 and run.origin in (Origin.SCHEDULE, Origin.CATCHUP, Origin.EVENT)
            for run in self._book.ledger.live(job.id)
        )
        return mark.started_runs + coming

    # ------------------------------------------------------------ what is due

    def make_due(self, heirs: Mapping[str, Job] | None = None, *, at_most: int | None = None) -> None:
        """Make a row of every tick up to now, under the configuration in force.

        `heirs`: the jobs of the configuration that comes after it, whose catch-up decides what was missed.
        `at_most`: of the jobs without an edge, no more than that many; `wake_at` is not after now while some are left.
        """
        if self.frozen:
            return
        now = self._book.now
        due_now = self._due_now(now, at_most)
        found: list[tuple[datetime, int, str, Due | None]] = []
        coming: list[tuple[datetime | None, str]] = []
        for rank, id, tick in due_now:
            job = self._book.jobs[id]
            mark = self._book.marks[id]
            following = self._following(job, tick) if heirs is None and self._is_plain(job, mark) else None
            if following is not None and is_on_time(tick, following, now):
                found.append((tick, rank, id, Due(tick)))
                coming.append((following, id))
            else:
                heir = job if heirs is None else heirs.get(id)
                found += [(due.tick, rank, id, due) for due in self._dues_of(job, heir, now)]
                coming.append((None, id))
            self._book.save_mark(mark._replace(cursor=now))
        self._make(found)
        self._coming.clear()
        for next_tick, id in coming:
            if next_tick is None:
                self.watch(id)
            else:
                self._next[id] = next_tick
                heappush(self._heap, (next_tick, id))

    def _due_now(self, now: datetime, at_most: int | None) -> list[tuple[int, str, datetime]]:
        """Take what is due: (rank, job, its first tick), in order of tick and rank.

        Jobs with edges come all at once, for joins look at each other's ticks; of those without, the rest stays ripe.
        """
        taken = self._ripen(now)
        left = len(self._ripe) if at_most is None else at_most
        while left and self._ripe and self._ripe[-1][0] <= now:
            found = self._ripe.pop()
            if self._next.get(found[2]) == found[0]:
                del self._next[found[2]]
                taken.append(found)
                left -= 1
        taken.sort()
        return [(rank, id, tick) for tick, rank, id in taken]

    def _ripen(self, now: datetime) -> list[tuple[datetime, int, str]]:
        """Move what is due from the heap to what is ripe, once for all slices; return the jobs with edges among it."""
        graph, plain, joined = self._book.graph, [], []
        while self._heap and self._heap[0][0] <= now:
            tick, id = heappop(self._heap)
            if self._next.get(id) != tick:
                continue
            if graph.upstream[id] or graph.downstream[id]:
                del self._next[id]
                joined.append((tick, graph.rank[id], id))
            else:
                plain.append((tick, graph.rank[id], id))
        if plain:
            self._ripe += plain
            self._ripe.sort(reverse=True)
        return joined

    def _is_plain(self, job: Job, mark: JobMark) -> bool:
        """Whether nothing but the time decides about the job's ticks."""
        assert job.schedule is not None
        return job.enabled and mark.paused is None and job.schedule.max_runs is None and not job.calendar

    def _following(self, job: Job, tick: datetime) -> datetime | None:
        """Return the schedule's next tick after `tick`; jobs that share a schedule are due together."""
        assert job.schedule is not None
        key = (id(job.schedule), tick)
        if key not in self._coming:
            self._coming[key] = trigger_of(job.schedule).next(tick)
        return self._coming[key]

    def _dues_of(self, job: Job, heir: Job | None, now: datetime) -> Iterator[Due]:
        assert job.schedule is not None
        left = None if job.schedule.max_runs is None else job.schedule.max_runs - self._counted(job)
        since = self._book.last_seen
        downtime = reasons.DOWN_FROM(format_instant(since), format_instant(now)) if since else reasons.DOWN()
        found = dues(job, heir, self._book.marks[job.id], left, now, downtime, days_off(job, self._book.calendars))
        if self._is_alone(job.id):
            return found
        trigger = trigger_of(job.schedule)
        return (one for due in found for one in due.each(trigger))

    def _is_alone(self, id: str) -> bool:
        """Whether ranges can be made whole: no other schedule's ticks fall between those of its descendants."""
        group = {id, *self.spread(id)}
        graph = self._book.graph
        return all(group.issuperset(graph.downstream[one]) for one in group) and all(
            group.issuperset(graph.upstream[one]) for one in group if one != id
        )

    # ------------------------------------------------------------ making rows

    def _make(
        self,
        found: list[tuple[datetime, int, str, Due | None]],
        params: Mapping[str, Mapping[str, object]] = EMPTY,
        told: Mapping[str, object] = EMPTY,
    ) -> None:
        """Make rows in the order (tick, rank), spreading each tick to unscheduled jobs on the way.

        `params` of runs by job; `told`: what every other run gets in their place.
        """
        heapify(found)
        made: dict[str, Run] = {}
        reached: set[str] = set()
        current: datetime | None = None
        while found:
            tick, _, id, due = heappop(found)
            if tick != current:
                current, made, reached = tick, {}, set()
            job = self._book.jobs[id]
            if due is not None and due.until is not None:
                self._make_range(job, due)
                continue
            given = params.get(id, told)
            made[id] = self._make_due(job, due, given) if due is not None else self._inherit(job, tick, made, given)
            for below in self._book.graph.downstream[id]:
                if self._book.jobs[below].schedule is None and below not in reached:
                    reached.add(below)
                    heappush(found, (tick, self._book.graph.rank[below], below, None))

    def _make_range(self, job: Job, due: Due) -> None:
        """Leave a whole range of ticks out, for the job and for those that get their ticks from it alone."""
        assert due.state is not None
        for id in (job.id, *self.spread(job.id)):
            origin = due.origin if id == job.id else Origin.UPSTREAM
            self._waiting.supersede(id, due.tick)
            self._book.leave_out(
                id, due.tick, due.state, due.reason, origin=origin, stand_in=due.stand_in, until=due.until
            )

    def _make_due(self, job: Job, due: Due, params: Mapping[str, object]) -> Run:
        if due.state is not None:
            self._waiting.supersede(job.id, due.tick)
            return self._book.leave_out(
                job.id, due.tick, due.state, due.reason, origin=due.origin, stand_in=due.stand_in
            )
        return self.make_run(job, due.tick, due.origin, patient=due.origin is Origin.CATCHUP, params=params)

    def _inherit(self, job: Job, tick: datetime, made: Mapping[str, Run], params: Mapping[str, object]) -> Run:
        """Make the row of an unscheduled job at a tick that at least one of its upstreams has."""
        there = self._book.ledger.covering(job.id, tick)
        if there is not None:
            return there
        rows = [made[edge.job] for edge in job.depends_on if edge.job in made]
        inherited = next((row for row in rows if row.state is RunState.MISSED), rows[0])
        if all(_is_inherited(row) for row in rows):
            chosen = inherited.stand_in
            self._waiting.supersede(job.id, tick)
            return self._book.leave_out(
                job.id, tick, inherited.state, inherited.reason, origin=Origin.UPSTREAM, stand_in=chosen
            )
        return self.make_run(job, tick, Origin.UPSTREAM, patient=any(row.patient for row in rows), params=params)

    def make_run(
        self,
        job: Job,
        tick: datetime,
        origin: Origin,
        *,
        patient: bool,
        only: bool = False,
        asked_for: bool = False,
        params: Mapping[str, object] = EMPTY,
        links: tuple[Link, ...] | None = None,
    ) -> Run:
        """Make the run (job, tick), or the row that says why it is left out at once.

        `asked_for`: a person named this very job, so that its pause does not count. `links`: what it is judged
        against, if that is known.
        """
        left_out = self._left_out_at_birth(job, tick, origin, asked_for)
        if left_out is not None:
            self._waiting.supersede(job.id, tick)
            return self._book.leave_out(job.id, tick, RunState.SKIPPED, left_out, origin=origin, params=params)
        if links is None:
            links = () if only else links_of(job, tick, self._book.ledger)
        state = RunState.WAITING if job.depends_on and not only else RunState.QUEUED
        run = Run(
            job.id, tick, state, origin=origin, created=self._book.now,
            ready=self._book.now if state is RunState.QUEUED else None,
            attempt_limit=job.retry.max_attempts, not_before=start_of(job, tick),
            links=links, patient=patient, only=only, params=params, config=self._book.config_number,
        )  # fmt: skip
        if job.when and state is RunState.QUEUED and (left_out := refusal(self._book, job, run)):
            self._waiting.supersede(job.id, tick)
            return self._book.leave_out(job.id, tick, RunState.SKIPPED, left_out, origin=origin)
        run = self._book.born(run)
        self._waiting.supersede(job.id, tick)
        return run

    def _left_out_at_birth(self, job: Job, tick: datetime, origin: Origin, asked_for: bool) -> str | None:
        if not job.enabled:
            return reasons.DISABLED()
        off = days_off(job, self._book.calendars) if job.calendar and is_schedule_tick(tick) else None
        # A person may run a job on a day off; a stretch of its ticks leaves those days out all the same.
        if off is not None and (not asked_for or origin is Origin.BACKFILL) and (reason := off.reason(tick)):
            return reason
        mark = self._book.marks.get(job.id)
        if mark is not None and mark.paused is not None and not asked_for:
            return reasons.PAUSED()
        if origin is not Origin.BACKFILL and self.is_queue_full(job):
            return reasons.QUEUE_FULL(counted(job.max_queued, "run is", "runs are"))
        return None

    def is_queue_full(self, job: Job) -> bool:
        """Whether the job has `max_queued` runs that are not over; those of a backfill do not count."""
        if self._book.ledger.count_live(job.id) < job.max_queued:
            return False
        live = self._book.ledger.live(job.id)
        return sum(run.origin is not Origin.BACKFILL for run in live) >= job.max_queued

    # ------------------------------------------------------------ ticks that people make

    def free_tick(self, jobs: list[str]) -> datetime:
        """Return now, with milliseconds 1-999, moved on until no job of `jobs` has a row there."""
        now = self._book.now
        # Older rows of this very second may have left memory; the newest never does.
        newest = (self._book.ledger.newest_of_all(job) for job in jobs)
        tick = max([now, *(row.tick for row in newest if row is not None and now <= row.tick < now + SECOND)])
        while is_schedule_tick(tick) or any(self._book.ledger.get((job, tick)) for job in jobs):
            tick += MILLISECOND
        return tick

    def spread(self, id: str) -> list[str]:
        """Return the unscheduled jobs that a tick of `id` reaches, in topological order."""
        graph, found, frontier = self._book.graph, set[str](), [id]
        while frontier:
            for below in graph.downstream[frontier.pop()]:
                if self._book.jobs[below].schedule is None and below not in found:
                    found.add(below)
                    frontier.append(below)
        return sorted(found, key=graph.rank.__getitem__)

    def make_manual(
        self,
        asked: list[str],
        reached: list[str],
        origin: Origin,
        params: Mapping[str, Mapping[str, object]],
        *,
        is_person: bool = True,
    ) -> datetime:
        """Make one tick "now" for the jobs asked for and those it reaches; return it.

        `is_person`: who asks may run what is paused.
        """
        rank = self._book.graph.rank.__getitem__
        by_name = frozenset(asked)
        everyone = sorted(by_name.union(reached), key=rank)
        tick = self.free_tick(everyone)
        for id in everyone:
            named = id in by_name
            self.make_run(
                self._book.jobs[id], tick, origin if named else Origin.UPSTREAM,
                patient=True, asked_for=named and is_person, params=params.get(id, EMPTY),
            )  # fmt: skip
        return tick

    def listeners(self, event: str) -> list[str]:
        """Return the jobs for which this event makes a tick now, in topological order."""
        named = (job for job in self._book.jobs.values() if job.schedule is not None and event in job.schedule.event)
        found = [job.id for job in named if self._hears(job) and self._has_begun(job)]
        return sorted(found, key=self._book.graph.rank.__getitem__)

    def make_event(
        self, listeners: list[str], params: Mapping[str, Mapping[str, object]], told: Mapping[str, object]
    ) -> datetime:
        """Make one tick "now" for the jobs that listen and for those it reaches; return it.

        A job may be left out of it, paused, disabled, or not patient when another run of it is active: as at a tick of
        a schedule. Without listeners the tick is made for nobody.
        """
        reached = [id for one in listeners for id in self.spread(one)]
        tick = self.free_tick([*listeners, *reached])
        rank = self._book.graph.rank
        found: list[tuple[datetime, int, str, Due | None]] = [
            (tick, rank[id], id, Due(tick, origin=Origin.EVENT)) for id in listeners
        ]
        self._make(found, {id: {**told, **params.get(id, EMPTY)} for id in listeners}, told)
        return tick

    def ticks_between(self, id: str, after: datetime, until: datetime) -> list[datetime]:
        """Return the schedule ticks the job has in (after, until], its upstreams' if it has no schedule."""
        job = self._book.jobs[id]
        if job.schedule is not None:
            return list(trigger_of(job.schedule).ticks(after, until))
        found: set[datetime] = set()
        for above in self._book.graph.upstream[id]:
            found.update(self.ticks_between(above, after, until))
        return sorted(found)

    def first_between(self, id: str, after: datetime, until: datetime) -> datetime | None:
        """Return the first of those ticks, None without one."""
        job = self._book.jobs[id]
        if job.schedule is not None:
            return next(trigger_of(job.schedule).ticks(after, until), None)
        found = (self.first_between(above, after, until) for above in self._book.graph.upstream[id])
        return min((tick for tick in found if tick is not None), default=None)

    def newest_between(self, id: str, after: datetime, until: datetime) -> datetime | None:
        """Return the last of those ticks, None without one."""
        job = self._book.jobs[id]
        if job.schedule is not None:
            return newest_tick(trigger_of(job.schedule), after, until)
        found = (self.newest_between(above, after, until) for above in self._book.graph.upstream[id])
        return max((tick for tick in found if tick is not None), default=None)


def start_of(job: Job, tick: datetime) -> datetime | None:
    """Return the instant before which jitter lets no run of this tick start, None without jitter."""
    return tick + jitter(job.id, job.jitter) if job.jitter and is_schedule_tick(tick) else None


def _is_inherited(row: Run) -> bool:
    if row.state in LIVE:
        return False
    if row.state is RunState.SKIPPED:
        return reasons.read(row.reason) in reasons.NO_FIRE
    return row.state is RunState.MISSED
