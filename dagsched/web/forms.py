"""Forms: how they are sealed, so that no other page can send one, and read.

The seal is made from a secret in a cookie that no script can read and no other site's page can have sent along: the
session's own, or, for whoever comes in without a session, one that is there for this alone. What a browser says of
where a form comes from (`Origin`, `Sec-Fetch-Site`) is asked for as well.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from dagsched.api.answers import Turned
from dagsched.api.app import is_from_own_page
from dagsched.api.desk import Caller
from dagsched.api.doors import COOKIE

FORM_COOKIE = "dagsched_form"
FIELDS_MAX = 5000
Form = dict[str, list[str]]
_SECRET = re.compile(r"[0-9a-f]{64}")
# A place on this server, as seen from its front page: no scheme, no host, no way out.
_PLACE = re.compile(r"(?![/\\])[A-Za-z0-9_.~%:@!$'()*+,;=-]*(/[A-Za-z0-9_.~%:@!$'()*+,;=-]+)*(\?[^\s\\#\"<>]*)?")


def secret_of(request: Request, caller: Caller) -> tuple[str, bool]:
    """Return what this caller's forms are sealed with, and whether it is new and has to be given as a cookie."""
    if caller.via == "session":
        return request.cookies[COOKIE], False
    given = request.cookies.get(FORM_COOKIE, "")
    return (given, False) if _SECRET.fullmatch(given) else (secrets.token_hex(32), True)


def seal_of(secret: str) -> str:
    """Return the seal of forms; it does not give the secret away."""
    return hmac.new(secret.encode(), b"dagsched form", hashlib.sha256).hexdigest()


def give_secret(response: Response, secret: str, request: Request) -> None:
    """Set the cookie of a caller who has no session."""
    response.set_cookie(FORM_COOKIE, secret, path="/", httponly=True, samesite="strict", secure=is_secure(request))


def is_secure(request: Request) -> bool:
    """Whether a proxy says that it speaks TLS to the browser."""
    return request.headers.get("x-forwarded-proto", "") == "https"


async def read_form(request: Request, caller: Caller, bytes_max: int) -> Form:
    """Return the fields of a form that was made here for this caller; raises Turned for any other."""
    if not is_from_own_page(request.headers):
        raise Turned(403, "foreign-origin", "forms are taken from the server's own pages only")
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Turned(415, "media-type", "a form is sent as application/x-www-form-urlencoded")
    found = bytearray()
    async for chunk in request.stream():
        found += chunk
        if len(found) > bytes_max:
            raise Turned(413, "too-large", f"at most {bytes_max} bytes", {"Connection": "close"})
    try:
        text = found.decode("ascii")
        form = parse_qs(text, keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict")
    except ValueError as error:
        raise Turned(400, "malformed", f"the form cannot be read: {error}") from None
    seals = form.pop("seal", [])
    if len(seals) != 1 or not hmac.compare_digest(seals[0].encode(), seal_of(secret_of(request, caller)[0]).encode()):
        raise Turned(403, "foreign-origin", "the page that this form stood on is too old; load it again and repeat")
    return form


def field(form: Form, name: str, default: str = "") -> str:
    """Return the last value of a field."""
    return form.get(name, [default])[-1]


def place(text: str) -> str:
    """Return a place to go on to, as seen from the front page; the front page itself for what is none of ours."""
    path = text.partition("?")[0]
    is_ours = len(text) < 2000 and _PLACE.fullmatch(text) and not any(part in (".", "..") for part in path.split("/"))
    return text if is_ours else ""
