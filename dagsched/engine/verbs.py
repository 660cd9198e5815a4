"""What people ask of a plan: each verb is refused before it changes anything, or done.

`remember` comes before every verb that names a run which may be over: such runs leave memory, and the event brings
their rows from the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dagsched.closest import get_close_matches
from dagsched.engine import events
from dagsched.engine.book import Book
from dagsched.engine.lifecycle import Cancelled
from dagsched.engine.reopen import reopen
from dagsched.errors import Refused, Unknown
from dagsched.model import LIVE, Job, Origin, Run, RunState, parse_run_name, run_name

if TYPE_CHECKING:
    from dagsched.engine.plan import Plan

BY_REQUEST = "cancelled by request"


def trigger(plan: Plan, event: events.TriggerRequested) -> None:
    """Make a manual tick of a job and of what follows from it, `with_upstream` of what it needs as well."""
    book, ticks = plan.book, plan.ticks
    job = _job(book, event.job)
    if not job.enabled:
        raise Refused(f"{job.id} is disabled in {job.position or 'its file'}; set enabled: true there first")
    if ticks.is_queue_full(job):
        raise Refused(f"{job.id} has {job.max_queued} runs that are not over yet (max_queued)")
    if event.only:
        tick = ticks.free_tick([job.id])
        ticks.make_run(job, tick, Origin.MANUAL, patient=True, only=True, asked_for=True, params=event.params)
        return
    asked = [*book.graph.ancestors(job.id), job.id] if event.with_upstream else [job.id]
    asked = [id for id in asked if book.jobs[id].enabled]
    reached = [id for one in asked for id in ticks.spread(one)]
    # What is due already comes first: a join looks for the newest tick up to its own.
    ticks.make_due()
    ticks.make_manual(asked, reached, Origin.MANUAL, {job.id: event.params})


def once(plan: Plan, event: events.OnceRequested) -> None:
    """Make the one tick of `run --once`."""
    enabled = [id for id in event.jobs if plan.book.jobs[id].enabled]
    disabled = [id for id in event.jobs if not plan.book.jobs[id].enabled]
    plan.ticks.make_manual(enabled, disabled, Origin.ONCE, event.params)


def call(plan: Plan, event: events.RunCalled) -> None:
    """Make the run that another one waits for."""
    remember(plan.book, event.rows)
    plan.calls.call(_run(plan.book, event.caller), _job(plan.book, event.job), event, plan.ticks)


def cancel(plan: Plan, event: events.CancelRequested) -> None:
    """End a run that is not over."""
    run = _run(plan.book, event.run)
    if run.state.is_terminal:
        raise Refused(f"{run.name} is {run.state} already")
    end(plan.book, run, BY_REQUEST)


def end(book: Book, run: Run, reason: str) -> None:
    """End a live run: at once, or once its attempt is over. A person's reason stands above all others."""
    if run.state is not RunState.RUNNING:
        book.move(run, Cancelled(book.now, reason))
    elif not run.stopping or reason == BY_REQUEST:
        book.amend(run, "run.stopping", reason, stopping=reason)
        book.stop(run.name, run.attempts, "cancel")


def rerun(plan: Plan, event: events.RerunRequested) -> None:
    """Try a run that is over again."""
    remember(plan.book, event.rows)
    reopen(plan.book, plan.waiting, plan.ticks, event.run, downstream=event.downstream)


def pause(plan: Plan, event: events.PauseRequested) -> None:
    """Skip a job's ticks from now on."""
    _job(plan.book, event.job)
    # What was due before the pause is not paused.
    plan.ticks.make_due()
    mark = plan.book.marks[event.job]
    if mark.paused is None:
        plan.book.save_mark(mark._replace(paused=event.now))
        plan.book.note("job.paused", job=event.job)
        # A run that the pause holds back gives its seat to one that a person asked for.
        plan.seats.stir(event.job)


def resume(plan: Plan, event: events.ResumeRequested) -> None:
    """Run a job's ticks again."""
    _job(plan.book, event.job)
    # What was due during the pause stays skipped.
    plan.ticks.make_due()
    mark = plan.book.marks[event.job]
    if mark.paused is not None:
        plan.book.save_mark(mark._replace(paused=None))
        plan.book.note("job.resumed", job=event.job)
        plan.seats.stir(event.job)


def ack(plan: Plan, event: events.AckRequested) -> None:
    """Take a failed run from the dead letters."""
    remember(plan.book, event.rows)
    run = _run(plan.book, event.run)
    if run.state is not RunState.FAILED:
        raise Refused(f"{run.name} is {run.state}; only a failed run is a dead letter")
    if not run.acked:
        plan.book.amend(run, "run.acked", acked=True)


def remember(book: Book, rows: Iterable[Run]) -> None:
    """Take rows from the store into memory."""
    for row in rows:
        # One that was read alive and is not in memory has ended since: this plan was made after it was read.
        if row.state not in LIVE and book.ledger.get(row.key) is None:
            book.ledger.put(row)


def _job(book: Book, id: str) -> Job:
    job = book.jobs.get(id)
    if job is None:
        raise Unknown("job", id, get_close_matches(id, list(book.jobs), 3))
    return job


def _run(book: Book, name: str) -> Run:
    try:
        job, tick = parse_run_name(name)
    except ValueError as error:
        raise Refused(str(error)) from None
    run = book.ledger.covering(job, tick)
    if run is None:
        raise Unknown("run", name, [run_name(job, row.tick) for row in book.ledger.live(job)][:3])
    return run
