"""Who sees what happens: the observer that the daemon was given, and those who only want to know that there is news."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from dagsched.daemon.loop import Observer
from dagsched.model import Config, EventRow


class Nobody:
    """An observer that looks away."""

    def on_config(self, config: Config) -> None:
        """Do nothing."""

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Do nothing."""


class Audience:
    """An observer that lets others know of new events as well. `newest`: the number of the newest one they heard of."""

    def __init__(self, observer: Observer) -> None:
        self.newest = 0
        self._observer = observer
        self._watchers: list[Callable[[int], None]] = []

    def on_config(self, config: Config) -> None:
        """Pass it on."""
        self._observer.on_config(config)

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Tell the watchers first: the observer may fail to write."""
        self.newest = events[-1].seq
        for watcher in self._watchers:
            watcher(self.newest)
        self._observer.on_events(events)

    @contextmanager
    def watch(self, see: Callable[[int], None]) -> Iterator[None]:
        """Have `see` called with the number of the newest event, at once and whenever there are newer ones."""
        see(self.newest)
        self._watchers.append(see)
        try:
            yield
        finally:
            self._watchers.remove(see)
