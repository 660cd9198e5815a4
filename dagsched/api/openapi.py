"""The OpenAPI 3.1 document, written from the table of routes and the one schema of job files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

import dagsched
from dagsched.api.answers import TITLES, answer
from dagsched.config import schema
from dagsched.model import RunState

if TYPE_CHECKING:
    from dagsched.api.table import Query, Route, Visit

_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TURNED = {
    400: "The request is wrong.",
    401: "No token, or one that is not good.",
    403: "The role is too low, or a page of another origin asks.",
    404: "There is no such job or run.",
    409: "The daemon refused.",
    413: "The body is too large.",
    415: "The body is of the wrong kind.",
    421: "The Host is not one of this server's.",
    422: "The job has errors, each with its place.",
    503: "The daemon or its state is not available.",
}
_PATTERNS = {"event": "^[A-Za-z0-9_][A-Za-z0-9_.:-]*$", "job": "^[A-Za-z0-9_][A-Za-z0-9_.-]*$", "run": "^job:[^/]+$"}


async def document(visit: Visit) -> Response:
    """Return the document as JSON."""
    return answer(written())


@lru_cache(maxsize=1)
def written() -> Mapping[str, Any]:
    """Return the OpenAPI document of every route."""
    from dagsched.api.routes import ROUTES

    paths: dict[str, dict[str, Any]] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dagsched",
            "version": dagsched.__version__,
            "summary": "See and steer a daemon: jobs, runs, logs, events.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer", "description": "Of `dagsched token create`."},
                "session": {"type": "apiKey", "in": "cookie", "name": "dagsched_session"},
            },
            "schemas": {"Problem": _problem_schema(), **_job_schemas()},
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.words,
        "parameters": [
            *(_in_path(name) for name in re.findall(r"{(\w+)}", route.path)),
            *(_in_query(query) for query in route.query),
        ],
        "responses": _responses(route),
        "security": [{"token": []}, {"session": []}] if route.role else [],
    }
    if route.role:
        found["description"] = f"Takes the role {route.role.word}."
    if route.more == "Idempotency-Key":
        found["parameters"].append(_KEY)
    if route.body is not None:
        found["requestBody"] = {"content": {"application/json": {"schema": dict(route.body)}}}
    elif route.more == "job":
        job = {"$ref": "#/components/schemas/job"}
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": job}, "application/yaml": {"schema": job}},
        }
    elif route.text:
        found["requestBody"] = {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}
    return found


_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key gets the same answer, and what is asked for is done once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[ -~]+$"},
}


def _operation_id(route: Route) -> str:
    words = re.findall(r"\w+", route.path.removeprefix("/api/v1"))
    return "_".join([route.method.lower(), *words])


def _in_path(name: str) -> dict[str, Any]:
    text = {"type": "string", "minLength": 1, "pattern": _PATTERNS[name]}
    return {"name": name, "in": "path", "required": True, "schema": text}


def _in_query(query: Query) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "text": {"type": "string"},
        "count": {"type": "integer", "minimum": query.least, "maximum": query.most},
        "flag": {"type": "boolean"},
        "instant": {"type": "string", "description": "RFC 3339, or a length back from now: 2h, 7d."},
        "choice": {"type": "string", "enum": list(query.choices)},
        "state": {"type": "string", "enum": [str(state) for state in RunState]},
    }
    value = kinds[query.kind]
    if query.default is not None:
        value = {**value, "default": query.default}
    if query.many:
        value = {"type": "array", "items": value}
    return {"name": query.name, "in": "query", "description": query.words, "schema": value}


def _responses(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, (words, what) in route.answers.items():
        content = None
        if what == "problem":
            content = _PROBLEM
        elif isinstance(what, str):
            content = {what: {}}
        elif what is not None:
            content = {"application/json": {"schema": dict(what)}}
        found[str(status)] = {"description": words, **({"content": content} if content else {})}
    for status, words in _TURNED.items():
        found.setdefault(str(status), {"description": words, "content": _PROBLEM})
    return found


def _problem_schema() -> dict[str, Any]:
    return {
        "description": "RFC 9457.",
        "type": "object",
        "required": ["type", "title", "status", "detail"],
        "properties": {
            "type": {"type": "string", "enum": [f"urn:dagsched:problem:{kind}" for kind in TITLES]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "nearest": {"type": "array", "items": {"type": "string"}, "description": "Names that look like it."},
            "problems": {"type": "array", "items": {"type": "object"}, "description": "What is wrong, and where."},
        },
    }


def _job_schemas() -> dict[str, Any]:
    """Return the definitions of the job file's schema, under their own names."""
    return {name: _moved(definition) for name, definition in schema()["$defs"].items()}


def _moved(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: part.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(part)
            for key, part in value.items()
        }
    return [_moved(part) for part in value] if isinstance(value, list) else value
