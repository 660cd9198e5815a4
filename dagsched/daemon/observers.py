"""Whoever looks on, as one."""

from __future__ import annotations

from collections.abc import Sequence

from dagsched.daemon.loop import Observer
from dagsched.model import Config, EventRow


class Observers(list[Observer]):
    """Several observers as one, each told in turn."""

    def on_config(self, config: Config) -> None:
        """Tell each."""
        for each in self:
            each.on_config(config)

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Tell each."""
        for each in self:
            each.on_events(events)
