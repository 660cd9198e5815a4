"""The five fields of a crontab line as Debian's cron reads them, and nothing of `triggers/`: a second opinion.

What Debian's reader refuses (a step on a single number, backward ranges, step 0) is refused here, with its reason. `~`
is cronie's: a minute of that range, chosen anew at each start there and once, by a hash, here.
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTHS = {name: place for place, name in enumerate(_NAMES, 1)}
DAYS = {name: place for place, name in enumerate(["sun", "mon", "tue", "wed", "thu", "fri", "sat"])}

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}

_KINDS: tuple[tuple[str, int, int, dict[str, int]], ...] = (
    ("minute", 0, 59, {}),
    ("hour", 0, 23, {}),
    ("day of month", 1, 31, {}),
    ("month", 1, 12, MONTHS),
    ("weekday", 0, 7, DAYS),
)


class Unreadable(Exception):
    """A line that cron would not take; the text says why."""


class Fields(NamedTuple):
    """Sets of numbers; weekdays are 0 (Sunday) to 6. `texts`: the fields as written, with what `~` chose."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    texts: tuple[str, ...]
    random: str = ""

    @property
    def is_wildcard(self) -> bool:
        """Whether minute or hour starts with a star: what Debian's handling of clock changes goes by."""
        return self.texts[0].startswith("*") or self.texts[1].startswith("*")

    @property
    def wants_both(self) -> bool:
        """Whether a day must fit both day fields: one of them starts with a star."""
        return self.texts[2].startswith("*") or self.texts[4].startswith("*")

    def fits(self, day: int, month: int, weekday: int) -> bool:
        """Whether a date fits; weekday 0 is Sunday."""
        if month not in self.months:
            return False
        by_day, by_weekday = day in self.days, weekday in self.weekdays
        return by_day and by_weekday if self.wants_both else by_day or by_weekday


def read_fields(texts: list[str], seed: str) -> Fields:
    """Return the fields; `seed`: what a `~` is chosen by. Raises Unreadable."""
    values, written, random = [], [], []
    for text, (name, low, high, names) in zip(texts, _KINDS, strict=True):
        found: set[int] = set()
        parts = []
        for item in text.split(","):
            chosen = _without_random(item, name, low, high, seed)
            if chosen != item:
                random.append(f"{item} (here {chosen})")
            parts.append(chosen)
            found |= _item(chosen, name, low, high, names)
        values.append(frozenset(found))
        written.append(",".join(parts))
    weekdays = frozenset(0 if each == 7 else each for each in values[4])
    minutes, hours, days, months = values[:4]
    return Fields(minutes, hours, days, months, weekdays, tuple(written), ", ".join(random))


def _without_random(item: str, name: str, low: int, high: int, seed: str) -> str:
    if "~" not in item:
        return item
    match = re.fullmatch(r"(\d*)~(\d*)", item)
    if match is None:
        raise Unreadable(f"the random {name} '{item}' is no range of two numbers")
    first, last = int(match[1] or low), int(match[2] or high)
    if not low <= first <= last <= high:
        raise Unreadable(f"the random {name} '{item}' does not lie in {low}-{high}")
    share = int.from_bytes(hashlib.sha256(f"{name} {seed}".encode()).digest()[:8], "big")
    return str(first + share % (last - first + 1))


def _item(item: str, name: str, low: int, high: int, names: dict[str, int]) -> set[int]:
    base, slash, step_text = item.partition("/")
    if slash and (not step_text.isascii() or not step_text.isdigit() or len(step_text) > 9 or int(step_text) == 0):
        raise Unreadable(f"the step of '{item}' ({name}) is no number from 1 on")
    step = int(step_text) if slash else 1
    if base == "*":
        first, last = low, high
    else:
        first_text, dash, last_text = base.partition("-")
        first = _number(first_text, item, name, low, high, names)
        if slash and not dash:
            raise Unreadable(
                f"'{item}' ({name}): cron takes steps only after * or a range; write '{base}-{high}/{step}'"
            )
        last = _number(last_text, item, name, low, high, names) if dash else first
        if last < first:
            raise Unreadable(f"the range '{item}' ({name}) runs backward")
    return set(range(first, last + 1, step))


def _number(text: str, item: str, name: str, low: int, high: int, names: dict[str, int]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 10:
        if low <= int(text) <= high:
            return int(text)
        raise Unreadable(f"{text} is no {name}: {low} to {high}")
    if text.lower() in names:
        return names[text.lower()]
    raise Unreadable(f"'{item}' is no {name}")
