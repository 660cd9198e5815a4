"""One field of a cron expression → a set of numbers.

A field is a list of items joined by commas:

    item    = base [ "/" step ]
    base    = "*" | value | value "-" value | "?" (day fields)
    special = "L" | n "W" (day of month)      weekday "#" n | "L" weekday (weekday)

Values are numbers or, for months and weekdays, three-letter English names. `5/15` means `5-59/15`. Weekday 7
is Sunday, like 0. Everything is checked here first, so that a complaint knows its place; items of several
values are then expanded together (see `expand`). A few texts (`*`, `0`, `mon-fri`) make up most of a large job
file, so each distinct one is read once; offsets count from the start of the field.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple, NoReturn

from dagsched.closest import get_close_matches
from dagsched.errors import InvalidSchedule
from dagsched.triggers.expand import expand

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


class FieldKind(NamedTuple):
    """One of the five fields: its name in messages, its bounds, and how many values make a full circle."""

    name: str
    low: int
    high: int
    size: int
    names: tuple[str, ...] = ()

    def full(self) -> range:
        return range(self.low, self.low + self.size)


MINUTE = FieldKind("minute", 0, 59, 60)
HOUR = FieldKind("hour", 0, 23, 24)
DAY = FieldKind("day of month", 1, 31, 31)
MONTH = FieldKind("month", 1, 12, 12, MONTHS)
WEEKDAY = FieldKind("weekday", 0, 7, 7, WEEKDAYS)
KINDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)
DAY_KINDS = (DAY, WEEKDAY)


class Token(NamedTuple):
    """A piece of the expression and where it starts in it."""

    text: str
    offset: int

    def part(self, start: int, end: int | None = None) -> Token:
        return Token(self.text[start:end], self.offset + start)

    def split(self, mark: str) -> Iterator[Token]:
        start = 0
        for piece in self.text.split(mark):
            yield Token(piece, self.offset + start)
            start += len(piece) + 1


class Field:
    """What one field says. `steps`: (the item, its step) of every item that runs to the end of the field."""

    def __init__(self, kind: FieldKind, text: str) -> None:
        self.kind, self.text = kind, text
        self.values: set[int] = set()
        self.singles: set[int] = set()
        self.is_unrestricted = self.has_last = False
        self.nearest: list[int] = []
        self.nth: list[tuple[int, int]] = []
        self.last_weekdays: list[int] = []
        self.steps: list[tuple[Token, int]] = []

    @property
    def ascending(self) -> tuple[int, ...]:
        return tuple(sorted(self.values))

    @property
    def is_starred(self) -> bool:
        """Whether the text starts with a star, which is what Debian's cron goes by."""
        return self.text.startswith("*")


@lru_cache(maxsize=16_384)
def read_field(kind: FieldKind, text: str) -> Field:
    """Return what the field's text says; raises InvalidSchedule with an offset inside that text.

    >>> sorted(read_field(WEEKDAY, "fri-sat,sun").values)
    [0, 5, 6]
    """
    token = Token(text, 0)
    found = Field(kind, text)
    several: list[str] = []
    for item in token.split(","):
        if not item.text:
            _refuse(
                token,
                f"the {kind.name} field '{token.text}' has an empty item",
                "a comma joins two values",
                "remove the comma",
            )
        if not (
            _special_day(found, item) if kind is DAY else kind is WEEKDAY and _special_weekday(found, item)
        ):
            several += _plain(found, item)
    if several:
        found.values |= expand(KINDS.index(kind), several, kind.full())
    return found


def _special_day(found: Field, item: Token) -> bool:
    text = item.text.upper()
    if text == "L":
        found.has_last = True
    elif match := re.fullmatch(r"(\d+)W", text):
        found.nearest.append(_number(DAY, item.part(0, len(match[1]))))
    elif re.fullmatch(r"L-\d+|LW|WL|W\d+", text):
        fixes = {"LW": "write 'L' for the last day, or name it by weekday: 'L5' in the weekday field"}
        _refuse(
            item,
            f"'{item.text}' is no day of month",
            "the special days are L (last day) and nW (weekday nearest to day n)",
            fixes.get(text, f"write '{text[1:]}W'" if text[0] == "W" else "write 'L', or a day such as '28'"),
        )
    else:
        return False
    return True


def _special_weekday(found: Field, item: Token) -> bool:
    text = item.text
    if "#" in text:
        weekday, which = item.split("#") if text.count("#") == 1 else (item, item)
        if not re.fullmatch(r"[1-5]", which.text):
            _refuse(
                item,
                f"'{text}' is no weekday",
                "'mon#2' means the second Monday, and the count runs from 1 to 5",
                "write a count from 1 to 5; for the last one, 'Lmon'",
            )
        found.nth.append((_number(WEEKDAY, weekday) % 7, int(which.text)))
    elif match := re.fullmatch(r"L(\d+|[A-Z]{3})", text, re.IGNORECASE):
        found.last_weekdays.append(_number(WEEKDAY, item.part(1, 1 + len(match[1]))) % 7)
    elif match := re.fullmatch(r"(\d|[A-Z]{3})L", text, re.IGNORECASE):
        _refuse(
            item,
            f"'{text}' is no weekday",
            "the last weekday of a month is written with the L in front",
            f"write 'L{match[1]}'",
        )
    elif text.upper() == "L":
        _refuse(
            item,
            f"'{text}' names no weekday",
            "L in the weekday field needs to know which one",
            "write 'L5' for the last Friday, 'sat' for Saturdays",
        )
    else:
        return False
    return True


