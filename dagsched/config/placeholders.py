"""`${{ name }}`: what a template or matrix leaves open in a text.

`$${{` stands for `${{` itself. A text that is one placeholder and nothing else takes the value as it is, a number for
a number and a list for a list; inside other text a value is written out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Literal

from dagsched.config.reader import Path
from dagsched.config.woven import Said

OPENING = "${{"
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_SIGNS = re.compile(rf"\$\$\{{\{{|\$\{{\{{[ \t]*({NAME})[ \t]*\}}\}}|\$\{{\{{")
_WHOLE = re.compile(rf"\$\{{\{{[ \t]*({NAME})[ \t]*\}}\}}")
_INSIDE = re.compile(r"\$\{\{(.*?)\}\}|\$\{\{.*", re.DOTALL)

Reason = Literal["unknown", "missing", "unclear", "compound", "circle", "key", "broken"]


class Unfilled(Exception):
    """A placeholder has no value: why, its name or what stands in its place, and its span in the text `at` a place."""

    def __init__(self, reason: Reason, name: str, offset: int, length: int, at: Said | None = None) -> None:
        super().__init__(reason, name)
        self.reason: Reason = reason
        self.name, self.offset, self.length, self.at = name, offset, length, at


ValueOf = Callable[[str, int, int], Any]
"""Return the value of a name that stands at (offset, length); raises Unfilled."""


def filled(text: str, value_of: ValueOf) -> Any:
    """Return the text with its placeholders replaced; raises Unfilled.

    >>> values = {"hour": 3, "region": "eu"}
    >>> [filled(text, lambda name, *_: values[name]) for text in ("${{ hour }}", "0 ${{hour}} * * *", "$${{ hour }}")]
    [3, '0 3 * * *', '${{ hour }}']
    """
    whole = _WHOLE.fullmatch(text)
    if whole:
        return value_of(whole[1], 0, len(text))
    return _SIGNS.sub(lambda sign: _replaced(sign, text, value_of), text)


def first_in(text: str) -> tuple[str, int, int] | None:
    """Return (name, offset, length) of the first placeholder, None when there are only escaped ones."""
    for sign in _SIGNS.finditer(text):
        if sign[0] != "$" + OPENING:
            inside = _INSIDE.match(text, sign.start())
            assert inside is not None, "it starts with the opening"
            return sign[1] or inside[0], sign.start(), len(inside[0])
    return None


def strays(value: Any, path: Path) -> Iterator[tuple[Path, int, int]]:
    """Yield (path, offset, length) of the first placeholder of each text, in a value that stands at `path`."""
    if isinstance(value, str):
        found = first_in(value) if OPENING in value else None
        if found is not None:
            yield path, found[1], found[2]
    elif isinstance(value, (dict, list)):
        for step, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from strays(each, (*path, step))


def in_text(value: Any) -> str:
    """Return a single value as text: as YAML writes it.

    >>> [in_text(value) for value in ("eu", 3, 1.5, True)]
    ['eu', '3', '1.5', 'true']
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _replaced(sign: re.Match[str], text: str, value_of: ValueOf) -> str:
    if sign[0] == "$" + OPENING:
        return OPENING
    offset = sign.start()
    if sign[1] is None:
        inside = _INSIDE.match(text, offset)
        assert inside is not None, "it starts with the opening"
        raise Unfilled("unclear", inside[0], offset, len(inside[0]))
    value = value_of(sign[1], offset, len(sign[0]))
    if value is None or isinstance(value, (dict, list)):
        raise Unfilled("compound", sign[1], offset, len(sign[0]))
    return in_text(value)
