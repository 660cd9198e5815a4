"""Runs that wait for upstreams: who listens to whom, and which are to be judged next.

When an upstream run ends, exactly the runs linked to it hear of it. Judging happens after all ticks of an
event are made, upstreams first, so that a chain of consequences is settled within one event.
"""

from __future__ import annotations

from datetime import datetime
from heapq import heappop, heappush

from dagsched import reasons
from dagsched.engine.book import Book
from dagsched.engine.joins import Join, Judgement, Verdict, resolve, verdict_of
from dagsched.engine.ledger import Key
from dagsched.engine.lifecycle import Blocked, Joined, LeftOut, Unjoined
from dagsched.engine.whens import refusal
from dagsched.model import LIVE, Link, Match, Run, RunState


class WaitingRoom:
    """The joins of all waiting runs."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._joins: dict[Key, Join] = {}
        self._unheard: set[Key] = set()
        self._listeners: dict[Key, list[tuple[Key, int]]] = {}
        self._heap: list[tuple[int, datetime, str]] = []
        self._unmatched: dict[str, set[datetime]] = {}

    def enter(self, run: Run) -> None:
        """Take a run that is `waiting`, new or again, and have it judged before the event is over."""
        job = self._book.jobs[run.job]
        join = Join(job.trigger_rule, [edge.job for edge in job.depends_on], run.links)
        self._joins[run.key] = join
        # Heard when it is judged: a run that stands in for an upstream's tick may be made later in this event.
        self._unheard.add(run.key)
        if any(link.tick is None and link.match is Match.LATEST for link in run.links):
            self._unmatched.setdefault(run.job, set()).add(run.tick)
        heappush(self._heap, (self._book.graph.rank[run.job], run.tick, run.job))

    def leave(self, key: Key) -> None:
        """Forget a run that no longer waits."""
        self._joins.pop(key, None)
        self._unheard.discard(key)
        unmatched = self._unmatched.get(key[0])
        if unmatched is not None:
            unmatched.discard(key[1])
            if not unmatched:
                del self._unmatched[key[0]]

    def upstream_changed(self, row: Run) -> None:
        """Tell those linked to `row` that it has ended, or is live again."""
        rank = self._book.graph.rank
        for key, number in self._listeners.pop(row.key, ()):
            join = self._joins.get(key)
            if join is not None and number < len(join.links):
                self._hear(key, join, number)
                heappush(self._heap, (rank[key[0]], key[1], key[0]))

    def upstream_reopened(self, row: Run) -> None:
        """Make runs that have not started yet wait for `row` again."""
        for downstream in self._book.graph.downstream.get(row.job, ()):
            for run in self._book.ledger.live(downstream):
                if run.state not in (RunState.WAITING, RunState.QUEUED) or not self._points_to(run, row):
                    continue
                if run.state is RunState.QUEUED:
                    run = self._book.move(run, Unjoined(self._book.now, f"upstream {row.job} is run again"))
                self.enter(run)

    def supersede(self, job: str, tick: datetime) -> None:
        """End the job's older runs that wait for an upstream which never had a tick: a newer tick is there."""
        if job not in self._unmatched:
            return
        for older in sorted(self._unmatched[job]):
            run = self._book.ledger.get((job, older))
            if older < tick and run is not None and run.state is RunState.WAITING:
                name = next(link.job for link in run.links if link.tick is None)
                self._book.move(run, LeftOut(self._book.now, reasons.SUPERSEDED(name)))

    def unmatched(self) -> list[Run]:
        """Return the waiting runs linked to an upstream that has never had a tick."""
        if not self._unmatched:
            return []
        rows = (self._book.ledger.get((job, tick)) for job, ticks in self._unmatched.items() for tick in sorted(ticks))
        return [row for row in rows if row is not None and row.state is RunState.WAITING]

    def settle(self) -> None:
        """Judge every run that heard something, upstreams first, until nobody hears anything new."""
        while self._heap:
            _, tick, job = heappop(self._heap)
            key = (job, tick)
            join = self._joins.get(key)
            if join is not None:
                self._judge(key, join)

    def _judge(self, key: Key, join: Join) -> None:
        if key in self._unheard:
            self._unheard.remove(key)
            for number in range(len(join.links)):
                self._hear(key, join, number)
        judgement, now = join.judge(), self._book.now
        if judgement is Judgement.WAIT:
            return
        run = self._book.ledger.get(key)
        if run is None or run.state is not RunState.WAITING:
            return
        if judgement is Judgement.RUN:
            job = self._book.jobs[run.job]
            refused = refusal(self._book, job, run) if job.when else ""
            self._book.move(run, LeftOut(now, refused) if refused else Joined(now))
        elif judgement is Judgement.FAIL:
            self._book.move(run, Blocked(now, self._blame(run, join, Verdict.BAD)))
        elif judgement is Judgement.SKIP:
            self._book.move(run, LeftOut(now, self._blame(run, join, Verdict.LEFT)))

    def _blame(self, run: Run, join: Join, verdict: Verdict) -> str:
        number = join.first(verdict)
        if number is None:
            return reasons.RULE(join.rule)
        link = run.links[number]
        row = resolve(link, self._book.ledger)
        if row is None:
            return reasons.NO_SUCH_TICK(link.job)
        return reasons.UPSTREAM(link.job, row.state)

    def _hear(self, key: Key, join: Join, number: int) -> None:
        link = join.links[number]
        row = resolve(link, self._book.ledger)
        join.hear(number, verdict_of(link, row))
        if row is not None and row.state in LIVE:
            self._listeners.setdefault(row.key, []).append((key, number))

    def _points_to(self, run: Run, row: Run) -> bool:
        return any(_reaches(link, row, resolve(link, self._book.ledger)) for link in run.links)


def _reaches(link: Link, row: Run, resolved: Run | None) -> bool:
    return link.job == row.job and resolved is not None and resolved.key == row.key
