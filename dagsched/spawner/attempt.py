"""One attempt, from its order until nothing of it lives.

    ordered ── spawned ── main process ended ── everything it left ended ── exit record

`phase` says what we did to it: RUNNING (nothing), ENDING (TERM was sent, KILL follows after the grace),
KILLING. `cause` is set only by a signal of ours that met the main process alive: an exit before it stands
as it is, an exit after it is `timeout`, `cancel`, `stop` or `lease` whatever its code.
"""

from __future__ import annotations

from .journal import name_of
from .masking import mask_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .journal import Key
    from .logs import Log
    from .masking import Mask
    from .timers import Timer

RUNNING, ENDING, KILLING = range(3)


class Attempt:
    """What the spawner knows of one attempt."""

    __slots__ = (
        "cause",
        "ended",
        "family",
        "grace_s",
        "has_begun",
        "is_forked",
        "is_lost",
        "key",
        "leftovers",
        "log",
        "mask",
        "name",
        "order",
        "output",
        "phase",
        "pid",
        "start_ticks",
        "started",
        "status",
        "strays",
        "timer",
    )

    def __init__(self, order: dict[str, Any]) -> None:
        self.order = order
        self.key: Key = (order["run"], order["attempt"])
        self.name = name_of(self.key)  # as records have it
        self.grace_s = float(order["grace_s"])
        self.pid = 0
        self.has_begun = False  # a forked one: it was let through its gate
        self.is_lost = False  # nobody saw how its main process ended
        self.is_forked = False  # by a fork server, whose child it is while that lives
        self.log: Log | None = None
        self.mask: Mask | None = mask_of(order)
        self.output = ""  # absolute path of the file for outputs
        self.started = self.ended = 0.0  # wall seconds
        self.start_ticks = (0, 0)
        self.status: int | None = None  # as waitpid gave it, None while the main process lives
        self.phase = RUNNING
        self.timer: Timer | None = None  # its timeout, then the KILL after the grace
        self.cause = ""
        self.leftovers: int | None = None  # processes that outlived the main one, None while that lives
        self.strays: set[int] = set()  # our children that are not main processes and belong to this attempt
        self.family: set[tuple[int, int]] = set()  # (pid, start) of everything of it that was ever looked at
