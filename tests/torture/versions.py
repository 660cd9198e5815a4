"""Which sheets a configuration was made of, where a death or a storm of edits left that open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from math import prod

from tests.torture.world import Sheet

CANDIDATES_MAX = 64

Sheets = Mapping[str, Sheet | None]


def candidates_of(
    number: int, known: Mapping[int, Sheets], written: Sequence[Sheets], names: Sequence[str]
) -> list[Sheets]:
    """Return what version `number` may have been made of: known, or any mixture written between its neighbours."""
    if number in known:
        return [known[number]]
    before = max((n for n in known if n < number), default=None)
    after = min((n for n in known if n > number), default=None)
    options: list[list[Sheet | None]] = []
    for name in names:
        first = _place(written, name, known[before], first=True) if before is not None else 0
        last = _place(written, name, known[after], first=False) if after is not None else len(written) - 1
        options.append(_distinct([sheets[name] for sheets in written[first : last + 1]]))
    if prod(len(each) for each in options) <= CANDIDATES_MAX:
        return [dict(zip(names, mixture, strict=True)) for mixture in product(*options)]
    # Too many to mix: each version of each file at least once, for most questions are about one job.
    most = max(len(each) for each in options)
    return [
        {name: each[place % len(each)] for name, each in zip(names, options, strict=True)} for place in range(most)
    ]


def _place(written: Sequence[Sheets], name: str, sheets: Sheets, *, first: bool) -> int:
    places = [place for place, each in enumerate(written) if each[name] == sheets[name]]
    return (places[0] if first else places[-1]) if places else (0 if first else len(written) - 1)


def _distinct(sheets: list[Sheet | None]) -> list[Sheet | None]:
    found: list[Sheet | None] = []
    for sheet in sheets:
        if sheet not in found:
            found.append(sheet)
    return found
