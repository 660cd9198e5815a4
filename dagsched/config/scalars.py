"""Which value a plain YAML scalar stands for.

YAML 1.2's core schema (YAML 1.2.2, section 10.3.2), narrowed where its reading would surprise: a decimal
with leading zeros stays text (`010`, a postal code), so do `.inf` and `.nan`, which JSON cannot carry, and
numbers too long to be numbers. What YAML 1.1 made of `on`, `no`, `12:30` and `1_000` is text.
"""

from __future__ import annotations

import math
import re

_WORDS: dict[str, bool | None] = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,63})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]{1,64}|(?:0|[1-9][0-9]{0,63})(?:\.[0-9]{0,64})?)(?:[eE][-+]?[0-9]{1,4})?")
_BASED = re.compile(r"0o[0-7]{1,64}|0x[0-9a-fA-F]{1,64}")

# A plain scalar that starts with none of these is text.
SPECIAL_FIRST = frozenset("-+.0123456789nNtTfF~")


def resolve(text: str) -> str | int | float | bool | None:
    """Return the value of a plain, untagged scalar.

    >>> [resolve(text) for text in ("on", "no", "010", "12:30", "true", "~", "7", "0x1F", "1e3")]
    ['on', 'no', '010', '12:30', True, None, 7, 31, 1000.0]
    """
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        number = float(text)
        return number if math.isfinite(number) else text
    return text
