"""What a reader makes of a file: drafts of jobs, and a verdict for every line."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

Fires = Callable[[datetime, datetime], Iterator["Fire"]]
"""The old program's fire times in (after, until], oldest first; bounds are aware, ticks are UTC."""

RANKS = ("same", "differs", "dropped")


class Fire(NamedTuple):
    """One instant at which the old program starts the work `times` times; `why`: what is odd about it, or "".

    `is_near`: it stands for one some seconds later, which a schedule here cannot say.
    """

    tick: datetime
    times: int = 1
    why: str = ""
    is_near: bool = False


class Verdict(NamedTuple):
    """What became of a line or a key. `kind`: same, differs, dropped; `line` counts from 1, 0 is the whole file."""

    file: str
    line: int
    text: str
    kind: str
    why: str = ""
    job: str = ""


@dataclass(slots=True)
class Draft:
    """A job that is not checked yet.

    `keys`: as in a job file, in the order they are written; `comments`: lines that stood above it and describe
    something else; `fires`: None when the old program has no fixed times, and then `unverifiable` says why;
    `expressions`: its times as systemd writes them, each with a zone.
    """

    id: str
    file: str
    line: int
    keys: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    fires: Fires | None = None
    unverifiable: str = ""
    expressions: list[str] = field(default_factory=list)


class Names:
    """Job ids that are taken; finding a free one costs the same however many are."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def free(self, wish: str) -> str:
        """Take and return a valid job id near to the wish: itself, or with a number from 2 on."""
        base = re.sub(r"[^A-Za-z0-9_.-]+", "-", wish).strip("-.")[:100] or "job"
        found, number = base, self._next.get(base, 2)
        while found in self._taken:
            found, number = f"{base}-{number}", number + 1
        self._next[base] = number
        self._taken.add(found)
        return found


@dataclass(slots=True)
class Imported:
    """Everything that was made of one PATH; `head`: comments on the whole file; `top`: further keys of the job file."""

    timezone: str = "UTC"
    defaults: dict[str, Any] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    head: list[str] = field(default_factory=list)
    top: dict[str, Any] = field(default_factory=dict)
    names: Names = field(default_factory=Names)

    def take(self, other: Imported) -> None:
        """Add what another file gave; ids that are taken get a number."""
        renamed: dict[str, str] = {}
        self.head += other.head
        for draft in other.drafts:
            renamed[draft.id] = draft.id = self.names.free(draft.id)
        self.drafts += other.drafts
        other.verdicts = [each._replace(job=renamed.get(each.job, each.job)) for each in other.verdicts]
        self.verdicts += other.verdicts
        self.comments += other.comments
        self.defaults = self.defaults or other.defaults


def worst(kinds: list[str]) -> str:
    """Return the verdict that counts when a line got several; `same` for none."""
    return max(kinds, key=RANKS.index, default="same")
