"""What forms ask for: `POST do/VERB`, with the fields of the verb's body, and `job` or `run` once for each one meant.

The answer goes back to the page the form stood on, which says how it went: one sentence in a cookie that the next page
takes away again.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from dagsched.api.answers import Turned
from dagsched.api.app import judge
from dagsched.api.changes import route_of
from dagsched.api.desk import Caller, Desk
from dagsched.api.table import Route, Visit
from dagsched.api.verbs import VERBS, Verb
from dagsched.errors import DagschedError, UsageError
from dagsched.handlers.params import typed
from dagsched.model import format_instant
from dagsched.views.times import parse_moment
from dagsched.web import forms
from dagsched.web.forms import Form
from dagsched.web.render import part

SAID_COOKIE = "dagsched_said"
SAID_CHARS_MAX = 1200
ASKED_FOR = ("trigger", "pause", "resume", "cancel", "rerun", "ack", "backfill", "backfill_cancel", "reload", "emit")
VERB_OF: Mapping[str, tuple[Verb, Route]] = {
    verb.name: (verb, route_of(verb)) for verb in VERBS if verb.name in ASKED_FOR
}
DONE = {
    "trigger": "triggered", "pause": "paused", "resume": "resumed", "cancel": "asked to stop", "rerun": "runs again",
    "ack": "acknowledged", "backfill": "backfill begun", "backfill_cancel": "backfill ended",
    "reload": "job files read", "emit": "event told",
}  # fmt: skip


async def act(desk: Desk, request: Request, caller: Caller) -> Response:
    """Do what a form asks for; raises Turned for a form that is not whole or whose caller may not."""
    if request.path_params["verb"] not in VERB_OF:
        raise Turned(404, "not-found", "there is no such verb for a form")
    verb, route = VERB_OF[request.path_params["verb"]]
    judge(desk, caller, verb.role, request)
    form = await forms.read_form(request, caller, 1 << 18)
    back = forms.place(forms.field(form, "back"))
    body = body_of(verb, form)
    names = [name for name in ("job", "run", "event") if f"{{{name}}}" in verb.path]
    targets = list(dict.fromkeys(form.get(names[0], []))) if names else [""]
    if not targets:
        return went(request, back, "nothing was chosen", is_bad=True)
    good, bad, answer = [], [], dict[str, Any]()
    for target in targets:
        path = {names[0]: target} if names else {}
        try:
            _check(route, body)
            fitting = await _fitting(desk, target, body) if verb.name in ("trigger", "backfill") else body
            done = await route.do(Visit(desk, request, caller, path, {}, fitting))
            answer = json.loads(bytes(done.body))
            good.append(target)
        except (Turned, DagschedError) as error:
            bad.append(f"{target}: {error}" if target else str(error))
    if len(targets) == 1 and good and form.get("then") == ["run"] and answer.get("runs"):
        back = f"runs/{part(answer['runs'][0])}"
    return went(request, back, _words(verb.name, names[0] if names else "", good, bad, answer), is_bad=bool(bad))


def body_of(verb: Verb, form: Form) -> dict[str, Any]:
    """Return the body of a verb from the fields of a form; `param.NAME` goes into `params`, as text."""
    found: dict[str, Any] = {}
    for name, schema in verb.fields.items():
        given = forms.field(form, name).strip()
        if schema.get("type") == "object":
            inner = _params(form, f"{name.removesuffix('s')}.")
            if inner:
                found[name] = inner
        elif not given:
            continue
        elif schema.get("type") == "boolean":
            found[name] = given in ("true", "on", "1")
        elif schema.get("type") == "integer":
            if not given.isascii() or not given.isdigit():
                raise Turned(400, "malformed", f"{name!r} is a whole number, not {given[:100]!r}")
            found[name] = int(given)
        elif schema.get("format") == "date-time":
            try:
                found[name] = format_instant(parse_moment(given))
            except UsageError as error:
                raise Turned(400, "malformed", f"{name!r}: {error}") from None
        else:
            found[name] = given
    return found


def _params(form: Form, prefix: str) -> dict[str, Any]:
    given = {name.removeprefix(prefix): values[-1] for name, values in form.items() if name.startswith(prefix)}
    return {name: value for name, value in given.items() if value != ""}


async def _fitting(desk: Desk, id: str, body: dict[str, Any]) -> dict[str, Any]:
    """Return the body with its parameters of the types that the job declares."""
    job = (await desk.config()).jobs.get(id)
    if job is None or "params" not in body:
        return body
    declared, given = job.params, body["params"].items()
    return {**body, "params": {name: typed(text, declared[name]) if name in declared else text for name, text in given}}


def _check(route: Route, body: Mapping[str, Any]) -> None:
    try:
        Draft202012Validator(dict(route.body or {})).validate(body)
    except ValidationError as error:
        place = "/".join(str(part) for part in error.instance_path)
        raise Turned(400, "malformed", f"{place}: {error.message[:300]}" if place else error.message[:300]) from None


def _words(verb: str, noun: str, good: list[str], bad: list[str], answer: Mapping[str, Any]) -> str:
    parts = []
    if good:
        what = good[0] if len(good) == 1 else f"{len(good)} {noun}s"
        parts.append(f"{what}: {DONE[verb]}" if what else DONE[verb])
        if len(good) == 1:
            parts += [str(words) for words in answer.get("blocked", [])]
    return "; ".join([*parts, *bad])


# ---------------------------------------------------------------- how it went


def went(request: Request, back: str, words: str, *, is_bad: bool) -> Response:
    """Return to a page, which will say these words."""
    response = Response(b"", 303, {"Location": "../" + back})
    text = json.dumps([int(is_bad), words if len(words) <= SAID_CHARS_MAX else words[:SAID_CHARS_MAX] + "…"])
    response.set_cookie(
        SAID_COOKIE,
        base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
        max_age=60,
        path="/",
        httponly=True,
        samesite="strict",
        secure=forms.is_secure(request),
    )
    return response


def said(request: Request) -> Mapping[str, Any] | None:
    """Return how the last form went, `words` and `is_bad`, None when nothing is to be said."""
    given = request.cookies.get(SAID_COOKIE, "")
    try:
        is_bad, words = json.loads(base64.urlsafe_b64decode(given.encode() + b"=" * (-len(given) % 4)))
        return {"is_bad": bool(is_bad), "words": str(words)[: SAID_CHARS_MAX + 1]}
    except (ValueError, TypeError):
        return None


def forget_said(response: Response) -> None:
    """Take the cookie away: it is said once."""
    response.delete_cookie(SAID_COOKIE, path="/", httponly=True, samesite="strict")
