"""What the shared code of stores asks of a connection: queries by name, one row of parameters or many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Procedures(Protocol):
    """A connection, on its own thread."""

    def ask(self, name: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Any]:
        """Return all rows of the named query."""
        ...

    def change(self, name: str, rows: Sequence[Any]) -> int:
        """Run the named statement for each of `rows` and return how many rows it changed."""
        ...


class Unreadable(Exception):
    """A row that was never written like this."""


def decoded(decode: Callable[[Sequence[Any]], T], rows: Sequence[Sequence[Any]]) -> list[T]:
    """Return the rows as values; raises Unreadable when one cannot be: its bytes were changed."""
    try:
        return [decode(row) for row in rows]
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        raise Unreadable(f"a stored row cannot be read back: {error}") from error
