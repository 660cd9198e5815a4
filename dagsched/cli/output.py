"""How things are shown: tables for people, JSON for programs, one line on stderr for what went wrong.

A person looks when stdout is a terminal: then tables come from `rich`, with colour unless NO_COLOR is set.
Piped output is plain aligned text with the same columns, so that `grep` and `awk` see no escape codes;
remarks that only help a person go to `note` and are not printed at all when nobody looks.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

STATE_STYLES = {
    "success": "green",
    "failed": "bold red",
    "upstream_failed": "red",
    "cancelled": "magenta",
    "running": "bold cyan",
    "retrying": "yellow",
    "queued": "cyan",
    "waiting": "blue",
    "skipped": "dim",
    "missed": "dim yellow",
}
"""The colour of each run state, wherever one is shown."""


def is_watched(stream: TextIO | None = None) -> bool:
    """Whether a person looks at the stream (default: stdout)."""
    return (sys.stdout if stream is None else stream).isatty()


def may_color(stream: TextIO | None = None) -> bool:
    """Whether the stream may carry colour: a terminal that has some, and no NO_COLOR (https://no-color.org)."""
    return is_watched(stream) and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def complain(message: str) -> None:
    """Print `dagsched: error: …` on stderr."""
    word = "\x1b[1;31merror:\x1b[0m" if may_color(sys.stderr) else "error:"
    print(f"dagsched: {word} {message}", file=sys.stderr)


def note(message: str) -> None:
    """Print a remark for a person on stderr; nothing when stderr is piped."""
    if is_watched(sys.stderr):
        print(message, file=sys.stderr)


def print_json(document: Any) -> None:
    """Print one document, indented for a person and on one line for a pipe."""
    print(_dump(document, indent=2 if is_watched() else None))


def print_rows(rows: Iterable[Mapping[str, Any]]) -> None:
    """Print one JSON object per line, each as soon as it is known."""
    for row in rows:
        print(_dump(row))


def _dump(document: Any, indent: int | None = None) -> str:
    # Escapes survive a terminal whose encoding has not every letter, a `?` would not.
    is_utf8 = (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"
    return json.dumps(document, ensure_ascii=not is_utf8, indent=indent)


def print_table(
    titles: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[str] = (), state: str = "state"
) -> None:
    """Print rows under their titles: a rich table for a person, aligned text otherwise.

    `right`: titles of the columns that hold numbers. `state`: title of the column that is coloured as run
    states. Nothing is printed for no rows.
    """
    cells = [[printable(cell) for cell in row] for row in rows]
    if not cells:
        return
    show = _print_rich_table if is_watched() else _print_plain_table
    show(titles, cells, frozenset(right), state)


def _print_plain_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str], state: str) -> None:
    widths = [max(len(title), *(len(row[place]) for row in rows)) for place, title in enumerate(titles)]
    pads = [str.rjust if title in right else str.ljust for title in titles]
    lines = (
        "  ".join([pad(cell, width) for pad, cell, width in zip(pads, row, widths, strict=True)]).rstrip()
        for row in ([title.upper() for title in titles], *rows)
    )
    # In one piece: into a terminal's or a pipe's buffer line by line takes as long again.
    print("\n".join(lines))


def _print_rich_table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: frozenset[str], state: str) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold underline")
    for title in titles:
        table.add_column(title, justify="right" if title in right else "left", overflow="fold")
    for row in rows:
        table.add_row(
            *(
                Text(cell, style=STATE_STYLES.get(cell, "") if title == state else "")
                for title, cell in zip(titles, row, strict=True)
            )
        )
    Console(highlight=False).print(table)


def printable(text: str) -> str:
    """Return the text with control characters shown, so that a job's words cannot drive the terminal.

    >>> printable("one\\x1b[2Jtwo")
    'one\\\\x1b[2Jtwo'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
