"""What a move asks of the two places between which a state moves.

All but `hold` and `release` is called on one thread, which is not the event loop's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from dagsched.stores.move_tables import Counters, Table, Went

Rows = Sequence[Sequence[Any]]


class Side(Protocol):
    """Either place. `shown`: its name for people, without a password, the same each time."""

    shown: str

    async def hold(self, *, is_source: bool) -> None:
        """Keep everybody else from writing; raises StoreHeld and other StoreErrors."""
        ...

    async def release(self) -> None:
        """Let go; may be called twice."""
        ...

    def batches(self, table: Table) -> Iterator[Rows]:
        """Yield all rows of a table, so many at a time."""
        ...


class Source(Side, Protocol):
    """Where a state is."""

    def went(self) -> Went | None:
        """Return where it went, or was going when that was interrupted."""
        ...

    def look(self) -> None:
        """See one unchanging state from here on."""
        ...

    def counters(self) -> Counters:
        """Return how far what is numbered has come."""
        ...

    def open_attempts(self) -> Sequence[str]:
        """Return the runs with attempts that have not ended."""
        ...

    def weeks(self) -> Sequence[tuple[str, int]]:
        """Return the partitions (kind, first instant) that its rows lie in."""
        ...

    def leave(self, move: str, time_ms: int, other: str) -> None:
        """Say durably that it is going; from here on nobody can leave a command here. Raises FencedOut."""
        ...

    def left(self, move: str) -> None:
        """Say durably that it has gone."""
        ...

    def stay(self, move: str) -> None:
        """Say durably that it has not gone after all."""
        ...


class Target(Side, Protocol):
    """Where it shall be."""

    def has(self, move: str) -> bool:
        """Whether the state came here by this move; raises StoreError when that cannot be found out."""
        ...

    def is_empty(self) -> bool:
        """Whether there is nothing that would be lost."""
        ...

    def begin(self, weeks: Sequence[tuple[str, int]]) -> None:
        """Begin to take a state in; none of it is there until `commit`."""
        ...

    def put(self, table: Table, rows: Rows) -> None:
        """Take rows in."""
        ...

    def clear(self, table: Table) -> None:
        """Forget what came into a table by itself."""
        ...

    def seal(self, counters: Counters, move: str, time_ms: int, other: str) -> None:
        """Go on counting from there, and say where the state came from; raises FencedOut."""
        ...

    def commit(self) -> None:
        """Let all of it be there, durably, or nothing."""
        ...

    def abandon(self) -> None:
        """Let nothing of it be there; may be called at any time before `commit`, and twice."""
        ...
