"""What can be changed: each verb of `control.py` is one line of this table, whatever way it is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.responses import Response

from dagsched import registered
from dagsched.api.access import Role
from dagsched.api.answers import Turned, answer
from dagsched.api.reads import run_of
from dagsched.api.table import Do, Route, Visit
from dagsched.errors import Refused
from dagsched.views.names import known_job

API = "/api/v1"
KEY_CHARS_MAX = 200

FLAG: Mapping[str, Any] = {"type": "boolean", "default": False}
INSTANT: Mapping[str, Any] = {"type": "string", "format": "date-time", "minLength": 20, "maxLength": 40}
PROBLEMS: Mapping[str, Any] = {"type": "array", "items": {"type": "object"}}


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb as a POST route.

    `path` is below /api/v1; a name in its braces goes into the body of the verb. `fields`: what else the body may
    hold, JSON Schema by name. `required`: which of them must be there. `keyed`: whether `Idempotency-Key` is heeded.
    """

    name: str
    path: str
    role: Role
    words: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    keyed: bool = False


VERBS = (
    Verb(
        "trigger",
        "/jobs/{job}/trigger",
        Role.OPERATOR,
        "Run a job now; what keeps it from starting is in `blocked`.",
        {"params": {"type": "object"}, "with_upstream": FLAG, "only": FLAG},
        keyed=True,
    ),
    Verb("pause", "/jobs/{job}/pause", Role.OPERATOR, "Let a job's ticks pass until it is resumed."),
    Verb("resume", "/jobs/{job}/resume", Role.OPERATOR, "End a pause."),
    Verb("cancel", "/runs/{run}/cancel", Role.OPERATOR, "Stop a run for good."),
    Verb("rerun", "/runs/{run}/rerun", Role.OPERATOR, "Run an ended run again.", {"downstream": FLAG}),
    Verb("ack", "/runs/{run}/ack", Role.OPERATOR, "Acknowledge a failed run."),
    Verb("reload", "/reload", Role.OPERATOR, "Have the job files read again now."),
    Verb(
        "prune",
        "/prune",
        Role.ADMIN,
        "Delete runs that ended before an instant.",
        {"before": INSTANT},
        required=("before",),
    ),
    Verb("stop", "/stop", Role.ADMIN, "Stop the daemon.", {"handover": FLAG}),
)


def route_of(verb: Verb) -> Route:
    """Return the route by which a verb is asked for over HTTP."""
    body = {
        "type": "object",
        "properties": dict(verb.fields),
        "required": list(verb.required),
        "additionalProperties": False,
    }
    answers = {200: ("What the daemon answered, once it is durable.", {"type": "object"})}
    more = "Idempotency-Key" if verb.keyed else ""
    return Route("POST", API + verb.path, verb.role, _doing(verb), verb.words, body=body, answers=answers, more=more)


def _doing(verb: Verb) -> Do:
    async def do(visit: Visit) -> Response:
        body = {**visit.body, **visit.path}
        # Asked here as well, because a name may be wrong in ways that the verb would call something else.
        if "job" in body:
            known_job(body["job"], await visit.desk.known_jobs())
        if "run" in body:
            body["run"] = (await run_of(visit.desk.store, body["run"])).name
        if verb.keyed and (key := _key(visit)):
            body["key"] = key
        return answer(await visit.desk.ask(verb.name, body, visit.caller))

    return do


def _key(visit: Visit) -> str | None:
    given = visit.request.headers.getlist("idempotency-key")
    if not given:
        return None
    if len(given) > 1 or not 1 <= len(given[0]) <= KEY_CHARS_MAX or not given[0].isprintable():
        raise Turned(400, "malformed", f"Idempotency-Key is one word of at most {KEY_CHARS_MAX} printable characters")
    return given[0]


# ---------------------------------------------------------------- jobs that come and go


async def put_job(visit: Visit) -> Response:
    """Register a job from its text."""
    kind = visit.request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/json", "application/yaml", "text/yaml", "application/x-yaml"):
        raise Turned(415, "media-type", "send the job as application/yaml or application/json")
    try:
        text = visit.body.decode()
    except UnicodeDecodeError as error:
        raise Turned(400, "malformed", f"the body is no UTF-8 at byte {error.start}") from None
    told = await visit.desk.ask(
        "register",
        {"job": visit.path["job"], "text": text, "may_command": visit.desk.job_commands},
        visit.caller,
    )
    return answer(told, 201 if told["created"] else 200)


async def delete_job(visit: Visit) -> Response:
    """Remove a registered job."""
    return answer(await visit.desk.ask("unregister", {"job": visit.path["job"]}, visit.caller))


async def job_text(visit: Visit) -> Response:
    """Return the job file of a registered job."""
    id, config = visit.path["job"], await visit.desk.config()
    known_job(id, config.jobs)
    path = registered.path_of(visit.desk.home, id)
    text = config.files.get(str(path))
    if text is None:
        raise Refused(f"{id} was not registered; it stands in {config.jobs[id].position}")
    return Response(text.encode(), 200, media_type="application/yaml")


