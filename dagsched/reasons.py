"""Why a tick is left out: every reason the engine can give, the gate at which that happens, and its words.

A row of the ledger keeps the words. They are written and read by this one table, so whoever asks later which gate it
was (`why`, `rerun`, `plan`, a forecast) has the same answer as who wrote them, also of rows that are years old: a
reason may be added here, but its words never change.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class At(StrEnum):
    """The gates a tick passes on its way to a start; `engine/verdicts.py` has their order and what each asks."""

    ENABLED = "enabled"
    PAUSED = "paused"
    CALENDAR = "calendar"
    CATCH_UP = "catch-up"
    QUEUE = "queue"
    UPSTREAMS = "upstreams"
    CONDITION = "condition"
    OVERLAP = "overlap"
    SEAT = "seat"
    DELAY = "delay"
    WINDOW = "window"
    RATE = "rate"
    POOL = "pool"
    DAEMON = "daemon"
    TURN = "turn"
    """Past all of them: it starts next."""


@dataclass(frozen=True, slots=True, eq=False)
class Reason:
    """One way to be left out.

    `kind`: its name where such ticks are counted; `words` have {} where something is filled in.
    """

    at: At
    kind: str
    words: str

    def __call__(self, *parts: object) -> str:
        """Return the reason in words.

        >>> OVERLAP("job:a:2026-03-02T01:00:00Z")
        'overlap: job:a:2026-03-02T01:00:00Z was active'
        """
        return self.words.format(*parts)

    def said(self, text: str) -> bool:
        """Whether the text is this reason, whatever was filled in.

        >>> OVERLAP.said("overlap: job:a:2026-03-02T01:00:00Z was active"), PAUSED.said("paused for ever")
        (True, False)
        """
        head, *rest = self.words.split("{}")
        if not rest:
            return text == head
        return len(text) >= len(head) + len(rest[-1]) and text.startswith(head) and text.endswith(rest[-1])


DISABLED = Reason(At.ENABLED, "disabled", "disabled")
PAUSED = Reason(At.PAUSED, "paused", "paused")
DAY_OFF = Reason(At.CALENDAR, "calendar", "calendar {}: {}")
DOWN = Reason(At.CATCH_UP, "down", "down")
DOWN_FROM = Reason(At.CATCH_UP, "down", "down from {} to {}")
COALESCED = Reason(At.CATCH_UP, "coalesced", "coalesced into {}")
TOO_OLD = Reason(At.CATCH_UP, "too old", "too old: catch-up reaches back {}")
SCHEDULE_CHANGED = Reason(At.CATCH_UP, "schedule changed", "schedule changed")
JOB_REMOVED = Reason(At.CATCH_UP, "job removed", "job removed")
QUEUE_FULL = Reason(At.QUEUE, "queue full", "queue full: {} not over yet")
NEVER_A_TICK = Reason(At.UPSTREAMS, "upstream", "{} has never had a tick, and no schedule will make one")
SUPERSEDED = Reason(At.UPSTREAMS, "superseded", "superseded: {} has never had a tick")
NO_SUCH_TICK = Reason(At.UPSTREAMS, "upstream", "upstream {} has no tick at this one")
NO_EARLIER_TICK = Reason(At.UPSTREAMS, "upstream", "upstream {} has no tick at or before this one")
UPSTREAM = Reason(At.UPSTREAMS, "upstream", "upstream {} {}")
RULE = Reason(At.UPSTREAMS, "its rule", "its rule {} can no longer hold")
WHEN = Reason(At.CONDITION, "when", "when: {} is false{}")
OVERLAP = Reason(At.OVERLAP, "overlap", "overlap: {} was active")
REPLACED = Reason(At.OVERLAP, "replaced", "replaced by {}")
OUTSIDE = Reason(At.WINDOW, "window", "window: closed outside {}")

REASONS = (
    DISABLED, PAUSED, DAY_OFF, DOWN, DOWN_FROM, COALESCED, TOO_OLD, SCHEDULE_CHANGED, JOB_REMOVED, QUEUE_FULL,
    NEVER_A_TICK, SUPERSEDED, NO_SUCH_TICK, NO_EARLIER_TICK, UPSTREAM, RULE, WHEN, OVERLAP, REPLACED, OUTSIDE,
)  # fmt: skip
"""All of them; of two that fit a text the first one is meant."""

STOPPED = frozenset({NO_SUCH_TICK, NO_EARLIER_TICK, UPSTREAM, RULE, WHEN})
"""It was an upstream, or a condition on upstreams, that kept the run from running."""
NO_FIRE = frozenset({DISABLED, PAUSED, DAY_OFF})
"""The tick was nobody's to run, and jobs that get their ticks from this one are left out with it."""


def read(text: str) -> Reason | None:
    """Return which reason the words of a row are, None for what a person, an edit or an attempt has said."""
    return next((reason for reason in REASONS if reason.said(text)), None)
