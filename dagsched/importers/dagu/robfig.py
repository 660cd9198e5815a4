"""Cron expressions as Dagu reads them, and when Dagu starts a DAG: a second opinion beside `triggers/`.

Dagu takes five fields in the dialect of the Go library robfig/cron, each expression with an optional zone of its own
before it. Once a minute it asks whether the wall clock of that minute fits, and nothing else: a time that a clock
change skips never comes, a repeated one comes twice. A day must fit both day fields if one of them is a star (a
stepped star is none), else either.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dagsched.importers.cronfields import DAYS, MONTHS, Unreadable
from dagsched.importers.debian import minute_of, stretches, walls
from dagsched.importers.draft import Fire

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KINDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, MONTHS),
    ("weekday", 0, 6, DAYS),
)


class Expression(NamedTuple):
    """Sets of numbers; weekdays are 0 (Sunday) to 6. `timezone`: named before the fields, or None."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    wants_both: bool
    texts: tuple[str, ...]
    timezone: str | None

    def fits(self, day: int, month: int, weekday: int) -> bool:
        """Whether a date fits; weekday 0 is Sunday."""
        if month not in self.months:
            return False
        by_day, by_weekday = day in self.days, weekday in self.weekdays
        return by_day and by_weekday if self.wants_both else by_day or by_weekday


def read_expression(text: str) -> Expression:
    """Return what an expression says; raises Unreadable with Dagu's reason."""
    words, timezone = text.split(), None
    if words and (match := re.fullmatch(r"(?:CRON_)?TZ=(\S*)", words[0])):
        timezone = match[1]
        words = words[1:]
        try:
            ZoneInfo(timezone)
        except (KeyError, ValueError, OSError):
            raise Unreadable(f"there is no time zone {timezone!r}") from None
    if words and words[0].startswith("@"):
        raise Unreadable(f"Dagu takes no {words[0][:20]}, only five fields")
    if len(words) != 5 or len(text) > 1000:
        raise Unreadable(f"Dagu takes five fields; these are {len(words)}")
    values, stars = [], []
    for word, kind in zip(words, _KINDS, strict=True):
        numbers, is_star = _field(word, *kind)
        values.append(numbers)
        stars.append(is_star)
    minutes, hours, days, months, weekdays = values
    return Expression(minutes, hours, days, months, weekdays, stars[2] or stars[4], tuple(words), timezone)


def _field(text: str, name: str, low: int, high: int, names: dict[str, int]) -> tuple[frozenset[int], bool]:
    found: set[int] = set()
    is_star = False
    for item in filter(None, text.split(",")):
        match = re.fullmatch(r"([*?]|[^-/]+(?:-[^-/]+)?)(?:/(\d{1,9}))?", item)
        if match is None:
            raise Unreadable(f"'{item}' is no {name}")
        base, step = match[1], int(match[2]) if match[2] else 1
        if base in ("*", "?"):
            first, last = low, high
            is_star |= step == 1
        else:
            ends = [_number(part, item, name, low, high, names) for part in base.split("-")]
            first = ends[0]
            # A single number with a step goes on to the end of the field.
            last = ends[1] if len(ends) == 2 else high if match[2] else first
        if step == 0:
            raise Unreadable(f"the step of '{item}' ({name}) is 0")
        if last < first:
            raise Unreadable(f"the range '{item}' ({name}) runs backward")
        found |= set(range(first, last + 1, step))
    if not found:
        raise Unreadable(f"'{text}' is no {name}")
    return frozenset(found), is_star


def _number(text: str, item: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unreadable(f"'{item}' is no {name}")
    if not low <= int(text) <= high:
        raise Unreadable(f"{int(text)} is no {name}: {low} to {high}")
    return int(text)


def fires(
    expressions: Sequence[Expression], timezone: str, after: datetime, until: datetime, left_out: str = ""
) -> Iterator[Fire]:
    """Yield when Dagu starts a DAG with these expressions in (after, until], oldest first; equal instants are one.

    `left_out`: why none of them could be carried over, as the reason of each.
    """
    start, end = minute_of(after), minute_of(until)
    found: set[int] = set()
    for expression in expressions:
        for low, high, offset, _ in stretches(expression.timezone or timezone, start, end):
            found |= {wall - offset for wall in walls(expression, low + offset, high + offset)}
    yield from (Fire(_EPOCH + timedelta(minutes=each), 1, left_out) for each in sorted(found) if each > start)


def cron_of(expression: Expression) -> str:
    """Return a cron expression with the same ticks for dagsched, where two restricted day fields mean either."""
    minute, hour, day, month, weekday = (
        _written(text, values, *kind)
        for text, values, kind in zip(expression.texts, expression[:5], _KINDS, strict=True)
    )
    if not expression.wants_both and "*" in (day, weekday):
        day = weekday = "*"
    return " ".join((minute, hour, day, month, weekday))


def _written(text: str, values: frozenset[int], name: str, low: int, high: int, names: dict[str, int]) -> str:
    """Return the field as it was written where that is plain, else its numbers."""
    if len(values) == high - low + 1:
        return "*"
    ordered = sorted(values)
    item = r"(?:\d+|[a-z]{3})(?:-(?:\d+|[a-z]{3}))?"
    if re.fullmatch(rf"{item}(?:,{item})*", text.lower()) and "/" not in text:
        return text.lower()
    match = re.fullmatch(r"(?:\*|\d+-\d+)/(\d+)", text)
    if match and len(values) > 1 and name in ("minute", "hour", "month"):
        return text
    if len(ordered) > 2 and all(later - earlier == 1 for earlier, later in pairwise(ordered)):
        return f"{ordered[0]}-{ordered[-1]}"
    return ",".join(map(str, ordered))