def _plain(found: Field, item: Token) -> tuple[str, ...]:
    """Check `base[/step]` and take over what needs no expansion; return the item if it does."""
    kind = found.kind
    base, slash, _ = item.text.partition("/")
    start = item.part(0, len(base))
    step = _step(kind, item, item.part(len(base) + 1)) if slash else 1
    if base in ("*", "?"):
        if base == "?" and kind not in DAY_KINDS:
            _refuse(
                item,
                f"'?' in the {kind.name} field",
                "'?' means 'any day' and belongs to the day fields",
                "write '*'",
            )
        low, high = kind.low, kind.low + kind.size - 1
        found.is_unrestricted |= step == 1
    elif re.match(r"[RH]\(", base, re.IGNORECASE):
        raise _unknown_value(kind, start)
    elif "-" in base:
        low, high = _range(kind, item, start, step)
    else:
        low = _number(kind, start)
        high = kind.low + kind.size - 1 if slash else low
        if not slash:
            found.singles.add(low)
    if slash and "-" not in base:
        found.steps.append((item, step))
    if base in ("*", "?") and step == 1:
        found.values.update(kind.full())
    elif low >= high:
        # `9`, `9-9`, `9-9/2`, `59/5`, weekday `7/2`: croniter would read all but the first as starred.
        found.values.add(low % 7 if kind is WEEKDAY else low)
    else:
        return (item.text,)
    return ()


def _step(kind: FieldKind, item: Token, step: Token) -> int:
    if not re.fullmatch(r"[0-9]+", step.text):
        _refuse(
            item,
            f"'{item.text}' has no step",
            "after '/' comes a whole number",
            f"write a step, such as '{item.text.partition('/')[0]}/5'",
        )
    if int(step.text) == 0:
        _refuse(
            item,
            f"step 0 in the {kind.name} field",
            "a step of 0 never moves on",
            "write a step of at least 1",
        )
    return int(step.text)


def _range(kind: FieldKind, item: Token, token: Token, step: int) -> tuple[int, int]:
    ends = list(token.split("-"))
    if len(ends) != 2 or not all(end.text for end in ends):
        _refuse(
            token,
            f"'{token.text}' is no range",
            "a range is written low-high",
            f"write '{kind.low}-{kind.high}'",
        )
    low, high = (_number(kind, end) for end in ends)
    if low > high:
        _refuse(
            item,
            f"the range '{token.text}' in the {kind.name} field runs backwards",
            "some crons wrap it round, others refuse or ignore it",
            f"write '{_unwrapped(kind, low, high, step)}'",
        )
    return low, high


def _unwrapped(kind: FieldKind, low: int, high: int, step: int) -> str:
    """Return what a backward range wants to say: `22-2` → `22-23,0-2`."""
    top = kind.low + kind.size - 1
    if kind is WEEKDAY and low == 7:
        low = 0
    if step == 1 and low <= high:
        return f"{low}-{high}"
    if step == 1:
        return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in ((low, top), (kind.low, high)))
    length = (high - low) % kind.size
    return ",".join(
        str(kind.low + (low - kind.low + move) % kind.size) for move in range(0, length + 1, step)
    )


def _number(kind: FieldKind, token: Token) -> int:
    text = token.text
    if re.fullmatch(r"[0-9]+", text):
        value = int(text)
        if not kind.low <= value <= kind.high:
            _refuse(
                token,
                f"{kind.name} {text} is out of range",
                f"the {kind.name} field runs from {kind.low} to {kind.high}",
                "write a value in that range",
            )
        return value
    if text.lower() in kind.names:
        return kind.names.index(text.lower()) + kind.low
    raise _unknown_value(kind, token)


def _unknown_value(kind: FieldKind, token: Token) -> InvalidSchedule:
    text = token.text
    why = f"the {kind.name} field takes numbers from {kind.low} to {kind.high}"
    fix = "write a number"
    if text.upper().startswith("R"):
        why = "a random value would differ on every machine and after every restart"
        fix = "write a fixed value and spread the load with jitter: 10m"
    elif re.match(r"H\b", text, re.IGNORECASE):
        why, fix = (
            "hashed values are a dialect of their own",
            "write a fixed value and spread the load with jitter: 10m",
        )
    elif kind.names:
        why += " or the names " + " ".join(kind.names)
        near = get_close_matches(text.lower()[:3], kind.names, n=1, cutoff=0.5)
        fix = f"did you mean '{near[0]}'?" if near else "write one of them"
    elif text.upper() == "L" or text.upper().endswith("W"):
        fix = "L and W belong to the day fields"
    return _complaint(token, f"unknown value '{text}' in the {kind.name} field", why, fix)


def _refuse(token: Token, message: str, why: str, fix: str) -> NoReturn:
    raise _complaint(token, message, why, fix)


def _complaint(token: Token, message: str, why: str, fix: str) -> InvalidSchedule:
    return InvalidSchedule(message, why=why, fix=fix, offset=token.offset, length=max(1, len(token.text)))
