"""What can be changed: the routes of the verbs, and jobs that come and go."""

from __future__ import annotations

from starlette.responses import Response

from dagsched import registered
from dagsched.api.answers import Turned, answer
from dagsched.api.reads import run_of
from dagsched.api.table import Do, Route, Visit
from dagsched.api.verbs import API, Verb
from dagsched.errors import Refused
from dagsched.views.names import known_job

KEY_CHARS_MAX = 200


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
    file = registered.found(config.files, id)
    if file is None:
        known_job(id, config.jobs)
        raise Refused(f"{id} was not registered; it stands in {config.jobs[id].position}")
    return Response(config.files[file].encode(), 200, media_type="application/yaml")
