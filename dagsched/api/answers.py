"""Answers: JSON, and errors as RFC 9457 problem details."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from dagsched.api.client import Broken
from dagsched.errors import (
    ConfigInvalid,
    DagschedError,
    NoDaemon,
    Refused,
    StoreError,
    StoreUnavailable,
    Unknown,
    UsageError,
)


class Turned(Exception):
    """A request that ends here: `status`, the problem's `kind` (a word of its URN), and what went wrong in words."""

    def __init__(
        self, status: int, kind: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail, self.headers, self.more = status, kind, detail, headers, more


TITLES = {
    "malformed": "The request cannot be understood",
    "unauthenticated": "Who is asking is not known",
    "forbidden": "The caller may not do this",
    "foreign-host": "The name of this host is not one it answers to",
    "foreign-origin": "Pages of another origin may not ask",
    "not-found": "There is nothing here",
    "unknown": "There is no such job or run",
    "method": "This method is not served here",
    "refused": "The daemon refused",
    "too-large": "The request is too large",
    "too-slow": "The request took too long to arrive",
    "media-type": "The body is of the wrong kind",
    "range": "The range lies outside",
    "invalid-config": "The job file has errors",
    "unavailable": "The daemon or its state is not available",
    "too-many": "Too many are served already",
    "defect": "The server failed",
}
"""What a problem's kind means, in one line; the kinds are part of the interface."""


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return data as JSON."""
    body = json.dumps(data, separators=(",", ":"), allow_nan=False).encode()
    return Response(body, status, dict(headers or {}), "application/json")


def problem(turned: Turned) -> Response:
    """Return the problem document of a request that was turned away."""
    document = {
        "type": f"urn:dagsched:problem:{turned.kind}",
        "title": TITLES[turned.kind],
        "status": turned.status,
        "detail": turned.detail,
        **turned.more,
    }
    body = json.dumps(document, separators=(",", ":"), default=str).encode()
    return Response(body, turned.status, dict(turned.headers or {}), "application/problem+json")


def turned(error: DagschedError) -> Turned:
    """Return how an error of the program is answered."""
    if isinstance(error, Unknown):
        return Turned(404, "unknown", str(error), of=error.kind, name=error.name, nearest=list(error.nearest))
    if isinstance(error, ConfigInvalid):
        return Turned(422, "invalid-config", str(error), problems=[each._asdict() for each in error.problems])
    if isinstance(error, UsageError):
        return Turned(400, "malformed", str(error))
    if isinstance(error, Broken):
        return Turned(500, "defect", str(error))
    if isinstance(error, Refused):
        return Turned(409, "refused", str(error))
    if isinstance(error, NoDaemon | StoreUnavailable):
        return Turned(503, "unavailable", str(error), {"Retry-After": "1"})
    if isinstance(error, StoreError):
        return Turned(503, "unavailable", str(error))
    return Turned(500, "defect", str(error))
