"""How long the daemon may go unheard: on a shared store another machine takes over, and nothing may run on here.

The end is a second of CLOCK_BOOTTIME, which goes on while the machine is suspended and which nobody sets. It is looked
at each second, for timers do stand still meanwhile.
"""

from __future__ import annotations

import time

from .say import say

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .timers import Timers
    from .work import Work

GRACE_S = 5.0
LOOK_S = 1.0


class Term:
    """Ends all attempts when its end comes; None: there is none."""

    def __init__(self, timers: Timers, work: Work) -> None:
        self._timers, self._work = timers, work
        self._until: float | None = None
        self._looking = False

    def keep(self, until: float | None) -> None:
        """Put the end off, or do away with it."""
        self._until = until
        if not self._looking and until is not None:
            self._look()

    def _look(self) -> None:
        self._looking = self._until is not None
        if self._until is None:
            return
        self._timers.after(LOOK_S, self._look)
        if not self._work.is_over and now_s() >= self._until:
            say("the daemon was not heard of for too long: all attempts are ended")
            self._work.stop_all(GRACE_S, "lease")


def now_s() -> float:
    """Return the second of CLOCK_BOOTTIME, or of what comes closest to it here."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()
