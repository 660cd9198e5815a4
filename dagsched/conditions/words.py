"""What conditions are made of, and what they are judged by."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple, Protocol

SHOWN_MAX = 60
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
TRUTH = {"true": True, "false": False, "True": True, "False": False}

Value = str | int | float | bool | list[Any]


class BadCondition(ValueError):
    """A text that is no condition; `offset` and `length` name its part in characters, `code` the rule it breaks."""

    def __init__(self, code: str, message: str, why: str, fix: str, offset: int = 0, length: int = 1) -> None:
        self.code, self.message, self.why, self.fix = code, message, why, fix
        self.offset, self.length = offset, length
        super().__init__(message)


class Use(NamedTuple):
    """A name that a condition asks about: an upstream (`kind` state or output) or a parameter (`kind` param)."""

    kind: str
    name: str
    offset: int
    length: int


class Condition(NamedTuple):
    """A condition that has been checked. `root`: its tree, made of the nodes of the white-list alone."""

    text: str
    root: Any
    uses: tuple[Use, ...]


class Facts(Protocol):
    """What a condition is judged by."""

    @property
    def local(self) -> datetime:
        """The tick on the wall clock of the job's zone."""
        ...

    def state(self, job: str) -> str | None:
        """Return the state of the run of that upstream, None when there is no such run."""
        ...

    def output(self, job: str, name: str) -> str | None:
        """Return that output of the upstream's run, None when it has none."""
        ...

    def param(self, name: str) -> Any:
        """Return the value of that parameter, None when it has none."""
        ...


class Verdict(NamedTuple):
    """Whether a condition holds, and in a few words what it was judged by."""

    holds: bool
    words: str


def short(text: str) -> str:
    """Return the text on one line, cut to SHOWN_MAX."""
    line = "".join(sign if sign.isprintable() else "\ufffd" for sign in text[: SHOWN_MAX + 1])
    return line if len(line) <= SHOWN_MAX else line[: SHOWN_MAX - 3] + "..."
