"""One configuration takes the place of another, at one instant.

Ticks up to now were made under the old one before this is called. From here on an unchanged job loses and
doubles nothing, a changed schedule speaks from now on, waiting and queued runs take the new definition, and
runs of a removed job end, except that an attempt under way may finish.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagsched import reasons
from dagsched.definition import digest
from dagsched.engine.book import Book, Edit, edit_of
from dagsched.engine.joins import link_edge
from dagsched.engine.lifecycle import Cancelled
from dagsched.engine.ticks import start_of
from dagsched.model import Config, ConfigVersion, Job, JobMark, Link, Run, RunState

# One line of the log has to hold them. An edit of more jobs says how many it leaves out.
NAMED_MAX = 10_000


def swap(book: Book, config: Config, number: int) -> Edit:
    """Put `config` in force as version `number`, and return what that edits.

    The same number as before only renews what is derived.
    """
    old = book.jobs
    is_new = number != book.config_number
    edit = edit_of(old, config.jobs)
    diff = _diff(edit, old, config.jobs)
    _cancel_removed(book, config.jobs)
    book.use(config, number, edit)
    for id in edit.fresh:
        _mark(book, config.jobs[id], old.get(id))
    for run in list(book.ledger.all_live()):
        if run.job in config.jobs:
            _take_definition(book, run, config.jobs[run.job], old.get(run.job))
    if is_new:
        summary = ", ".join(f"{len(ids)} {word}" for word, ids in diff.items() if ids) or "nothing changed"
        book.save_config(ConfigVersion(number, book.now, config.digest, config.files, summary))
        detail = {"number": number, **_named(diff)}
        book.note("config.applied", reason=f"configuration {number}: {summary}", detail=detail)
    return edit


def _named(diff: Mapping[str, list[str]]) -> dict[str, Any]:
    """Return the jobs of each kind, and as `truncated` how many of each are left out, if any are."""
    named: dict[str, Any] = {word: ids[:NAMED_MAX] for word, ids in diff.items()}
    left_out = {word: len(ids) - NAMED_MAX for word, ids in diff.items() if len(ids) > NAMED_MAX}
    return {**named, "truncated": left_out} if left_out else named


def _diff(edit: Edit, old: Mapping[str, Job], new: Mapping[str, Job]) -> dict[str, list[str]]:
    known = [id for id in edit.fresh if id in old]
    return {
        "added": [id for id in edit.fresh if id not in old],
        "changed": [id for id in known if new[id] != old[id] and digest(new[id]) != digest(old[id])],
        "removed": edit.removed,
    }


def _cancel_removed(book: Book, new: Mapping[str, Job]) -> None:
    for run in list(book.ledger.all_live()):
        if run.job not in new and run.state is not RunState.RUNNING:
            book.move(run, Cancelled(book.now, reasons.JOB_REMOVED()))


def _mark(book: Book, job: Job, before: Job | None) -> None:
    mark = book.marks.get(job.id)
    if mark is not None and before is not None and _makes_the_same_ticks(before, job):
        return
    paused = mark.paused if mark else None
    # After a backward step of the clock, ticks up to the old cursor are accounted for already.
    cursor = max(book.now, mark.cursor) if mark else book.now
    book.save_mark(JobMark(job.id, cursor, paused, 0, book.now))


def _makes_the_same_ticks(before: Job, job: Job) -> bool:
    if job.schedule is not None or before.schedule is not None:
        return before.schedule == job.schedule
    return {edge.job for edge in before.depends_on} == {edge.job for edge in job.depends_on}


def _take_definition(book: Book, run: Run, job: Job, before: Job | None) -> None:
    fields: dict[str, Any] = {}
    if run.attempts == 0 and run.attempt_limit != job.retry.max_attempts and not run.stopping:
        fields["attempt_limit"] = job.retry.max_attempts
    if before is not None and job.jitter != before.jitter and run.attempts == 0:
        fields["not_before"] = start_of(job, run.tick)
    if run.state in (RunState.WAITING, RunState.QUEUED) and not run.only:
        links = _relinked(book, run, job, before)
        if links != run.links:
            fields["links"] = links
    if fields:
        book.amend(run, **fields)


def _relinked(book: Book, run: Run, job: Job, before: Job | None) -> tuple[Link, ...]:
    """Drop removed edges at once; bind a waiting run to an added one only if that upstream has a tick <= T."""
    had = set(before.depends_on) if before else set()
    links: list[Link] = []
    for edge in job.depends_on:
        if edge in had or before is None or run.state is RunState.QUEUED:
            # A queued run was judged already; what it keeps is where its outputs come from.
            links += [link for link in run.links if link.job == edge.job]
        else:
            made = link_edge(job, edge, run.tick, book.ledger)
            links += [link for link in made if link.tick is not None]
    return tuple(links)
