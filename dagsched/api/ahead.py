"""What would be: the plan of an edit and the coming days, worked out beside the server from texts that are sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from dagsched.api.answers import Turned, answer
from dagsched.api.table import Visit
from dagsched.views import aside
from dagsched.views.planning import in_place_of, in_place_of_all, set_in_place_of
from dagsched.views.simulating import DAYS

DAYS_MAX = 366
BODY_BYTES_MAX = 4 << 20

_TEXTS: Mapping[str, Any] = {
    "text": {"type": "string", "description": "One job file."},
    "in_place_of": {
        "type": "string",
        "description": "Which file in force `text` takes the place of, by its path or name; without it, of all.",
    },
    "files": {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": {"type": "string"},
        "description": "All job files, path to text.",
    },
}
_WORDS: Mapping[str, Any] = {"type": "array", "maxItems": 10_000, "items": {"type": "string", "maxLength": 1000}}

PLAN: Mapping[str, Any] = {
    "type": "object",
    "properties": {**_TEXTS, "days": {"type": "integer", "minimum": 0, "maximum": DAYS_MAX, "default": DAYS}},
    "additionalProperties": False,
}
SIMULATE: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        **_TEXTS,
        "days": {"type": "integer", "minimum": 1, "maximum": DAYS_MAX, "default": DAYS},
        "seed": {"type": "integer", "minimum": -(2**53), "maximum": 2**53, "default": 0},
        "from": {"type": "string", "maxLength": 40},
        "duration": _WORDS,
        "fail_rate": _WORDS,
        "slots": {"type": "integer", "minimum": 1, "maximum": 1_000_000},
    },
    "additionalProperties": False,
}


async def plan(visit: Visit) -> Response:
    """As `dagsched plan NEW --json`, and in words."""
    texts = await _texts(visit)
    return answer(await aside.planned(visit.desk.home, texts, visit.body.get("days", DAYS)))


async def simulate(visit: Visit) -> Response:
    """As `dagsched simulate --json`."""
    texts = await _texts(visit)
    wish = {key: visit.body[key] for key in ("days", "seed", "duration", "fail_rate", "slots") if key in visit.body}
    return answer(await aside.simulated(visit.desk.home, texts, {**wish, "start": visit.body.get("from")}))


async def _texts(visit: Visit) -> Mapping[str, str]:
    """Return what would be loaded; without a text, what is in force."""
    body, home = visit.body, visit.desk.home
    version, _ = await visit.desk.force()
    files = dict(version.files) if version is not None else {}
    if "files" in body:
        if "text" in body or "in_place_of" in body:
            raise Turned(400, "malformed", "send 'files', or 'text' with 'in_place_of', but not both")
        return set_in_place_of(home, files, body["files"])
    if "text" not in body:
        return files
    if "in_place_of" in body:
        return in_place_of(home, files, body["in_place_of"], body["text"])
    return in_place_of_all(home, files, body["text"])
