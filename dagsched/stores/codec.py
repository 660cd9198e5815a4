"""Frozen values ↔ rows of columns.

Instants are integer milliseconds since 1970-01-01T00:00:00Z, mappings and links compact JSON. A row that
cannot be read back is damage: its ValueError, TypeError or OverflowError becomes StoreCorrupt upstairs.

Columns of runs, attempts and events go out with BLANK for None and with 0 and 1 for truth, and the statements turn
BLANK into NULL: for every value that is no plain int, float or str, Python's sqlite3 looks for an adapter, which
takes ten times as long as binding it, and most columns of a young run are empty.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from dagsched.digests import sha256
from dagsched.model import (
    EMPTY,
    LIVE,
    Again,
    Attempt,
    Backfill,
    BackfillState,
    ConfigVersion,
    Emission,
    EventRow,
    JobMark,
    Kept,
    Link,
    Match,
    Origin,
    Outcome,
    Request,
    Run,
    RunState,
)

Row = Sequence[Any]

BLANK = ""
LINKS_FEW = 8
_LIVE = frozenset(state.value for state in LIVE)  # an enumeration's members have their hashes worked out each time
_compact = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=64)  # the rows of one commit share their instants
def ms_of(moment: datetime) -> int:
    """Return milliseconds since the epoch; what is below a millisecond is cut off."""
    length = moment - EPOCH
    return length.days * 86_400_000 + length.seconds * 1000 + length.microseconds // 1000


def ms_or_none(moment: datetime | None) -> int | None:
    return None if moment is None else ms_of(moment)


def instant(ms: int) -> datetime:
    return EPOCH + timedelta(milliseconds=ms)


def instant_or_none(ms: int | None) -> datetime | None:
    return None if ms is None else EPOCH + timedelta(milliseconds=ms)


def run_columns(run: Run) -> Row:
    """Return the columns of `{run_columns}`, then `last` and `live`."""
    # Taken apart in one go: each field that is asked for by its name takes as long as all of them this way.
    (
        job, tick, state, until, reason, origin, created, ready, started, ended, attempts, attempt_limit, not_before,
        exit_code, links, stand_in, patient, only, stopping, params, outputs, definition, config, acked, late,
    ) = run  # fmt: skip
    tick_ms = ms_of(tick)
    until_ms = BLANK if until is None else ms_of(until)
    return (
        job,
        tick_ms,
        until_ms,
        state._value_,
        reason and storable(reason),
        origin._value_,
        BLANK if created is None else ms_of(created),
        BLANK if ready is None else ms_of(ready),
        BLANK if started is None else ms_of(started),
        BLANK if ended is None else ms_of(ended),
        attempts,
        attempt_limit,
        BLANK if not_before is None else ms_of(not_before),
        BLANK if exit_code is None else exit_code,
        json_of_links(links) if links else "",
        BLANK if stand_in is None else ms_of(stand_in),
        1 if patient else 0,
        1 if only else 0,
        stopping and storable(stopping),
        json_of(params) if params else "",
        json_of(outputs) if outputs else "",
        definition,
        config,
        1 if acked else 0,
        1 if late else 0,
        tick_ms if until is None else until_ms,
        1 if state._value_ in _LIVE else 0,
    )


def run_of(row: Row) -> Run:
    return Run(
        job=row[0],
        tick=instant(row[1]),
        until=instant_or_none(row[2]),
        state=RunState(row[3]),
        reason=row[4],
        origin=Origin(row[5]),
        created=instant_or_none(row[6]),
        ready=instant_or_none(row[7]),
        started=instant_or_none(row[8]),
        ended=instant_or_none(row[9]),
        attempts=row[10],
        attempt_limit=row[11],
        not_before=instant_or_none(row[12]),
        exit_code=row[13],
        links=links_of(row[14]),
        stand_in=instant_or_none(row[15]),
        patient=bool(row[16]),
        only=bool(row[17]),
        stopping=row[18],
        params=mapping_of(row[19]),
        outputs=mapping_of(row[20]),
        definition=row[21],
        config=row[22],
        acked=bool(row[23]),
        late=bool(row[24]),
    )


def listed_of(row: Row) -> Run:
    return Run(
        job=row[0],
        tick=instant(row[1]),
        state=RunState(row[3]),
        until=instant_or_none(row[2]),
        reason=row[4],
        origin=Origin(row[5]),
        created=instant_or_none(row[6]),
        ready=instant_or_none(row[7]),
        started=instant_or_none(row[8]),
        ended=instant_or_none(row[9]),
        attempts=row[10],
        attempt_limit=row[11],
        exit_code=row[12],
        config=row[13],
        acked=bool(row[14]),
        late=bool(row[15]),
    )


def attempt_columns(attempt: Attempt) -> Row:
    job, tick, number, started, ended, outcome, exit_code, signal, reason, pid, log, output_bytes, definition, _ = (
        attempt
    )
    return (
        job,
        ms_of(tick),
        number,
        ms_of(started),
        BLANK if ended is None else ms_of(ended),
        BLANK if outcome is None else outcome._value_,
        BLANK if exit_code is None else exit_code,
        BLANK if signal is None else signal,
        reason and storable(reason),
        BLANK if pid is None else pid,
        log and storable(log),
        output_bytes,
        definition,
    )


def attempt_of(row: Row) -> Attempt:
    return Attempt(
        job=row[0],
        tick=instant(row[1]),
        number=row[2],
        started=instant(row[3]),
        ended=instant_or_none(row[4]),
        outcome=None if row[5] is None else Outcome(row[5]),
        exit_code=row[6],
        signal=row[7],
        reason=row[8],
        pid=row[9],
        log=row[10],
        output_bytes=row[11],
        definition=row[12],
    )


def event_columns(event: EventRow) -> Row:
    seq, time, kind, job, tick, attempt, from_state, to_state, reason, detail = event
    return (
        seq,
        ms_of(time),
        kind,
        job,
        BLANK if tick is None else ms_of(tick),
        BLANK if attempt is None else attempt,
        from_state,
        to_state,
        reason and storable(reason),
        json_of(detail) if detail else "",
    )


def event_of(row: Row) -> EventRow:
    seq, time, kind, job, tick, attempt, from_state, to_state, reason, detail = row
    return EventRow(
        seq=seq,
        time=instant(time),
        type=kind,
        job=job,
        tick=instant_or_none(tick),
        attempt=attempt,
        from_state=from_state,
        to_state=to_state,
        reason=reason,
        detail=mapping_of(detail),
    )


def mark_columns(mark: JobMark) -> Row:
    since = ms_or_none(mark.schedule_since)
    return mark.job, ms_of(mark.cursor), ms_or_none(mark.paused), mark.started_runs, since


def mark_of(row: Row) -> JobMark:
    job, cursor, paused, started_runs, since = row
    return JobMark(job, instant(cursor), instant_or_none(paused), started_runs, instant_or_none(since))


def kept_columns(kept: Kept) -> Row:
    return storable(kept.key), ms_of(kept.time), kept.asked, json_of(kept.answer)


def kept_of(row: Row) -> Kept:
    key, time, asked, answer = row
    return Kept(key, instant(time), asked, mapping_of(answer))


def backfill_columns(backfill: Backfill) -> Row:
    return (
        backfill.id,
        backfill.job,
        ms_of(backfill.first),
        ms_of(backfill.last),
        int(backfill.newest_first),
        backfill.max_active,
        int(backfill.downstream),
        backfill.again.value,
        json_of(backfill.params),
        backfill.state.value,
        storable(backfill.reason),
        ms_or_none(backfill.position),
        backfill.total,
        backfill.handled,
        backfill.made,
        backfill.reopened,
        backfill.succeeded,
        backfill.failed,
        backfill.skipped,
        ms_or_none(backfill.created),
        ms_or_none(backfill.ended),
    )


def backfill_of(row: Row) -> Backfill:
    return Backfill(
        id=row[0],
        job=row[1],
        first=instant(row[2]),
        last=instant(row[3]),
        newest_first=bool(row[4]),
        max_active=row[5],
        downstream=bool(row[6]),
        again=Again(row[7]),
        params=mapping_of(row[8]),
        state=BackfillState(row[9]),
        reason=row[10],
        position=instant_or_none(row[11]),
        total=row[12],
        handled=row[13],
        made=row[14],
        reopened=row[15],
        succeeded=row[16],
        failed=row[17],
        skipped=row[18],
        created=instant_or_none(row[19]),
        ended=instant_or_none(row[20]),
    )


def digest_of(text: str) -> str:
    """Return what a job file's text is stored under, the hex SHA-256 of it."""
    return sha256(text.encode()).hexdigest()


