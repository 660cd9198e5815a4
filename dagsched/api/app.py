"""The application: every route of the table, behind the guard, with callers judged by their role."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jsonschema_rs import Draft202012Validator, ValidationError
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from dagsched.api.access import Role
from dagsched.api.answers import Turned, problem, turned
from dagsched.api.desk import Caller, Desk
from dagsched.api.doors import COOKIE
from dagsched.api.guard import Guard
from dagsched.api.routes import ROUTES
from dagsched.api.streams import serve_socket
from dagsched.api.table import Route, Visit
from dagsched.api.verbs import API
from dagsched.errors import DagschedError

log = logging.getLogger("dagsched.api")

SAFE = frozenset({"GET", "HEAD"})


class App(Guard):
    """The whole application of one desk."""


TurnAway = Callable[[Request, Turned], Awaitable[Response]]


async def as_problem(request: Request, error: Turned) -> Response:
    """Answer what cannot be served as the API does."""
    return problem(error)


def make_app(desk: Desk, pages: Sequence[StarletteRoute] = (), turn_away: TurnAway = as_problem) -> App:
    """Return the ASGI application that serves a desk: `pages` first, then the table.

    `turn_away` answers what is not served at all.
    """
    served: list[Any] = [*pages]
    paged = {page.path for page in pages}
    served += [
        StarletteRoute(route.path, _endpoint(desk, route), methods=[route.method], name=f"{route.method} {route.path}")
        for route in ROUTES
        if route.path not in paged
    ]
    served.append(WebSocketRoute(f"{API}/events/ws", _socket(desk)))
    handlers: Any = {Exception: _failed(turn_away), HTTPException: _not_served(turn_away)}
    app = Starlette(routes=_joined(served), exception_handlers=handlers)
    app.router.redirect_slashes = False
    return App(app, desk)


def _joined(routes: list[Any]) -> list[Any]:
    """Return one route per path: Starlette answers 405 for the first path that fits, whatever comes after it."""
    by_path: dict[str, list[Any]] = {}
    for route in routes:
        by_path.setdefault(route.path, []).append(route)
    return [each[0] if len(each) == 1 else _Several(each) for each in by_path.values()]


class _Several(StarletteRoute):
    """Several methods on one path."""

    def __init__(self, routes: list[StarletteRoute]) -> None:
        by_method = {method: route for route in routes for method in route.methods or ()}

        async def serve(request: Request) -> Response:
            endpoint: Callable[[Request], Awaitable[Response]] = by_method[request.method].endpoint
            return await endpoint(request)

        super().__init__(routes[0].path, serve, methods=list(by_method))


def _endpoint(desk: Desk, route: Route) -> Callable[[Request], Awaitable[Response]]:
    check = Draft202012Validator(dict(route.body)) if route.body is not None else None

    async def serve(request: Request) -> Response:
        caller = Caller(None, "nobody")
        try:
            caller = caller_of(desk, request)
            judge(desk, caller, route.role, request)
            visit = Visit(desk, request, caller, request.path_params, route.read_query(request, desk.clock.now()))
            if check is not None:
                visit.body = await _read_body(request, route, check)
            elif route.text:
                visit.body = await _read_text(request, route)
            return await route.do(visit)
        except Turned as error:
            return _turn_away(desk, request, caller, error)
        except DagschedError as error:
            return problem(turned(error))
        except ClientDisconnect:
            return problem(Turned(400, "malformed", "the body ended early"))  # which nobody reads any more

    return serve


def _turn_away(desk: Desk, request: HTTPConnection, caller: Caller, error: Turned) -> Response:
    if error.status in (401, 403, 429):
        desk.refused(caller, f"{request.scope['method']} {request.url.path[:200]}", str(error))
    return problem(error)


def _socket(desk: Desk) -> Callable[[WebSocket], Awaitable[None]]:
    async def serve(socket: WebSocket) -> None:
        caller = Caller(None, "nobody")
        try:
            caller = caller_of(desk, socket)
            judge(desk, caller, Role.VIEWER, socket)
            await serve_socket(desk, caller, socket)
        except Turned as error:
            socket.scope.setdefault("method", "GET")
            await socket.send_denial_response(_turn_away(desk, socket, caller, error))

    return serve


# ---------------------------------------------------------------- who asks, and may they


def caller_of(desk: Desk, request: HTTPConnection) -> Caller:
    """Return who asks; raises Turned for a token or session that is not good (any more)."""
    if request.scope["state"].get("is_local"):
        return Caller(Role.ADMIN, "socket")
    if not desk.has_auth:
        return Caller(Role.ADMIN, "open")
    now = desk.clock.now()
    given = request.headers.getlist("authorization")
    if given:
        scheme, _, secret = given[0].partition(" ")
        found = desk.access.find(secret.strip(), "token", now) if scheme.lower() == "bearer" else None
        if found is None or len(given) > 1:
            raise _nobody("this token is not known, has expired or was revoked")
        return Caller(found.role, "token", found.id, found.name)
    if cookie := request.cookies.get(COOKIE):
        found = desk.access.find(cookie, "session", now)
        if found is None:
            raise _nobody("the session is over; `dagsched open` begins another")
        return Caller(found.role, "session", found.id, found.name)
    return Caller(None, "nobody")


def judge(desk: Desk, caller: Caller, role: Role | None, request: HTTPConnection) -> None:
    """Raise Turned unless the caller may do this."""
    if role is None:
        return
    if caller.role is None:
        raise _nobody("send a token: `Authorization: Bearer …` (`dagsched token create`)")
    if caller.role < role:
        raise Turned(403, "forbidden", f"this takes the role {role.word}; the caller has {caller.role.word}")
    is_change = request.scope["type"] == "websocket" or request.scope["method"] not in SAFE
    if caller.via == "session" and is_change and not is_from_own_page(request.headers):
        # A cookie goes along with whatever a page makes the browser send; a token does not.
        raise Turned(403, "foreign-origin", "a session changes things only from the server's own pages")


def is_from_own_page(headers: Headers) -> bool:
    """Whether a browser says that this server's own page asks; the guard has compared Origin and Host."""
    site = headers.get("sec-fetch-site")
    return "origin" in headers if site is None else site in ("same-origin", "none")


