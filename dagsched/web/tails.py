"""What an attempt wrote, as a page shows it: its end, and the lines that have some words in them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dagsched.api.answers import Turned
from dagsched.api.outputs import open_log
from dagsched.model import Attempt, Run

TAIL_BYTES = 64 << 10
LINE_BYTES_MAX = 4 << 10
LINE_SHOWN_MAX = 200
SEARCHED_BYTES_MAX = 64 << 20
FOUND_MAX = 200
# Colours and the like, and what else a terminal would take for an order.
_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)


@dataclass(frozen=True, slots=True)
class Tail:
    """The end of a log: its text, and the bytes from `first` to before `size` that it was made of."""

    text: str
    first: int
    size: int


@dataclass(frozen=True, slots=True)
class Found:
    """Lines with the words in them, by number; `is_cut`: there may be more, in what was not looked at or kept."""

    lines: list[tuple[int, str]]
    is_cut: bool


def tail_of(home: Path, attempt: Attempt, bytes_max: int = TAIL_BYTES) -> Tail:
    """Return the end of a log, from the beginning of a line where that can be had; raises Turned."""
    return tail_in(open_log(home, attempt), bytes_max)


def tail_in(file: BinaryIO | None, bytes_max: int = TAIL_BYTES) -> Tail:
    """Return the same of a log that is open, and close it."""
    if file is None:
        return Tail("", 0, 0)
    with file:
        size = file.seek(0, os.SEEK_END)
        first = max(0, size - bytes_max)
        file.seek(first)
        data = file.read(size - first)
    if first and (end := data.find(b"\n")) >= 0:
        first, data = first + end + 1, data[end + 1 :]
    return Tail(readable(data), first, first + len(data))


def last_line(home: Path, run: Run) -> str:
    """Return the last line of what a run's newest attempt wrote, "" when there is none: it often names the cause."""
    if not run.attempts or run.started is None:
        return ""
    try:
        # An attempt that has not ended is one whose log stands where its name says: that asks no store.
        text = tail_of(home, Attempt(run.job, run.tick, run.attempts, run.started), LINE_BYTES_MAX).text
    except Turned:
        return ""
    lines = text.rstrip().rsplit("\n", 1)
    return lines[-1].strip()[:LINE_SHOWN_MAX]


def find(home: Path, attempt: Attempt, words: str) -> Found:
    """Return the lines of a log that have these words in them, in any case of letters; raises Turned."""
    return find_in(open_log(home, attempt), words)


def find_in(file: BinaryIO | None, words: str) -> Found:
    """Return the same of a log that is open, and close it."""
    if file is None:
        return Found([], False)
    wanted, found = words.lower(), list[tuple[int, str]]()
    with file:
        file.seek(0)
        for number, line in _lines(file):
            text = readable(line)
            if wanted in text.lower():
                found.append((number, text.rstrip("\r\n")))
                if len(found) == FOUND_MAX:
                    return Found(found, True)
        return Found(found, file.tell() >= SEARCHED_BYTES_MAX)


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield numbered lines; of one without end, pieces with the same number."""
    number = 1
    while file.tell() < SEARCHED_BYTES_MAX and (line := file.readline(LINE_BYTES_MAX)):
        yield number, line
        number += line.endswith(b"\n")


def readable(data: bytes) -> str:
    """Return text without what a terminal would take for an order."""
    return _ESCAPES.sub("", data.decode(errors="replace"))
