"""Ticks that no clock makes: the job is due when somebody says that something has happened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime


class OnEvent:
    """A trigger without ticks of its own; each `dagsched emit` of one of `names` makes one, as it comes."""

    __slots__ = ("names",)

    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    def ticks(self, after: datetime, until: datetime | None = None) -> Iterator[datetime]:
        """Yield nothing: what is to come is not known."""
        yield from ()

    def next(self, after: datetime) -> datetime | None:
        """Return None."""
        return None

    def __repr__(self) -> str:
        return f"OnEvent({self.names!r})"
