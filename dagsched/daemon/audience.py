"""Those who only want to know that there is news: they read what it is in the store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dagsched.model import Config, EventRow


class Audience:
    """An observer that tells others how far the event log has come. `newest`: the number that they heard last."""

    def __init__(self) -> None:
        self.newest = 0
        self._watchers: list[Callable[[int], None]] = []

    def on_config(self, config: Config) -> None:
        """Do nothing: an event tells of it."""

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Tell all who watch."""
        self.newest = events[-1].seq
        for watcher in self._watchers:
            watcher(self.newest)

    @contextmanager
    def watch(self, see: Callable[[int], None]) -> Iterator[None]:
        """Have `see` called with the number of the newest event, at once and whenever there are newer ones."""
        see(self.newest)
        self._watchers.append(see)
        try:
            yield
        finally:
            self._watchers.remove(see)