def _nobody(words: str) -> Turned:
    return Turned(401, "unauthenticated", words, {"WWW-Authenticate": 'Bearer realm="dagsched"'})


# ---------------------------------------------------------------- bodies


async def _read_text(request: Request, route: Route) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > route.body_bytes_max:
        raise _too_large(route)
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > route.body_bytes_max:
            raise _too_large(route)
    return bytes(found)


def _too_large(route: Route) -> Turned:
    # What is not read stays in the line, so the connection cannot be used again.
    return Turned(413, "too-large", f"at most {route.body_bytes_max} bytes", {"Connection": "close"})


async def _read_body(request: Request, route: Route, check: Draft202012Validator) -> Any:
    data = await _read_text(request, route)
    if not data:
        value: Any = {}
    else:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Turned(415, "media-type", "send a body as application/json")
        try:
            value = json.loads(data, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Turned(400, "malformed", f"the body is no JSON: {error}") from None
    try:
        check.validate(value)
    except ValidationError as error:
        place = "/".join(str(part) for part in error.instance_path)
        raise Turned(400, "malformed", f"the body{' at ' + place if place else ''}: {error.message[:500]}") from None
    return value


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


# ---------------------------------------------------------------- what went wrong


def _not_served(turn_away: TurnAway) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        if error.status_code == 405:
            return await turn_away(
                request, Turned(405, "method", f"{request.method} is not served here", error.headers)
            )
        words = f"there is nothing at {request.url.path[:200]}"
        return await turn_away(request, Turned(error.status_code, "not-found", words))

    return answer


def _failed(turn_away: TurnAway) -> Callable[[Request, Exception], Awaitable[Response]]:
    async def answer(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        told = Turned(500, "defect", "the server failed at this; the daemon's log says more")
        try:
            return await turn_away(request, told)
        except Exception:  # to show the error is what failed
            log.exception("nor could that be shown")
            return problem(told)

    return answer
