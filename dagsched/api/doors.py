"""How a browser comes in and goes: a one-time link becomes a session in a cookie that no script can read."""

from __future__ import annotations

from starlette.responses import Response

from dagsched.api.access import SESSION_LIFE
from dagsched.api.answers import Turned, answer
from dagsched.api.table import Visit

COOKIE = "dagsched_session"


async def log_in(visit: Visit) -> Response:
    """Take a link of `dagsched open`; go on to the front page with a session."""
    if visit.request.scope["method"] == "HEAD":
        return Response(b"", 200)  # whoever only looks at a link does not use it up
    found = visit.desk.access.redeem(visit.query["code"] or "", visit.desk.clock.now())
    if found is None:
        raise Turned(401, "unauthenticated", "this link was used or is too old; `dagsched open` makes another")
    entry, secret = found
    response = Response(b"", 303, {"Location": "./"})
    response.set_cookie(
        COOKIE,
        secret,
        max_age=int(SESSION_LIFE.total_seconds()),
        path="/",
        httponly=True,
        samesite="strict",
        # Told by a proxy that speaks TLS to the browser; who lies about it only keeps their own cookie back.
        secure=visit.request.headers.get("x-forwarded-proto", "") == "https",
    )
    visit.desk.note(f"session {entry.name or entry.id}: logged in as {entry.role.word}")
    return response


async def log_out(visit: Visit) -> Response:
    """End the session that asks."""
    if visit.caller.via == "session":
        visit.desk.access.revoke(visit.caller.id, visit.desk.clock.now())
    response = answer({"ended": visit.caller.via == "session"})
    response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
    return response


async def who(visit: Visit) -> Response:
    """Return who asks and what they may do."""
    caller = visit.caller
    role = caller.role.word if caller.role else None
    return answer({"via": caller.via, "role": role, "id": caller.id, "name": caller.name})
