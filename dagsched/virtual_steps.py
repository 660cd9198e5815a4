"""Workflows on a virtual clock: a step that is another job is really run, and the workflow ends as it does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from dagsched.engine import Plan, events
from dagsched.engine.commands import Command
from dagsched.engine.ledger import Key
from dagsched.errors import DagschedError
from dagsched.model import CALLER, EMPTY, Exit, Job, Outcome, Run, RunState


class Host(Protocol):
    """The virtual daemon, as far as its workflows need it."""

    @property
    def now(self) -> datetime: ...

    @property
    def plan(self) -> Plan: ...

    def rows(self, job: str | None = None) -> list[Run]: ...

    def give(self, event: events.Event) -> Sequence[Command]:
        """Have the plan take an event."""
        ...

    def end_of(self, run: str, attempt: int) -> int | None:
        """Return where an attempt's own end stands among those to come, None if it has none."""
        ...

    def is_over(self, number: int) -> bool:
        """Whether the end at that place has come."""
        ...

    def end_now(self, exit: Exit, number: int | None = None) -> None:
        """Have an attempt end now, in the place of its own end, if it has one."""
        ...


class Caller(NamedTuple):
    """An attempt of a workflow that waits for the run of another job."""

    run: str
    attempt: int
    started: datetime


class Steps:
    """The workflows under way. `waiting`: by the run that they wait for."""

    def __init__(self, virtual: Host) -> None:
        self._virtual = virtual
        self._asked: list[tuple[Job, Run, datetime]] = []
        self.waiting: dict[Key, list[Caller]] = {}

    def asked(self, job: Job, caller: Run, started: datetime) -> None:
        """Take a workflow's attempt that has begun; its step is made once the event that began it is over."""
        self._asked.append((job, caller, started))

    def make(self) -> None:
        """Make the steps that were asked for."""
        while self._asked:
            self._call(*self._asked.pop(0))

    def callers(self) -> Iterator[tuple[str, int]]:
        """Yield the attempts that wait, by run name and number."""
        return ((each.run, each.attempt) for callers in self.waiting.values() for each in callers)

    def stopped(self, run: str, attempt: int) -> datetime | None:
        """Forget an attempt that waits and is being stopped; return when it started, None if it does not wait."""
        for callers in self.waiting.values():
            for caller in callers:
                if (caller.run, caller.attempt) == (run, attempt):
                    callers.remove(caller)
                    return caller.started
        return None

    def ended(self, step: Run) -> None:
        """Take note that a run is over: who waited for it ends."""
        for caller in self.waiting.pop(step.key, ()):
            self._end(caller, step)

    def _call(self, job: Job, caller: Run, started: datetime) -> None:
        """Have a workflow make its step, or find the one that an earlier attempt has made."""
        virtual, asked, waits = self._virtual, job.with_["job"], bool(job.with_.get("wait", True))
        attempt = Caller(caller.name, caller.attempts, started)
        known = tuple(row for row in virtual.rows(asked) if row.params.get(CALLER) == caller.name)
        params = job.with_.get("params", EMPTY)
        try:
            virtual.give(events.RunCalled(virtual.now, asked, caller.name, params, waits, known))
        except DagschedError as error:
            self._end(attempt, None, str(error))
            return
        current = virtual.plan.book.ledger.get(caller.key)
        step = virtual.plan.calls.known(current, asked, or_newest=True) if current is not None else None
        if not waits or (step is not None and step.state.is_terminal):
            self._end(attempt, step if waits else None)
        elif step is not None:
            self.waiting.setdefault(step.key, []).append(attempt)

    def _end(self, caller: Caller, step: Run | None, refused: str = "") -> None:
        """End a workflow's attempt as its step ended; `refused`: why that could not be made."""
        own = self._virtual.end_of(caller.run, caller.attempt)
        if own is not None and self._virtual.is_over(own):
            return  # its timeout has come first
        exit = Exit(caller.run, caller.attempt, Outcome.SUCCESS, self._virtual.now, caller.started, exit_code=0)
        if refused or (step is not None and step.state is not RunState.SUCCESS):
            exit = exit._replace(outcome=Outcome.FAILED, exit_code=1, reason=refused)
        elif step is not None:
            exit = exit._replace(outputs=step.outputs)
        self._virtual.end_now(exit, own)
