"""Preconditions of Dagu → a small job that tests them, whose output the step's `when` asks for."""

from __future__ import annotations

import re
import shlex
from typing import Any, NamedTuple

from dagsched.importers.dagu.script import double_quoted
from dagsched.importers.dagu.words import canonical


class Condition(NamedTuple):
    """A command that must succeed, or with `expected` a text that must equal or (`re:`) match."""

    text: str
    expected: str | None
    is_negated: bool


class Odd(Exception):
    """Something that is no condition; the text says why."""


def conditions_of(value: Any) -> list[Condition]:
    """Return the conditions of a value in any of Dagu's forms; raises Odd."""
    if value is None:
        return []
    if isinstance(value, str):
        return [Condition(value, None, False)]
    if isinstance(value, list):
        return [each for item in value for each in conditions_of(item)]
    if not isinstance(value, dict):
        raise Odd(f"{value!r} is no condition")
    given = {canonical(key): each for key, each in value.items()}
    text = given.pop("condition", None) or given.pop("command", None)
    given.pop("command", None)
    expected, negate = given.pop("expected", None), given.pop("negate", False)
    if given or not isinstance(text, str) or isinstance(expected, dict | list):
        raise Odd(f"'{next(iter(given), 'condition')}' is not understood in a condition")
    said = None if expected in (None, "") else str(expected).lower() if isinstance(expected, bool) else str(expected)
    return [Condition(text, said, negate is True)]


def tested(conditions: list[Condition]) -> str:
    """Return lines of sh that write `met=yes` or `met=no` to the outputs and never fail."""
    lines = ["met=yes"]
    for each in conditions:
        lines.append(f"{'! ' if each.is_negated else ''}{_test(each)} || met=no")
    return "\n".join([*lines, 'echo "met=$met" >> "$DAGSCHED_OUTPUT"'])


def _test(condition: Condition) -> str:
    text = condition.text.strip()
    if condition.expected is None:
        plain = re.fullmatch(r"[^;&|\n#]*", text)
        return text if plain else f"{{ {text}\n}}"
    if not condition.expected.startswith("re:"):
        return f"[ {double_quoted(text)} = {shlex.quote(condition.expected)} ]"
    pattern = condition.expected.removeprefix("re:")
    # Go's expressions are nearer to Perl's; grep -E is everywhere.
    option = "P" if re.search(r"\\[a-zA-Z]|\(\?", pattern) else "E"
    return f"printf '%s\\n' {double_quoted(text)} | grep -q{option} -e {shlex.quote(pattern)}"
