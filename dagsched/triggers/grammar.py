"""Cron text → a parsed expression, with a position for every complaint.

The text is five fields (minute, hour, day of month, month, weekday; see `fields`) or one macro, at most
256 ASCII characters. What other crons read in different ways is refused with a fix and never guessed: six
fields, backward ranges, random values. Each distinct text is parsed once.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, NoReturn

from dagsched.closest import get_close_matches
from dagsched.errors import InvalidSchedule
from dagsched.triggers.days import DayFields, DayRule
from dagsched.triggers.fields import KINDS, Field, FieldKind, Token, read_field

LENGTH_MAX = 256
_WORD = re.compile(r"\S+")

MACROS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}


class Expression(NamedTuple):
    """A parsed expression; `minutes` and `hours` ascend. `fields` are in the order of the text.

    `is_wildcard`: the minute or hour field starts with `*`. `offsets`: where each field starts in the text.
    """

    text: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    rule: DayRule
    is_wildcard: bool
    fields: tuple[Field, ...]
    offsets: tuple[int, ...]


@lru_cache(maxsize=65_536)
def parse(text: str, days: Literal["any", "all"] | None = None) -> Expression:
    """Return the parsed expression; raises InvalidSchedule with the offending part's offset and length.

    >>> parse("*/20 9-17 * * mon-fri").minutes
    (0, 20, 40)
    """
    tokens = _tokens(text)
    fields = tuple(_field(kind, token) for kind, token in zip(KINDS, tokens, strict=True))
    minute, hour, day, month, weekday = fields
    return Expression(
        text=text,
        minutes=minute.ascending,
        hours=hour.ascending,
        rule=_rule(day, month, weekday, days == "all"),
        is_wildcard=minute.is_starred or hour.is_starred,
        fields=fields,
        offsets=tuple(token.offset for token in tokens),
    )


@lru_cache(maxsize=16_384)
def _rule(day: Field, month: Field, weekday: Field, both: bool) -> DayRule:
    """Return one rule for all expressions that name the same days: its months are worked out once."""
    fields = DayFields(
        months=month.ascending,
        days=sum(1 << value for value in day.values),
        has_last_day=day.has_last,
        nearest=tuple(day.nearest),
        weekdays=sum(1 << value for value in weekday.values),
        nth=tuple(weekday.nth),
        last_weekdays=tuple(weekday.last_weekdays),
        restricts_days=not day.is_unrestricted,
        restricts_weekdays=not weekday.is_unrestricted,
        both=both,
    )
    return DayRule(fields)


def _field(kind: FieldKind, token: Token) -> Field:
    try:
        return read_field(kind, token.text)
    except InvalidSchedule as error:
        raise InvalidSchedule(
            error.message,
            why=error.why,
            fix=error.fix,
            offset=token.offset + (error.offset or 0),
            length=error.length,
        ) from None


# ---------------------------------------------------------------- the whole


def _tokens(text: str) -> list[Token]:
    """Return the five fields as tokens, macros replaced."""
    _check_characters(text)
    tokens = [Token(match.group(), match.start()) for match in _WORD.finditer(text)]
    if not tokens:
        raise InvalidSchedule(
            "the cron expression is empty",
            why="a schedule needs five fields",
            fix="write five fields, such as '0 2 * * *'",
        )
    if tokens[0].text.startswith("@"):
        expanded = _macro(tokens)
        # A macro's fields have no place of their own in the text: they all point at its start.
        return [Token(part, tokens[0].offset) for part in expanded.split()]
    if len(tokens) != len(KINDS):
        _refuse_count(tokens)
    return tokens


def _check_characters(text: str) -> None:
    if len(text) > LENGTH_MAX:
        raise InvalidSchedule(
            f"the cron expression has {len(text)} characters",
            why=f"at most {LENGTH_MAX} are read",
            fix="split it into a list of expressions",
        )
    for offset, character in enumerate(text) if not text.isascii() else ():
        if not character.isascii():
            raise InvalidSchedule(
                f"the cron expression holds {character!r}, which is not ASCII",
                why="cron is written in digits, English names and * , - / # ? L W",
                fix="write it with plain characters",
                offset=offset,
                length=1,
            )


def _macro(tokens: Sequence[Token]) -> str:
    name = tokens[0].text.lower()
    if name in MACROS and len(tokens) == 1:
        return MACROS[name]
    why, fix = "the macros are " + ", ".join(MACROS), "write one of them, or five fields"
    if name in MACROS:
        why, fix = "a macro stands alone", f"write '{name}'"
    elif name == "@reboot":
        why = "a tick is an instant of the calendar, and a restart is none"
        fix = "give the job no schedule and trigger it when the machine is up"
    elif name == "@every":
        length = tokens[1].text if len(tokens) > 1 else "15m"
        why, fix = "elapsed time is not a cron expression", f"write schedule: {{every: {length}}}"
    elif close := get_close_matches(name, MACROS, n=1):
        fix = f"did you mean '{close[0]}'?"
    first, last = tokens[0], tokens[-1]
    raise InvalidSchedule(
        f"unknown cron macro '{' '.join(token.text for token in tokens)}'"
        if name not in MACROS
        else f"cron macro '{name}' is followed by more text",
        why=why,
        fix=fix,
        offset=first.offset,
        length=last.offset + len(last.text) - first.offset,
    )


def _refuse_count(tokens: Sequence[Token]) -> NoReturn:
    texts = [token.text for token in tokens]
    first, last = tokens[0], tokens[-1]
    why, fix = (
        "cron has five fields: minute, hour, day of month, month, weekday",
        "write five, such as '0 2 * * *'",
    )
    if re.match(r"(CRON_)?TZ=", first.text):
        why, fix = (
            "a time zone is a key of the schedule, not part of the expression",
            (f"write timezone: {first.text.partition('=')[2]} and cron: '{' '.join(texts[1:])}'"),
        )
    elif len(tokens) == 1 and f"@{first.text.lower()}" in MACROS:
        fix = f"did you mean '@{first.text.lower()}'?"
    elif first.text.lower() == "every":
        fix = "for elapsed time write schedule: {every: 15m}"
    elif len(tokens) in (6, 7):
        why = "with more than five, some programs read seconds first and others a year last"
        fix = f"leave the seconds out: '{' '.join(texts[1:6])}'"
    raise InvalidSchedule(
        f"the cron expression has {len(tokens)} field{'s' if len(tokens) != 1 else ''} where five belong",
        why=why,
        fix=fix,
        offset=first.offset,
        length=last.offset + len(last.text) - first.offset,
    )
