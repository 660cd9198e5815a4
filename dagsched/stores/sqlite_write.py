"""What a SQLite store's writer does on its connection's thread, each inside one transaction.

Whoever writes as a daemon has the epoch compared first: two daemons may both believe that they hold the state, but
only the newest one's epoch is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagsched.errors import FencedOut, IntegrityBroken
from dagsched.model import EMISSIONS_MAX, ConfigVersion, EventRow, RunState
from dagsched.stores import codec
from dagsched.stores.contract import Batch
from dagsched.stores.needed import Key
from dagsched.stores.session import Procedures
from dagsched.stores.sqlite_read import EVER_MS, keys_of, row_of, runs_of

# Old rows lie all over the file: a hundred can touch a thousand pages, and a commit waits for them.
PRUNE_ROWS = 100
PRUNE_EVENTS = 1000

# How far retention has come in the rows of a state: last tick, job, tick.
Position = tuple[int, str, int]
OLDEST: Position = (-EVER_MS, "", -EVER_MS)


def write(connection: Procedures, batch: Batch, epoch: int) -> None:
    last_event = _fenced(connection, epoch)
    _require_next(batch.events, last_event)
    split = [(job, codec.ms_of(tick)) for job, tick in batch.split]
    if connection.change("split_range", split) != len(split):
        raise IntegrityBroken("a range row that was to be split is not there")
    connection.change("put_run", [codec.run_columns(run) for run in batch.runs])
    connection.change("new_attempt", [codec.attempt_columns(attempt) for attempt in batch.new_attempts])
    connection.change("put_attempt", [codec.attempt_columns(attempt) for attempt in batch.attempts])
    connection.change("put_mark", [codec.mark_columns(mark) for mark in batch.marks])
    connection.change("new_event", [codec.event_columns(event) for event in batch.events])
    if batch.events:
        newest = batch.events[-1]
        connection.change("move_log", [{"seq": newest.seq, "time": codec.ms_of(newest.time)}])
    bodies = [(digest, codec.json_of(body)) for digest, body in batch.definitions.items()]
    connection.change("put_definition", bodies)
    if batch.config is not None:
        _new_config(connection, batch.config)
    if batch.emissions:
        connection.change("put_emission", [codec.emission_columns(emission) for emission in batch.emissions])
        connection.change("trim_emissions", [(EMISSIONS_MAX,)])
    connection.change("done_request", [(number,) for number in batch.done_requests])


def _new_config(connection: Procedures, config: ConfigVersion) -> None:
    digests = {path: codec.digest_of(text) for path, text in config.files.items()}
    # Most are there from an earlier version, and all together may be long.
    missing = [path for path, digest in digests.items() if not connection.ask("has_text", (digest,))]
    new = [(digests[path], config.files[path]) for path in missing]
    connection.change("put_text", new)
    connection.change("new_config", [codec.config_columns(config, digests)])


def _fenced(connection: Procedures, epoch: int) -> int:
    """Return the number of the newest event; raises FencedOut unless `epoch` is the one that may write."""
    ((stored, last_event),) = connection.ask("fence")
    if epoch == 0 or epoch != stored:
        raise FencedOut(f"epoch {epoch} may no longer write; the state is at epoch {stored}")
    return int(last_event)


def _require_next(events: Sequence[EventRow], last_event: int) -> None:
    for expected, event in enumerate(events, last_event + 1):
        if event.seq != expected:
            raise IntegrityBroken(f"event {event.seq} does not follow event {expected - 1}")


def next_epoch(connection: Procedures, holder: str) -> int:
    connection.change("next_epoch", [{"holder": codec.storable(holder)}])
    return int(connection.ask("fence")[0][0])


def new_request(connection: Procedures, row: Sequence[Any]) -> int:
    return connection.insert("new_request", row)


@dataclass(slots=True)
class Spared:
    """Rows that retention leaves alone: their keys (job, tick in ms), and the live rows that were asked."""

    keys: set[tuple[str, int]]
    asked: set[tuple[Any, ...]]

    def ask_new(self, connection: Procedures) -> None:
        """Spare what live rows need that were made since: a commit may come between two chunks."""
        new = set(connection.ask("live_links")) - self.asked
        runs = [run for job, tick, *_ in new for run in runs_of(connection, "run", (job, tick))]
        self.keys |= keys_of(connection, runs)
        self.asked |= new


def spared(connection: Procedures, keep: frozenset[Key]) -> Spared:
    """Return what stays whatever its age."""
    named = (row_of(connection, "run", job, tick) for job, tick in keep)
    rows = [*runs_of(connection, "newest_runs"), *(run for run in named if run is not None)]
    found = Spared(keys_of(connection, rows), set())
    found.ask_new(connection)
    return found


def prune_rows(
    connection: Procedures, state: RunState, before_ms: int, position: Position, spared: Spared, epoch: int
) -> tuple[Position | None, int]:
    """Delete among a state's next rows after `position`; return the new position (None: the end) and how many."""
    _fenced(connection, epoch)
    spared.ask_new(connection)
    last, job, tick = position
    bounds = {"state": state.value, "before": before_ms, "last": last, "job": job, "tick": tick, "limit": PRUNE_ROWS}
    rows: list[Position] = connection.ask("prunable", bounds)
    doomed = [(job, tick) for _, job, tick in rows if (job, tick) not in spared.keys]
    connection.change("delete_attempts", doomed)
    connection.change("delete_run", doomed)
    return rows[-1] if len(rows) == PRUNE_ROWS else None, len(doomed)


def prune_events(connection: Procedures, before_ms: int, after: int, epoch: int) -> int | None:
    """Delete among the next events after number `after`; return the number reached, None at the end."""
    _fenced(connection, epoch)
    ((until, oldest),) = connection.ask("next_events", {"after": after, "limit": PRUNE_EVENTS})
    if until is None or oldest >= before_ms:
        return None
    connection.change("delete_events", [{"after": after, "until": until, "before": before_ms}])
    return int(until)
