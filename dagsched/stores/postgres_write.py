"""A batch as the statements of one pipelined transaction: a commit is one round trip to the server.

The first of them lets the commit in: the epoch must be the newest, the events must be those that are due, and the
number of the commit must be new. That last one answers the question that a lost connection leaves open: was it made?
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from dagsched.errors import IntegrityBroken
from dagsched.model import EMISSIONS_MAX, ConfigVersion, EventRow, Run
from dagsched.stores import codec
from dagsched.stores.codec import json_of_rows
from dagsched.stores.contract import ANSWERS_KEPT, Batch
from dagsched.stores.postgres_fleet import DISPATCH_COLUMNS, dispatch_columns

WEEK_MS = 7 * 86_400_000
# 1970 began on a Thursday.
MONDAY_MS = 4 * 86_400_000

Step = tuple[str, Sequence[Any]]

RUN_COLUMNS = (
    "job", "tick", "until", "state", "reason", "origin", "created", "ready", "started", "ended", "attempts",
    "attempt_limit", "not_before", "exit_code", "links", "stand_in", "patient", "only_this", "stopping", "params",
    "outputs", "definition", "config", "acked", "late", "last", "live",
)  # fmt: skip
ATTEMPT_COLUMNS = (
    "job", "tick", "number", "started", "ended", "outcome", "exit_code", "signal", "reason", "pid", "log",
    "output_bytes", "definition", "place",
)  # fmt: skip
EVENT_COLUMNS = ("seq", "time", "type", "job", "tick", "attempt", "from_state", "to_state", "reason", "detail")
MARK_COLUMNS = ("job", "cursor", "paused", "started_runs", "schedule_since")
BACKFILL_COLUMNS = (
    "id", "job", "first", "last", "newest_first", "max_active", "downstream", "again", "params", "state", "reason",
    "position", "total", "handled", "made", "reopened", "succeeded", "failed", "skipped", "created", "ended",
)  # fmt: skip


def steps(batch: Batch, epoch: int, commit: int, place: str) -> list[Step]:
    """Return the statements that write `batch` as the commit of that number; `place`: who has its new attempts."""
    found: list[Step] = [("begin_commit", (epoch, commit, *_log_moves(batch.events)))]
    if batch.split:
        keys = [(job, codec.ms_of(tick)) for job, tick in batch.split]
        found.append(("split_ranges", (json_of_rows(("job", "tick"), keys),)))

    def put(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        if text := json_of_rows(columns, rows):
            found.append((name, (text,)))

    for runs in _waves(batch.runs):
        put("put_run", RUN_COLUMNS, map(codec.run_columns, runs))
    # A statement may change a row once, so the newest value of each is chosen here.
    attempts = {(attempt.job, attempt.tick, attempt.number): attempt for attempt in batch.attempts}
    # Who does these is not known yet.
    queues = {(each.job, each.tick, each.number): f"@{each.queue}" for each in batch.dispatches}
    new = ((each, queues.get((each.job, each.tick, each.number), place)) for each in batch.new_attempts)
    put("new_attempt", ATTEMPT_COLUMNS, ((*codec.attempt_columns(each), its_place) for each, its_place in new))
    put("put_attempt", ATTEMPT_COLUMNS, ((*codec.attempt_columns(each), place) for each in attempts.values()))
    put("dispatch", DISPATCH_COLUMNS, map(dispatch_columns, batch.dispatches))
    if batch.hidden is not None:
        found.append(("put_hidden", (json.dumps(list(batch.hidden)),)))
    settled = ((job, codec.ms_of(tick), number) for job, tick, number in batch.settled)
    put("settle", ("job", "tick", "number"), settled)
    put("put_mark", MARK_COLUMNS, map(codec.mark_columns, {mark.job: mark for mark in batch.marks}.values()))
    put("new_event", EVENT_COLUMNS, map(codec.event_columns, batch.events))
    found += [("put_definition", (digest, codec.json_of(body))) for digest, body in batch.definitions.items()]
    if batch.config is not None:
        found += _config(batch.config)
    backfills = {backfill.id: backfill for backfill in batch.backfills}
    put("put_backfill", BACKFILL_COLUMNS, map(codec.backfill_columns, backfills.values()))
    if batch.emissions:
        emissions = {(each.event, each.id): each for each in batch.emissions}
        put("put_emission", ("event", "id", "tick"), map(codec.emission_columns, emissions.values()))
        found.append(("trim_emissions", (EMISSIONS_MAX,)))
    if batch.done_requests:
        found.append(("done_request", (batch.done_requests,)))
    if batch.answers:
        answers = {kept.key: kept for kept in batch.answers}
        put("put_answer", ("key", "time", "asked", "answer"), map(codec.kept_columns, answers.values()))
        oldest = max(kept.time for kept in batch.answers) - ANSWERS_KEPT
        found.append(("forget_answers", (codec.ms_of(oldest),)))
    return found


def _waves(runs: Sequence[Run]) -> Iterator[Collection[Run]]:
    """Yield the runs in parts that hold each once: an end that is overwritten in the same batch was one as well."""
    wave: dict[tuple[str, datetime], Run] = {}
    for run in runs:
        if run.key in wave:
            yield wave.values()
            wave = {}
        wave[run.key] = run
    yield wave.values()


def weeks_of(batch: Batch) -> set[tuple[str, int]]:
    """Return the partitions, by kind and first instant, that the batch's rows lie in."""
    attempts = (*batch.attempts, *batch.new_attempts)
    ticks = [*(run.tick for run in batch.runs), *(attempt.tick for attempt in attempts)]
    ticks += [tick for _, tick in batch.split]
    runs = {("runs", week_of(codec.ms_of(tick))) for tick in ticks}
    return runs | {("events", week_of(codec.ms_of(event.time))) for event in batch.events}


def week_of(ms: int) -> int:
    """Return the first instant of the week of an instant: of a Monday, UTC; both in ms since the epoch."""
    return ms - (ms - MONDAY_MS) % WEEK_MS


def _log_moves(events: Sequence[EventRow]) -> tuple[int | None, int | None, int | None]:
    """Return first and newest number and newest time; raises IntegrityBroken when there is a gap inside."""
    if not events:
        return None, None, None
    for expected, event in enumerate(events, events[0].seq):
        if event.seq != expected:
            raise IntegrityBroken(f"event {event.seq} does not follow event {expected - 1}")
    return events[0].seq, events[-1].seq, codec.ms_of(events[-1].time)


def _config(config: ConfigVersion) -> list[Step]:
    digests = {path: codec.digest_of(text) for path, text in config.files.items()}
    texts = [("put_text", (digests[path], text)) for path, text in config.files.items()]
    return [*texts, ("new_config", codec.config_columns(config, digests))]
