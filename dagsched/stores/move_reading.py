"""What both places of a move are asked for in the same words, each on the connection that it has open for it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing
from typing import Any, Generic, Protocol, TypeVar

from dagsched.errors import StoreError
from dagsched.model import run_name
from dagsched.stores import codec
from dagsched.stores.move_side import Rows
from dagsched.stores.move_tables import Counters, Table, Went
from dagsched.stores.procedures import Procedures


class Cursor(Protocol):
    """What the rows of a table come from, so many at a time."""

    def execute(self, words: Any, /) -> Any: ...

    def fetchmany(self, size: int, /) -> Rows: ...

    def close(self) -> Any: ...


C = TypeVar("C", bound=Procedures)


class Reading(ABC, Generic[C]):
    """The reading half of a side. `weeks_query`: the name of the query for the partitions that its rows lie in."""

    shown: str
    weeks_query: str
    _connection: C | None = None

    def counters(self) -> Counters:
        with self._words():
            return Counters(*self._opened().ask("counters")[0])

    def open_attempts(self) -> Sequence[str]:
        with self._words():
            return [run_name(job, codec.instant(tick)) for job, tick, *_ in self._opened().ask("open_attempts")]

    def weeks(self) -> Sequence[tuple[str, int]]:
        with self._words():
            return [(kind, start) for kind, start in self._opened().ask(self.weeks_query)]

    def batches(self, table: Table) -> Iterator[Rows]:
        with self._words(), closing(self._cursor()) as cursor:
            cursor.execute(self._all_of(table))
            while rows := cursor.fetchmany(table.rows):
                yield rows

    @abstractmethod
    def _cursor(self) -> Cursor:
        """Return a new cursor that need not hold all rows at once."""

    @abstractmethod
    def _all_of(self, table: Table) -> Any:
        """Return the query for all rows of a table."""

    @abstractmethod
    def _words(self) -> AbstractContextManager[None]:
        """Say in our words what the engine complains of meanwhile."""

    def _opened(self) -> C:
        if self._connection is None:
            raise StoreError(f"{self.shown}: not open")
        return self._connection


def went_of(connection: Procedures) -> Went | None:
    """Return where a state went, None when it did not."""
    for move, other, is_over in connection.ask("went"):
        return Went(move, other, bool(is_over))
    return None
