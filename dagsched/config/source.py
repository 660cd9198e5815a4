"""The text of one job file: from a character's place to line, column and excerpt.

Places are character offsets into the text, as libyaml counts them. Lines end where editors end them, at
`\n` or `\r\n`; the further line breaks of YAML 1.1 (CR, NEL, LS, PS), which libyaml counts too, end none.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from dagsched.config.codes import severity_of
from dagsched.config.problem import Problem

EXCERPT_CHARACTERS_MAX = 100
BLOCK_CHARACTERS = 16_384
_ANCHOR = re.compile(r"&[^\s,\[\]{}]+\s*")
_PLAIN = re.compile(r"[^\r\n]*?(?=\s*(?:$|[\r\n])|\s+#|:(?:\s|$)|[,\]}])")


class Source:
    """A named text. `name` is what problems call the file."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        self._breaks: list[int] = []  # line breaks before each block of the text
        self._latest = (0, 1)  # the place asked for last, as (index, line)

    def place(self, index: int) -> tuple[int, int]:
        """Return (line, column), both from 1, of the character at `index`."""
        before, line = self._latest
        if before <= index < before + BLOCK_CHARACTERS:
            # Most are asked for from the first on.
            line += self.text.count("\n", before, index)
        else:
            if not self._breaks:
                self._breaks = _breaks_before_blocks(self.text)
            block = min(index // BLOCK_CHARACTERS, len(self._breaks) - 1)
            line = self._breaks[block] + self.text.count("\n", block * BLOCK_CHARACTERS, index) + 1
        self._latest = (index, line)
        return line, index - self.text.rfind("\n", 0, index)

    def at(self, index: int) -> str:
        """Return the place as messages name it, `jobs.yaml:3:3`."""
        line, column = self.place(index)
        return f"{self.name}:{line}:{column}"

    def problem(self, code: str, span: tuple[int, int], message: str, why: str = "", fix: str = "") -> Problem:
        """Return a problem about the characters in [span[0], span[1]), cut to one line and at least one long."""
        line, column = self.place(span[0])
        start, stop = span[0] - column + 1, self._line_end(span[0])
        end = max(column + 1, min(column + span[1] - span[0], stop - start + 1))
        return Problem(
            self.name,
            line,
            column,
            end,
            code,
            severity_of(code),
            message,
            why,
            fix,
            self._excerpt(start, stop, line, column, end) if self.text else "",
        )

    def extent(self, index: int, value: Any) -> tuple[int, int]:
        """Return the span of the value that starts at `index`; of a block, its first character."""
        text = self.text
        anchor = _ANCHOR.match(text, index)
        if anchor:
            index = anchor.end()
        first = text[index : index + 1]
        if first in ("'", '"'):
            return index, _quoted_end(text, index, first)
        if first in ("[", "{"):
            return index, _flow_end(text, index)
        if isinstance(value, (dict, list)) or first in ("|", ">", "*"):
            found = re.compile(r"[^\s,\]}]*" if first == "*" else r".").match(text, index)
            return index, found.end() if found else index + 1
        if isinstance(value, str) and value and text.startswith(value, index):
            return index, index + len(value)
        found = _PLAIN.match(text, index)
        return index, found.end() if found else index + 1

    def inside(self, index: int, value: str, offset: int, length: int) -> tuple[int, int]:
        """Return the span of `length` characters at `offset` of the text value that starts at `index`.

        Falls back to the whole value when the file spells it with escapes or over several lines.
        """
        start, end = self.extent(index, value)
        if self.text[start : start + 1] in ("'", '"'):
            start, end = start + 1, end - 1
        if self.text[start:end] != value:
            return self.extent(index, value)
        first = min(start + max(0, offset), end)
        return first, min(first + max(1, length), max(end, first + 1))

    def _line_end(self, index: int) -> int:
        end = self.text.find("\n", index)
        end = end if end >= 0 else len(self.text)
        return end - 1 if self.text[end - 1 : end] == "\r" and end > index else end

    def _excerpt(self, start: int, stop: int, line: int, column: int, end: int) -> str:
        """Return the line and its caret; of a long line, which is never copied, the part around the caret."""
        is_long = stop - start > EXCERPT_CHARACTERS_MAX
        cut = start + max(0, column - 1 - EXCERPT_CHARACTERS_MAX // 2) if is_long else start
        shown = self.text[cut : min(stop, cut + EXCERPT_CHARACTERS_MAX)]
        lead = "..." if cut > start else ""
        tail = "..." if cut + EXCERPT_CHARACTERS_MAX < stop else ""
        first = start + column - 1 - cut
        before, marked = shown[:first], shown[first : first + end - column]
        number = f"{line:>5}"
        return (
            f"{number} | {lead}{_printable(shown)}{tail}\n"
            f"{' ' * len(number)} | {' ' * (len(lead) + _width(before))}{'^' * max(1, _width(marked))}"
        )


def _breaks_before_blocks(text: str) -> list[int]:
    """Count the line breaks before each block: a table of all lines would outweigh a file of short ones."""
    breaks = [0]
    for start in range(0, len(text) - BLOCK_CHARACTERS, BLOCK_CHARACTERS):
        breaks.append(breaks[-1] + text.count("\n", start, start + BLOCK_CHARACTERS))
    return breaks


def _quoted_end(text: str, index: int, quote: str) -> int:
    pattern = r'"(?:[^"\\]|\\.)*"' if quote == '"' else r"'(?:[^']|'')*'"
    found = re.compile(pattern, re.DOTALL).match(text, index)
    return found.end() if found else index + 1


def _flow_end(text: str, index: int) -> int:
    """Return where a flow collection of one line closes; its first character's end if it spans lines."""
    depth = 0
    for place in range(index, min(len(text), index + 2000)):
        character = text[place]
        if character in "[{":
            depth += 1
        elif character in "]}":
            depth -= 1
            if depth == 0:
                return place + 1
        elif character in "\r\n":
            break
    return index + 1


def _printable(text: str) -> str:
    return "".join(
        " " if character == "\t" else character if character.isprintable() else "\ufffd" for character in text
    )


def _width(text: str) -> int:
    """Return how many terminal cells the text takes: wide characters two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 2 if unicodedata.east_asian_width(character) in "WF" else 1
        for character in text
    )
