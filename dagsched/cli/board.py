"""What has become of the runs since the view was opened, learned from the daemon's events alone.

Every event carries the state its run is in now, so the board needs no store and cannot disagree with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from dagsched.model import LIVE, OK, Config, EventRow, RunState

_FINE = OK | {RunState.SKIPPED}


class Line:
    """One run as it was last seen. `since`: when it came into its state."""

    __slots__ = ("attempt", "job", "reason", "since", "started", "state", "tick")

    def __init__(self, job: str, tick: datetime, state: RunState, since: datetime) -> None:
        self.job, self.tick, self.state, self.since = job, tick, state, since
        self.attempt, self.reason = 0, ""
        self.started: datetime | None = None

    @property
    def is_live(self) -> bool:
        return self.state in LIVE


class Board:
    """All runs seen so far, by (job, tick), in the order in which they were created."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, datetime], Line] = {}
        self._upstream: dict[str, tuple[str, ...]] = {}

    def on_config(self, config: Config) -> None:
        """Learn who waits for whom."""
        self._upstream = {id: tuple(edge.job for edge in job.depends_on) for id, job in config.jobs.items()}

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Take events in their order; those that are about no run are passed over."""
        for event in events:
            if event.job and event.tick is not None and event.to_state:
                self._take(event, event.tick, RunState(event.to_state))

    def _take(self, event: EventRow, tick: datetime, state: RunState) -> None:
        line = self._lines.get((event.job, tick))
        if line is None:
            line = self._lines[event.job, tick] = Line(event.job, tick, state, event.time)
        if line.state is not state:
            line.since = event.time
        line.state, line.reason = state, event.reason
        if event.attempt:
            line.attempt = event.attempt
        if state is RunState.RUNNING and line.started is None:
            line.started = event.time

    def __iter__(self) -> Iterator[Line]:
        return iter(self._lines.values())

    def counts(self) -> dict[RunState, int]:
        """Return how many runs are in each state that occurs, in the order of the states."""
        states = [line.state for line in self]
        return {state: states.count(state) for state in RunState if state in states}

    def waits_for(self, line: Line) -> list[str]:
        """Return the upstream jobs of a waiting run that are still under way on this board."""
        live = {other.job for other in self if other.is_live}
        return [id for id in self._upstream.get(line.job, ()) if id in live]

    def exit_code(self) -> int:
        """Return 0 when every run ended `success` or was left out as the file says, else 1."""
        return 0 if all(line.state in _FINE for line in self) else 1