def config_columns(config: ConfigVersion, digests: Mapping[str, str]) -> Row:
    """Return the row of a configuration; `digests`: path → what its text is stored under."""
    return (
        config.number,
        ms_of(config.applied),
        config.digest,
        json_of({path: [digest] for path, digest in digests.items()}),
        storable(config.summary),
    )


def config_of(row: Row, text_of: Callable[[str], str]) -> ConfigVersion:
    """Return a configuration; `text_of` gives the text of a digest."""
    number, applied, digest, said, summary = row
    files = {path: text if isinstance(text, str) else text_of(*text) for path, text in mapping_of(said).items()}
    return ConfigVersion(number, instant(applied), digest, files, summary)


def request_of(row: Row) -> Request:
    number, time, verb, body = row
    return Request(number, instant(time), verb, mapping_of(body))


def emission_columns(emission: Emission) -> Row:
    return (storable(emission.event), storable(emission.id), ms_of(emission.tick))


def emission_of(row: Row) -> Emission:
    event, id, tick = row
    return Emission(event, id, instant(tick))


def json_of(mapping: Mapping[str, Any]) -> str:
    """Return compact JSON, "" for an empty mapping: most are."""
    return _compact(dict(mapping)) if mapping else ""


def mapping_of(text: str) -> Mapping[str, Any]:
    if not text:
        return EMPTY
    found = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError(f"{text[:40]!r} is no JSON object")
    return found


