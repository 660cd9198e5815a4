"""Values in the words of YAML, for people: on one line, and whether a text reads better as a block."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from dagsched.config.scalars import resolve

_WORD = "[A-Za-z0-9_./@%+=-]"
_PLAIN = re.compile(rf"(?:--?)?[A-Za-z_./]{_WORD}*(?: {_WORD}+)*|(?:[0-9]+(?:ms|s|m|h|d))+")
# Text here, and something else to programs that read YAML 1.1.
_DOUBTFUL = re.compile(r"y|n|yes|no|on|off", re.IGNORECASE)


def in_flow(value: Any) -> str:
    """Return a value as YAML on one line, which is read as the same value."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{in_flow(name)}: {in_flow(each)}" for name, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(in_flow, value)) + "]"
    if isinstance(value, str):
        is_plain = _PLAIN.fullmatch(value) and resolve(value) == value and not _DOUBTFUL.fullmatch(value)
        return value if is_plain else _quoted(value)
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(text: str) -> str:
    import yaml  # its own way to escape what no line may hold

    return str(yaml.dump(text, default_style='"', width=float("inf"), allow_unicode=True)).rstrip("\n")


def is_block(text: str) -> bool:
    """Whether the text reads better as a block: several lines, all of them printable, the first one not indented."""
    lines = text.rstrip("\n").split("\n")
    is_clean = not text.endswith("\n\n") and all(line.isprintable() for line in lines)
    return is_clean and len(lines) > 1 and bool(lines[0]) and lines[0][0] != " "
