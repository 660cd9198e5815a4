"""Retention and roll-ups of a store that speaks SQL, each piece inside one transaction of the writer.

Whoever writes as a daemon has the epoch compared first: two daemons may both believe that they hold the state, but
only the newest one's epoch is stored.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dagsched.errors import FencedOut
from dagsched.model import RunState
from dagsched.stores import codec
from dagsched.stores.contract import Bound, Gone
from dagsched.stores.needed import Key
from dagsched.stores.procedures import Procedures
from dagsched.stores.rollup import Days, Rollup, rolled_up
from dagsched.stores.sql_read import DROPPED, EVER_MS, PRESENT, facts_of, keys_of, rollup_of, row_of, runs_of

# Old rows lie all over the file: a hundred can touch a thousand pages, and a commit waits for them.
PRUNE_ROWS = 100
PRUNE_EVENTS = 1000
# In a job's own order its rows lie further apart than those of a state in the order of time.
PRUNE_ROWS_OF_JOB = 40

# How far retention has come in the rows of a state: last tick, job, tick.
Position = tuple[int, str, int]
OLDEST: Position = (-EVER_MS, "", -EVER_MS)


def fenced(connection: Procedures, epoch: int) -> int:
    """Return the number of the newest event; raises FencedOut unless `epoch` is the one that may write."""
    ((stored, last_event),) = connection.ask("fence")
    if epoch == 0 or epoch != stored:
        raise FencedOut(f"epoch {epoch} may no longer write; the state is at epoch {stored}")
    return int(last_event)


class Spared(NamedTuple):
    """Rows that retention leaves alone: their keys (job, tick in ms), and the live rows that were asked."""

    keys: set[tuple[str, int]]
    asked: set[tuple[Any, ...]]

    def ask_new(self, connection: Procedures) -> None:
        """Spare what live rows need that were made since: a commit may come between two chunks."""
        new = set(connection.ask("live_links")) - self.asked
        runs = [run for job, tick, *_ in new for run in runs_of(connection, "run", (job, tick))]
        self.keys.update(keys_of(connection, runs))
        self.asked.update(new)


def spared(connection: Procedures, keep: frozenset[Key]) -> Spared:
    """Return what stays whatever its age."""
    named = (row_of(connection, "run", job, tick) for job, tick in keep)
    rows = [*runs_of(connection, "newest_runs"), *(run for run in named if run is not None)]
    found = Spared(keys_of(connection, rows), set())
    found.ask_new(connection)
    return found


def prune_rows(
    connection: Procedures,
    state: RunState,
    before_ms: int,
    position: Position,
    spared: Spared,
    epoch: int,
    dry_run: bool = False,
) -> Pruned:
    """Delete among a state's next rows after `position`."""
    fenced(connection, epoch)
    spared.ask_new(connection)
    last, job, tick = position
    bounds = {"state": state.value, "before": before_ms, "last": last, "job": job, "tick": tick, "limit": PRUNE_ROWS}
    return _drop(connection, connection.ask("prunable", bounds), PRUNE_ROWS, spared, dry_run)


def prune_job(
    connection: Procedures, bound: Bound, position: Position, spared: Spared, epoch: int, dry_run: bool = False
) -> Pruned:
    """Delete among a job's next rows after `position`."""
    fenced(connection, epoch)
    spared.ask_new(connection)
    before = codec.ms_of(bound.before)
    ended = before if bound.runs is None else EVER_MS
    if bound.runs is not None:
        oldest = connection.ask("nth_newest", {"job": bound.job, "number": bound.runs - 1})
        before = min(before, *(tick for (tick,) in oldest)) if oldest else -EVER_MS
    bounds = {"job": bound.job, "tick": position[2], "before": before, "ended": ended}
    rows = connection.ask("prunable_of_job", {**bounds, "limit": PRUNE_ROWS_OF_JOB})
    return _drop(connection, rows, PRUNE_ROWS_OF_JOB, spared, dry_run)


class Pruned(NamedTuple):
    """What a chunk of retention did: where the next begins (None: nowhere), how many rows went, and which."""

    position: Position | None
    rows: int
    gone: Sequence[Gone]


def _drop(connection: Procedures, rows: Sequence[Position], limit: int, spared: Spared, dry_run: bool) -> Pruned:
    doomed = [(job, tick) for _, job, tick in rows if (job, tick) not in spared.keys]
    position = rows[-1] if len(rows) == limit else None
    if dry_run:
        # Another bound may reach as far, and find them where they are.
        spared.keys.update(doomed)
        return Pruned(position, len(doomed), ())
    gone = [
        Gone(job, codec.instant(tick), [log for (log,) in connection.ask("logs_of", (job, tick))])
        for job, tick in doomed
    ]
    facts = [facts_of(key[0], row) for key in doomed for row in connection.ask("row_facts", key)]
    remember(connection, rolled_up(facts))
    connection.change("delete_attempts", doomed)
    connection.change("delete_run", doomed)
    return Pruned(position, len(doomed), gone)


def remember(connection: Procedures, days: Days) -> None:
    """Move the figures of rows that are being deleted from those present to those dropped."""
    for (job, day), more in days.items():
        for (body,) in connection.ask("rollup", (job, day, PRESENT)):
            left = rollup_of(body).without(more)
            _put_rollup(connection, job, day, PRESENT, left)
        for (body,) in connection.ask("rollup", (job, day, DROPPED)):
            more.merge(rollup_of(body))
        _put_rollup(connection, job, day, DROPPED, more)


def _put_rollup(connection: Procedures, job: str, day: int, part: str, rollup: Rollup) -> None:
    if rollup.states:
        connection.change("put_rollup", [(job, day, part, rollup.as_text())])
    else:
        connection.change("delete_rollup", [(job, day, part)])


def renew_rollups(connection: Procedures, job: str, changed: Mapping[int, Rollup], epoch: int) -> None:
    """Put these in the place of the figures of a job's rows that are there, by day."""
    fenced(connection, epoch)
    for day, rollup in changed.items():
        _put_rollup(connection, job, day, PRESENT, rollup)


def finish_rollup(connection: Procedures, before_ms: int, epoch: int) -> None:
    fenced(connection, epoch)
    connection.change("put_rolled", [(before_ms,)])


def give_back(connection: Procedures, epoch: int) -> bool:
    """Give a few free pages back to the disk; True if there may be more."""
    fenced(connection, epoch)
    ((before,),) = connection.ask("free_pages")
    connection.ask("give_back")
    ((after,),) = connection.ask("free_pages")
    return bool(0 < after < before)


def prune_events(connection: Procedures, before_ms: int, loose_ms: int, after: int, epoch: int) -> int | None:
    """Delete among the next events after number `after`; return the number reached, None at the end.

    `before_ms` bounds those of runs that are gone, `loose_ms` those of no run.
    """
    fenced(connection, epoch)
    ((until, oldest),) = connection.ask("next_events", {"after": after, "limit": PRUNE_EVENTS})
    if until is None or oldest >= before_ms:
        return None
    bounds = {"after": after, "until": until, "before": before_ms, "loose": loose_ms}
    connection.change("delete_events", [bounds])
    return int(until)
