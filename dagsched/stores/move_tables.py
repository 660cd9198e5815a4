"""Which rows make up a state, whatever engine holds it, and the sum by which two copies are compared.

The sum of a table is the sum of the SHA-256 of its rows: it hangs on what the rows are, and not on the order in which
an engine hands them out, so neither side has to sort a long history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, NamedTuple

from dagsched.stores.postgres_write import (
    ATTEMPT_COLUMNS,
    BACKFILL_COLUMNS,
    EVENT_COLUMNS,
    MARK_COLUMNS,
    RUN_COLUMNS,
)

# Whole files are in one row of some tables, and a batch of them is in memory at once.
LONG_ROWS, SHORT_ROWS = 20, 1000


class Table(NamedTuple):
    """A table that moves: columns, and how many rows are in memory at a time. `week_of`: the column it is parted by."""

    name: str
    columns: Sequence[str]
    rows: int = SHORT_ROWS
    week_of: str = ""

    @property
    def listed(self) -> str:
        return ", ".join(self.columns)


# A move's own rows stay with the state that went; where the state came from goes along.
MOVES = Table("moves", ("move", "time", "is_from", "other", "is_over"))
# Commands left in the inbox are the one thing that others still write while a state is being moved.
REQUESTS = Table("requests", ("id", "time", "verb", "body"))
# Counted by triggers as runs come in, so that what is counted is put right after them.
TOTALS = Table("totals", ("job", "state", "runs", "ended"))

TABLES = (
    Table("configs", ("number", "applied", "digest", "files", "summary"), LONG_ROWS),
    Table("texts", ("digest", "body"), LONG_ROWS),
    Table("definitions", ("digest", "body"), LONG_ROWS),
    Table("marks", MARK_COLUMNS),
    Table("runs", RUN_COLUMNS, week_of="tick"),
    # "place" is the state directory that has an open attempt, and none is open when a state moves.
    Table("attempts", tuple(name for name in ATTEMPT_COLUMNS if name != "place"), week_of="tick"),
    Table("events", EVENT_COLUMNS, week_of="time"),
    Table("emissions", ("number", "event", "id", "tick")),
    Table("backfills", BACKFILL_COLUMNS),
    Table("rollups", ("job", "day", "part", "body")),
    Table("rolled", ("id", "before")),
    Table("answers", ("key", "time", "asked", "answer")),
    TOTALS,
    MOVES,
)

_PROCRASTINATE = ("jobs", "events", "workers", "periodic_defers")
# Tables that stay where they are, and why.
STAYING: Mapping[str, str] = {
    "ledger": "its counters are carried over one by one; the lease is each side's own",
    "layout": "each side's own",
    "weeks": "partitions are made as rows need them",
    "schedulers": "who was heard of at that server",
    "workers": "who was heard of at that server",
    "guidance": "what the scheduler there tells its workers",
    "dispatches": "attempts that workers have, and none is open when a state moves",
    "ends": "of attempts that another scheduler has, and none is open when a state moves",
    "outputs": "what workers' attempts wrote stays where it was sent, as logs on a machine do",
    **dict.fromkeys(("delivery", *(f"procrastinate_{name}" for name in _PROCRASTINATE)), "procrastinate's own"),
    "sqlite_sequence": "its numbers are carried over one by one",
    "sqlite_stat1": "of the file's own indexes",
}


@dataclass(slots=True)
class Sum:
    """How many rows there are, and their sum."""

    rows: int = 0
    total: int = 0

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        self.rows += len(rows)
        for row in rows:
            self.total += int.from_bytes(sha256(repr(tuple(row)).encode()).digest())

    @property
    def checksum(self) -> str:
        """Sixteen hex digits."""
        return f"{self.total % 2**256:064x}"[:16]


class Counters(NamedTuple):
    """How far everything that is numbered has come; instants in ms since the epoch."""

    epoch: int
    last_event: int
    last_seen: int | None
    last_request: int
    last_emission: int
    last_fence: int


class Went(NamedTuple):
    """Where a state went, or is just going."""

    move: str
    other: str
    is_over: bool
