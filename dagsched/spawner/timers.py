"""What is to be done later, on a clock that nobody sets."""

from __future__ import annotations

import heapq
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_CANCELLED_MAX = 1000
# poll(2) takes an int of milliseconds, not quite 25 days; a job may run for ten years.
_WAIT_MS_MAX = 86_400_000


class Timer:
    """Something to be done at an instant; `cancel` lets go of it and of all it refers to."""

    __slots__ = ("_act", "_due", "_number", "_timers")

    def __init__(self, timers: Timers, due: float, number: int, act: Callable[[], None]) -> None:
        self._timers, self._due, self._number = timers, due, number
        self._act: Callable[[], None] | None = act

    def __lt__(self, other: Timer) -> bool:
        return (self._due, self._number) < (other._due, other._number)

    @property
    def due(self) -> float:
        return self._due

    @property
    def is_cancelled(self) -> bool:
        return self._act is None

    def cancel(self) -> None:
        if self._act is not None:
            self._act = None
            self._timers.note_cancelled()

    def run(self) -> None:
        if self._act is not None:
            act, self._act = self._act, None
            act()


class Timers:
    """All timers, the next one first."""

    def __init__(self) -> None:
        self._heap: list[Timer] = []
        self._count = self._cancelled = 0

    def after(self, length_s: float, act: Callable[[], None]) -> Timer:
        """Have `act` called once, that many seconds from now."""
        self._count += 1
        timer = Timer(self, time.monotonic() + length_s, self._count, act)
        heapq.heappush(self._heap, timer)
        return timer

    def wait_ms(self) -> float | None:
        """Return how long there is nothing to do, at most a day; None for ever."""
        while self._heap and self._heap[0].is_cancelled:
            heapq.heappop(self._heap)
            self._cancelled -= 1
        if not self._heap:
            return None
        return min(max(0.0, self._heap[0].due - time.monotonic()) * 1000 + 1, _WAIT_MS_MAX)

    def run_due(self) -> None:
        """Do what is due."""
        while self._heap and self._heap[0].due <= time.monotonic():
            timer = heapq.heappop(self._heap)
            self._cancelled -= timer.is_cancelled
            timer.run()

    def note_cancelled(self) -> None:
        """Throw cancelled timers out when they are many: an hour's timeouts of short attempts add up."""
        self._cancelled += 1
        if self._cancelled > _CANCELLED_MAX and self._cancelled > len(self._heap) // 2:
            self._heap = [each for each in self._heap if not each.is_cancelled]
            heapq.heapify(self._heap)
            self._cancelled = 0
