"""Which rows of the ledger may leave memory: those that no live run and no open window looks at any more."""

from __future__ import annotations

from datetime import datetime

from dagsched.engine.book import Book
from dagsched.model import Match


def forget_what_nothing_needs(book: Book, job: str, keep: set[datetime]) -> None:
    """Let a job's old rows leave memory but those that live runs below it are linked to, or that a window counts.

    `keep`: ticks that stay in any case.
    """
    horizons: list[datetime] = []
    for below in book.graph.downstream[job]:
        for run in book.ledger.live(below):
            keep.update(link.tick for link in run.links if link.job == job and link.tick is not None)
        if any(edge.job == job and edge.match is Match.ALL for edge in book.jobs[below].depends_on):
            opened = book.ledger.schedule_tick_before(below, book.now)
            horizons.append(opened or datetime.min.replace(tzinfo=book.now.tzinfo))
    book.ledger.forget(job, before=min(horizons, default=None), keep=keep)
