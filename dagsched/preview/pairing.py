"""Which of two fire times is the other one, moved.

A fire time that both configurations have is no change. Of the others, on each local date of the job (the old ones by
the old zone, the new ones by the new zone) the first that is gone is taken to have moved to the first that has come,
the second to the second, and so on, if as many have gone as have come. On a date where they are not as many, and so
whenever a job fires more or less often than before, they are dropped and added.

The first date is cut off by "now". There the pairs are made from the end of the day, if the first full date on which
anything changes has pairs only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import NamedTuple

from dagsched.triggers import local


class Pair(NamedTuple):
    """A fire time that moved."""

    old: datetime
    new: datetime


class Paired(NamedTuple):
    """What became of the fire times that only one side has, each in order of time."""

    added: list[datetime]
    moved: list[Pair]
    dropped: list[datetime]


def paired(gone: Iterable[datetime], come: Iterable[datetime], old_zone: str, new_zone: str, now: datetime) -> Paired:
    """Return the pairs among ticks that are `gone` and ticks that have `come`, and what has none; both ascending."""
    old, new = _by_date(gone, old_zone), _by_date(come, new_zone)
    found = Paired([], [], [])
    dates = sorted({*old, *new})
    cut = max(local(now, old_zone).date(), local(now, new_zone).date())
    full = next((day for day in dates if day > cut), None)
    has_rhythm = full is not None and len(old.get(full, ())) == len(new.get(full, ()))
    for day in dates:
        before, after = old.get(day, []), new.get(day, [])
        if len(before) == len(after):
            found.moved.extend(map(Pair, before, after))
        elif day <= cut and has_rhythm:
            _from_the_end(before, after, found)
        else:
            found.dropped.extend(before)
            found.added.extend(after)
    return Paired(sorted(found.added), sorted(found.moved), sorted(found.dropped))


def _from_the_end(before: Sequence[datetime], after: Sequence[datetime], found: Paired) -> None:
    both = min(len(before), len(after))
    found.dropped.extend(before[: len(before) - both])
    found.added.extend(after[: len(after) - both])
    found.moved.extend(map(Pair, before[len(before) - both :], after[len(after) - both :]))


def _by_date(ticks: Iterable[datetime], zone: str) -> Mapping[date, list[datetime]]:
    found: dict[date, list[datetime]] = {}
    for tick in ticks:
        found.setdefault(local(tick, zone).date(), []).append(tick)
    return found
