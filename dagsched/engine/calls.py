"""Runs that other runs make: a workflow's step is a run of another job, and lives no longer than who waits for it.

A caller that is tried again finds the run that an earlier attempt of it has made: one that lives is joined, one that
has succeeded is its result. So the loss of an attempt, or of the daemon, never has a step done twice. Only a person's
`rerun` of the caller begins anew, which a "" in the caller's list of called runs marks.
"""

from __future__ import annotations

from collections.abc import Iterable

from dagsched.engine.book import Book
from dagsched.engine.events import RunCalled
from dagsched.engine.ticks import Ticks
from dagsched.errors import Refused
from dagsched.model import AWAITED, CALLED, CALLER, LIVE, Job, Origin, Run, RunState, parse_run_name, run_name


class Calls:
    """Which live runs are awaited by which callers, by name."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._awaited: dict[str, set[str]] = {}
        self.abandoned: list[tuple[str, str]] = []

    def __bool__(self) -> bool:
        return bool(self._awaited)

    def restore(self, runs: Iterable[Run]) -> None:
        """Take up the live runs that somebody waits for."""
        for run in runs:
            if run.params and run.params.get(AWAITED) and run.state in LIVE:
                self._awaited.setdefault(run.params[CALLER], set()).add(run.name)

    def call(self, caller: Run, job: Job, event: RunCalled, ticks: Ticks) -> None:
        """Make the run that `caller` wants, unless one that it made before will do; raises Refused."""
        if caller.state is not RunState.RUNNING or caller.stopping:
            raise Refused(f"{caller.name} is {caller.stopping or caller.state}: only a run under way calls another")
        if self.known(caller, job.id) is not None:
            return
        if not job.enabled:
            raise Refused(f"{job.id} is disabled in {job.position or 'its file'}")
        if self._book.ledger.count_live(job.id) >= job.max_queued:
            raise Refused(f"{job.id} has {job.max_queued} runs that are not over yet (max_queued)")
        ticks.make_due()
        told = {CALLER: caller.name, **({AWAITED: True} if event.waits else {})}
        given = {job.id: {**event.params, **told}}
        tick = ticks.make_manual([job.id], ticks.spread(job.id), Origin.WORKFLOW, given, is_person=False)
        name = run_name(job.id, tick)
        caller = self._book.ledger.get(caller.key) or caller
        called = [*caller.params.get(CALLED, ()), name]
        self._book.amend(caller, "run.called", name, params={**caller.params, CALLED: called})
        if event.waits:
            self._awaited.setdefault(caller.name, set()).add(name)

    def known(self, caller: Run, job: str, *, or_newest: bool = False) -> Run | None:
        """Return the run of `job` that does what `caller` wants: any it made that lives, or its newest if that is good.

        `or_newest`: the newest also if it is not.
        """
        names = list(caller.params.get(CALLED, ()))
        rows = [(self._row(name), name) for name in names if name and parse_run_name(name)[0] == job]
        for row, _ in rows:
            if row is not None and row.state in LIVE:
                return row
        newest = rows[-1] if rows else (None, "")
        if or_newest:
            return newest[0]
        is_of_now = bool(newest[1]) and "" not in names[names.index(newest[1]) :]
        return newest[0] if is_of_now and newest[0] is not None and newest[0].state is RunState.SUCCESS else None

    def _row(self, name: str) -> Run | None:
        return self._book.ledger.get(parse_run_name(name))

    # ------------------------------------------------------------ callers that wait no more

    def ended(self, run: Run) -> None:
        """Take note that a run is over: of a caller that did not succeed, nobody needs what it had made."""
        awaited = self._awaited.pop(run.name, ())
        if run.state is not RunState.SUCCESS:
            self.abandoned += [(name, run.name) for name in sorted(awaited)]

    def given_up(self, caller: str) -> None:
        """Take note that a caller's attempt was ended, though the caller may be tried again."""
        self.abandoned += [(name, caller) for name in sorted(self._awaited.get(caller, ()))]

    def take_abandoned(self) -> list[tuple[Run, str]]:
        """Return the live runs that nobody waits for any more, each with who did."""
        taken, self.abandoned = dict(self.abandoned), []
        rows = [(self._row(name), caller) for name, caller in taken.items()]
        return [(row, caller) for row, caller in rows if row is not None and row.state in LIVE]