def json_of_rows(columns: Sequence[str], rows: Iterable[Row]) -> str:
    """Return rows as one JSON text, a list of objects, "" for none."""
    found = [dict(zip(columns, row, strict=True)) for row in rows]
    return _compact(found) if found else ""


def json_of_links(links: tuple[Link, ...]) -> str:
    """Return `[[job, tick in ms, match, exact], …]`, "" for none."""
    # A run is saved some four times in short order, always with the same links. Hundreds of wide joins kept at hand
    # for that would cost more memory than the writing costs time.
    return _json_of_few_links(links) if len(links) <= LINKS_FEW else _json_of_any_links(links)


def _json_of_any_links(links: tuple[Link, ...]) -> str:
    if not links:
        return ""
    rows = [[link.job, ms_or_none(link.tick), link.match.value, int(link.exact)] for link in links]
    return _compact(rows)


_json_of_few_links = lru_cache(maxsize=512)(_json_of_any_links)


def links_of(text: str) -> tuple[Link, ...]:
    if not text:
        return ()
    rows = json.loads(text)
    return tuple(Link(job, instant_or_none(tick), Match(match), bool(exact)) for job, tick, match, exact in rows)


def storable(text: str) -> str:
    """Return `text` with lone surrogates (a file name that is no UTF-8) and NULs written as backslash escapes."""
    if text.isascii():
        # PostgreSQL keeps no NUL in a text.
        return text.replace("\0", "\\x00") if "\0" in text else text
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")
