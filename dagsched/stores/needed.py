"""Which further rows a set of rows cannot do without.

A live run is judged against the rows its links name; a row that was left out may name the run that stands
in for it. What an engine starts from, and what retention must spare, is the closure of both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from dagsched.model import Attempt, Run

Key = tuple[str, datetime]


def with_needed(rows: Iterable[Run], row_at: Callable[[str, datetime], Run | None]) -> dict[Key, Run]:
    """Return `rows` and everything they need, by key; `row_at` finds the row that covers a tick."""
    found: dict[Key, Run] = {}
    todo = list(rows)
    while todo:
        run = todo.pop()
        if run.key not in found:
            found[run.key] = run
            todo.extend(row for job, tick in needed_by(run) if (row := row_at(job, tick)) is not None)
    return found


def needed_by(run: Run) -> Iterator[Key]:
    """Yield the ticks this row depends on: its links while it is live, and its stand-in."""
    if not run.state.is_terminal:
        yield from ((link.job, link.tick) for link in run.links if link.tick is not None)
    if run.stand_in is not None:
        yield run.job, run.stand_in


def last_tick(run: Run) -> datetime:
    """Return the last tick a row stands for: `until` of a range row, else its tick."""
    return run.until or run.tick


def by_start(attempt: Attempt) -> tuple[datetime, str, datetime, int]:
    """Return what attempts are sorted by to stand in the order of their starts."""
    return attempt.started, attempt.job, attempt.tick, attempt.number
