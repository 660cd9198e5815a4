"""What a SQLite store's writer does on its connection's thread, each inside one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagsched.errors import IntegrityBroken, StoreMoved
from dagsched.model import EMISSIONS_MAX, ConfigVersion, EventRow
from dagsched.stores import codec
from dagsched.stores.contract import ANSWERS_KEPT, Batch
from dagsched.stores.session import Procedures
from dagsched.stores.sql_retention import fenced


def write(connection: Procedures, batch: Batch, epoch: int) -> None:
    last_event = fenced(connection, epoch)
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
    connection.change("put_backfill", [codec.backfill_columns(backfill) for backfill in batch.backfills])
    if batch.emissions:
        connection.change("put_emission", [codec.emission_columns(emission) for emission in batch.emissions])
        connection.change("trim_emissions", [(EMISSIONS_MAX,)])
    connection.change("done_request", [(number,) for number in batch.done_requests])
    if batch.answers:
        connection.change("put_answer", [codec.kept_columns(kept) for kept in batch.answers])
        oldest = max(kept.time for kept in batch.answers) - ANSWERS_KEPT
        connection.change("forget_answers", [(codec.ms_of(oldest),)])


def _new_config(connection: Procedures, config: ConfigVersion) -> None:
    digests = {path: codec.digest_of(text) for path, text in config.files.items()}
    # Most are there from an earlier version, and all together may be long.
    missing = [path for path, digest in digests.items() if not connection.ask("has_text", (digest,))]
    new = [(digests[path], config.files[path]) for path in missing]
    connection.change("put_text", new)
    connection.change("new_config", [codec.config_columns(config, digests)])


def _require_next(events: Sequence[EventRow], last_event: int) -> None:
    for expected, event in enumerate(events, last_event + 1):
        if event.seq != expected:
            raise IntegrityBroken(f"event {event.seq} does not follow event {expected - 1}")


def next_epoch(connection: Procedures, holder: str, place: str) -> int:
    """Return the new epoch; raises StoreMoved when the state at `place` has gone elsewhere."""
    _require_here(connection, place)
    connection.change("next_epoch", [{"holder": codec.storable(holder)}])
    return int(connection.ask("fence")[0][0])


def new_request(connection: Procedures, row: Sequence[Any], place: str) -> int:
    """Return the number of a command left in the inbox; raises StoreMoved as `next_epoch` does."""
    _require_here(connection, place)
    return connection.insert("new_request", row)


def _require_here(connection: Procedures, place: str) -> None:
    for _, other, is_over in connection.ask("went"):
        raise StoreMoved(place, other, bool(is_over))
