"""Whole weeks of history given up at once: a partition is dropped where deleting would touch each of its rows.

What a week holds is read on the reader, page by page, while commits go on. Then one short transaction of the writer
drops the partition and puts back the few rows that stay. Only this process writes, and it remembers which weeks it has
written to meanwhile: such a week is left to be deleted row by row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagsched.stores import codec
from dagsched.stores.codec import json_of_rows
from dagsched.stores.contract import Bound, Gone
from dagsched.stores.postgres_session import Connection
from dagsched.stores.postgres_write import WEEK_MS
from dagsched.stores.rollup import RowFacts, rolled_up
from dagsched.stores.sql_read import EVER_MS, facts_of
from dagsched.stores.sql_retention import Spared, fenced, remember

PAGE = 2000
# A week is worth dropping when at least so many rows go for each that stays.
GONE_PER_KEPT = 4

Doomed = Callable[[str, int, int], bool]


@dataclass(slots=True)
class Week:
    """What is to become of a week's rows, by (job, tick). `counted`: its rows in the totals, by job and state."""

    start: int
    gone: list[Gone] = field(default_factory=list)
    kept: list[tuple[str, int]] = field(default_factory=list)
    facts: list[RowFacts] = field(default_factory=list)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def is_worth_it(self) -> bool:
        return bool(self.gone) and len(self.gone) >= GONE_PER_KEPT * len(self.kept)

    def take(self, row: Sequence[Any], is_doomed: bool) -> None:
        job, tick, live, _, logs, *facts = row
        found = facts_of(job, facts)
        if not live:
            self.counted[job, found.state] += 1
        if is_doomed:
            self.gone.append(Gone(job, codec.instant(tick), logs or ()))
            self.facts.append(found)
        else:
            self.kept.append((job, tick))


def beyond(before_ms: int, limits: Mapping[str, Sequence[tuple[int, int]]] | None) -> Doomed:
    """Return whether a row (job, last tick, end) is given up; `limits`: per job (last before, ended before)."""
    if limits is None:
        return lambda job, last, ended: last < before_ms and ended < before_ms
    return lambda job, last, ended: any(last < before and ended < until for before, until in limits.get(job, ()))


def limits_of(connection: Connection, bounds: Sequence[Bound]) -> dict[str, list[tuple[int, int]]]:
    """Return what `bounds` come to, per job: instants before which last tick and end lie."""
    found: dict[str, list[tuple[int, int]]] = {}
    for bound in bounds:
        before, ended = codec.ms_of(bound.before), codec.ms_of(bound.before)
        if bound.runs is not None:
            ended = EVER_MS
            oldest = connection.ask("nth_newest", {"job": bound.job, "number": bound.runs - 1})
            before = min(before, *(tick for (tick,) in oldest)) if oldest else -EVER_MS
        found.setdefault(bound.job, []).append((before, ended))
    return found


def page_of_week(
    connection: Connection, week: Week, after: tuple[str, int], is_beyond: Doomed, spared: Spared
) -> tuple[str, int] | None:
    """Judge the week's next rows; return the key reached, None at the end."""
    job, tick = after
    bounds = {"start": week.start, "end": week.start + WEEK_MS, "job": job, "tick": tick, "limit": PAGE}
    rows = connection.ask("week_rows", bounds)
    for row in rows:
        key, live, ended, last = (row[0], row[1]), row[2], row[3], row[5]
        week.take(row, not live and ended is not None and key not in spared.keys and is_beyond(row[0], last, ended))
    return (rows[-1][0], rows[-1][1]) if len(rows) == PAGE else None


def drop_week(connection: Connection, week: Week, spared: Spared, epoch: int, is_touched: Callable[[], bool]) -> bool:
    """Drop the week but for what stays; False if rows of it have changed since they were read."""
    connection.ask("impatient")
    fenced(connection, epoch)
    spared.ask_new(connection)
    if is_touched() or any((gone.job, codec.ms_of(gone.tick)) in spared.keys for gone in week.gone):
        return False
    remember(connection, rolled_up(week.facts))
    kept = json_of_rows(("job", "tick"), week.kept) or "[]"
    counted = [(job, state, count) for (job, state), count in week.counted.items()]
    connection.ask("drop_runs", (week.start, kept, json_of_rows(("job", "state", "runs"), counted) or "[]"))
    return True


def kept_events(connection: Connection, start: int, loose_ms: int) -> list[int] | None:
    """Return the numbers of a week's events that stay, None if these are too many for it to be worth it."""
    bounds = {"start": start, "end": start + WEEK_MS}
    kept = [seq for (seq,) in connection.ask("kept_events", {**bounds, "loose": loose_ms})]
    ((count,),) = connection.ask("count_events", bounds)
    gone = count - len(kept)
    return kept if gone and gone >= GONE_PER_KEPT * len(kept) else None


def drop_events(connection: Connection, start: int, kept: Sequence[int], epoch: int) -> None:
    """Drop a week of events but for these."""
    connection.ask("impatient")
    fenced(connection, epoch)
    connection.ask("drop_events", (start, f"[{','.join(map(str, kept))}]"))


def weeks(connection: Connection, kind: str) -> list[int]:
    """Return the first instants of the weeks there are."""
    return [start for each, start in connection.ask("weeks") if each == kind]
