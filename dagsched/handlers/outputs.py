"""The text of an outputs file, read and written.

    rows=1200                 a name, then the value to the end of the line
    summary<<END              or several lines, up to one that is the word alone
    first line
    second line
    END

Names are letters, digits and `_`, not beginning with a digit; the last value of a name wins; empty lines are
left out. There are no comments and no quotes: what is written is the value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LINE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(=|<<)(.*)", re.DOTALL)


class UnreadableOutputs(ValueError):
    """The text is no list of outputs; says which line and why."""


def parse(text: str) -> dict[str, str]:
    """Return outputs by name; raises UnreadableOutputs naming the first bad line."""
    found: dict[str, str] = {}
    if not text:  # most leave none
        return found
    lines = enumerate(text.split("\n"), start=1)
    for number, line in lines:
        line = line.removesuffix("\r")
        if not line:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UnreadableOutputs(f"outputs, line {number}: {_excerpt(line)} is not `name=value`")
        name, sign, rest = match.groups()
        value = rest if sign == "=" else "\n".join(_until(rest, number, lines))
        if not _is_text(value):
            raise UnreadableOutputs(f"outputs, line {number}: the value of {name!r} is not UTF-8 text")
        found[name] = value
    return found


def render(outputs: Mapping[str, str]) -> str:
    """Return the text of an outputs file; raises UnreadableOutputs on a name that cannot be one."""
    parts = []
    for name, value in outputs.items():
        if not _NAME.fullmatch(name):
            raise UnreadableOutputs(f"{name!r} cannot be the name of an output: letters, digits and _ only")
        if "\n" in value or "\r" in value:
            word = _word_outside(value)
            parts.append(f"{name}<<{word}\n{value}\n{word}\n")
        else:
            parts.append(f"{name}={value}\n")
    return "".join(parts)


def _until(word: str, opened: int, lines: Iterator[tuple[int, str]]) -> Iterator[str]:
    if not word.strip():
        raise UnreadableOutputs(f"outputs, line {opened}: `<<` is followed by the word that ends the value")
    for _, line in lines:
        if line.removesuffix("\r") == word:
            return
        yield line
    raise UnreadableOutputs(f"outputs, line {opened}: the value never ends, no line is {word!r} alone")


def _word_outside(value: str) -> str:
    word, lines = "END", {line.removesuffix("\r") for line in value.split("\n")}
    while word in lines:
        word += "_"
    return word


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _excerpt(line: str) -> str:
    return repr(line if len(line) <= 60 else line[:60] + "…")
