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
    """One instant at which the old program starts the work `times` times; `why`: what is odd about it, or ""."""

    tick: datetime
    times: int = 1
    why: str = ""


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
    something else; `fires`: None when the old program has no fixed times, and then `unverifiable` says why.
    """

    id: str
    file: str
    line: int
    keys: dict[str, Any] = field(default_factory=dict)
    comments: list[str] = field(default_factory=list)
    fires: Fires | None = None
    unverifiable: str = ""


@dataclass(slots=True)
class Imported:
    """Everything that was made of one PATH."""

    timezone: str = "UTC"
    defaults: dict[str, Any] = field(default_factory=dict)
    drafts: list[Draft] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)

    def take(self, other: Imported) -> None:
        """Add what another file gave; ids that are taken get a number."""
        for draft in other.drafts:
            old = draft.id
            draft.id = free_id(old, {each.id for each in self.drafts})
            if draft.id != old:
                other.verdicts = [each._replace(job=draft.id) if each.job == old else each for each in other.verdicts]
            self.drafts.append(draft)
        self.verdicts += other.verdicts
        self.comments += other.comments
        self.defaults = self.defaults or other.defaults


def free_id(wish: str, taken: set[str]) -> str:
    """Return a valid job id near to the wish that is not taken."""
    base = re.sub(r"[^A-Za-z0-9_.-]+", "-", wish).strip("-.")[:60] or "job"
    found, number = base, 2
    while found in taken:
        found, number = f"{base}-{number}", number + 1
    return found


def worst(kinds: list[str]) -> str:
    """Return the verdict that counts when a line got several; `same` for none."""
    return max(kinds, key=RANKS.index, default="same")
