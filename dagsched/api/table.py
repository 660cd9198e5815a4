"""What a route is: the one description from which requests are read, callers are judged and OpenAPI is written."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from starlette.requests import HTTPConnection
from starlette.responses import Response

from dagsched.api.access import Role
from dagsched.api.answers import Turned
from dagsched.api.desk import Caller, Desk
from dagsched.closest import get_close_matches
from dagsched.errors import UsageError
from dagsched.model import RunState
from dagsched.views.times import parse_since

Kind = Literal["text", "count", "flag", "instant", "state", "choice"]
_DIGITS = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter after the question mark. `many`: it may be repeated. `most`: the greatest count."""

    name: str
    kind: Kind
    words: str
    default: Any = None
    many: bool = False
    least: int = 0
    most: int = 10**15
    choices: tuple[str, ...] = ()

    def read(self, texts: Sequence[str], now: datetime) -> Any:
        """Return the value; raises Turned."""
        if not texts:
            return [] if self.many else self.default
        if len(texts) > 1 and not self.many:
            raise Turned(400, "malformed", f"{self.name!r} may be given once")
        values = [self._one(text, now) for text in texts]
        return values if self.many else values[0]

    def _one(self, text: str, now: datetime) -> Any:
        if self.kind == "count":
            if not _DIGITS.fullmatch(text) or not self.least <= int(text) <= self.most:
                raise self._wrong(text, f"a whole number from {self.least} to {self.most}")
            return int(text)
        if self.kind == "flag":
            if text not in ("true", "false"):
                raise self._wrong(text, "true or false")
            return text == "true"
        if self.kind == "choice":
            if text not in self.choices:
                raise self._wrong(text, "one of " + ", ".join(self.choices))
            return text
        if self.kind == "state":
            if text not in list(RunState):
                raise self._wrong(text, "one of " + ", ".join(RunState))
            return RunState(text)
        if self.kind == "instant":
            try:
                return parse_since(text, now)
            except (UsageError, OverflowError) as error:
                raise Turned(400, "malformed", f"{self.name!r}: {error}") from None
        return text

    def _wrong(self, text: str, wanted: str) -> Turned:
        return Turned(400, "malformed", f"{self.name!r} is {wanted}, not {text[:100]!r}")


@dataclass(slots=True)
class Visit:
    """One request on its way: what is asked, by whom, of which desk."""

    desk: Desk
    request: HTTPConnection
    caller: Caller
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any = None


Do = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and path, who may use it (None: everybody), and what is done.

    `path` holds names in braces. `body`: JSON Schema of the JSON body, None when there is none. `text`: the body is
    text that `do` reads itself. `answers`: status → (words, JSON Schema or media type). `body_bytes_max`: how long a
    body may be.
    """

    method: str
    path: str
    role: Role | None
    do: Do
    words: str
    query: Sequence[Query] = ()
    body: Mapping[str, Any] | None = None
    text: bool = False
    answers: Mapping[int, tuple[str, Any]] = field(default_factory=dict)
    body_bytes_max: int = 1 << 20
    more: str = ""

    def read_query(self, request: HTTPConnection, now: datetime) -> dict[str, Any]:
        """Return every parameter of the query; raises Turned for one that is wrong or not known."""
        known = {each.name: each for each in self.query}
        for name in request.query_params:
            if name not in known:
                near = get_close_matches(name, known, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise Turned(400, "malformed", f"unknown parameter {name[:100]!r}{hint}")
        return {name: each.read(request.query_params.getlist(name), now) for name, each in known.items()}
