"""What `when` is judged by: the upstream runs that a run is joined with, its parameters, and its tick's wall clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from dagsched import reasons
from dagsched.conditions import Verdict, judge, parse
from dagsched.engine.book import Book
from dagsched.engine.joins import resolve
from dagsched.model import Job, Run
from dagsched.triggers import local

TEXT_SHOWN_MAX = 200


def refusal(book: Book, job: Job, run: Run) -> str:
    """Return why the job's condition lets the run not start, "" if it does or is not asked.

    It is asked once, before attempt 1, and not for a run that looks at no upstream (`trigger --only`).
    """
    if not job.when or run.attempts or run.only:
        return ""
    verdict = judged(book, job, run)
    if verdict.holds:
        return ""
    text = " ".join(job.when.split())
    shown = text if len(text) <= TEXT_SHOWN_MAX else f"{text[: TEXT_SHOWN_MAX - 3]}..."
    return reasons.WHEN(shown, f" ({verdict.words})" if verdict.words else "")


def judged(book: Book, job: Job, run: Run) -> Verdict:
    """Return what the job's condition says of the run as its upstreams are now."""
    return judge(parse(job.when), _Facts(book, job, run))


class _Facts:
    """The facts of one run."""

    def __init__(self, book: Book, job: Job, run: Run) -> None:
        self._book, self._job, self._run = book, job, run

    @property
    def local(self) -> datetime:
        return local(self._run.tick, self._job.timezone)

    def state(self, job: str) -> str | None:
        return next((row.state.value for row in self._rows(job)), None)

    def output(self, job: str, name: str) -> str | None:
        return next((row.outputs[name] for row in self._rows(job) if name in row.outputs), None)

    def param(self, name: str) -> Any:
        if name in self._run.params:
            return self._run.params[name]
        declared = self._job.params.get(name)
        return None if declared is None else declared.default

    def _rows(self, job: str) -> Iterator[Run]:
        """Yield the runs of that upstream that the run is joined with, the newest first."""
        for link in reversed(self._run.links):
            row = resolve(link, self._book.ledger) if link.job == job else None
            if row is not None:
                yield row
