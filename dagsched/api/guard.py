"""What stands between the wire and the routes, whatever is asked: hosts, origins, patience, and the headers of answers.

A web page that somebody opened elsewhere can make their browser call this server: under a name that it made resolve
to this machine (DNS rebinding), or across origins. So a Host that is no address of a machine, not `localhost` and not
allowed by `--allow-host` is refused, and so is an Origin that is not the Host's own. An address made of numbers needs
no allowing: a page cannot have one as its own name unless it came from there.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dagsched.api.answers import Turned, problem
from dagsched.api.desk import Caller, Desk

HEAD_BYTES_MAX = 16 * 1024
BODY_S = 30.0
SEND_S = 30.0
SECURITY: tuple[tuple[str, str], ...] = (
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("permissions-policy", "camera=(), microphone=(), geolocation=()"),
    ("cache-control", "no-store"),
)
"""Set on every answer that does not say otherwise; pages replace the policy by one of their own."""


class Guard:
    """The outermost layer of the application."""

    def __init__(self, app: ASGIApp, desk: Desk) -> None:
        self.app, self.desk = app, desk

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request whose Host and Origin are right."""
        try:
            if _head_bytes(scope) > HEAD_BYTES_MAX:
                # h11 looks at the length of a head only while it is not whole: one that came at once is still here.
                raise Turned(431, "too-large", f"a head has at most {HEAD_BYTES_MAX} bytes", {"Connection": "close"})
            if not scope["state"].get("is_local"):
                self._judge(Headers(scope=scope))
        except Turned as error:
            self.desk.refused(Caller(None, "nobody"), f"{scope.get('method', 'GET')} {scope['path'][:200]}", str(error))
            await problem(error)(scope, receive, _dressed(send))
            return
        if scope["type"] == "http":
            await self.app(scope, _patient(receive), _dressed(_brisk(send, scope)))
        else:
            await self.app(scope, receive, _brisk(send, scope))

    def _judge(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not may_be_called(hosts[0], self.desk.allow_hosts):
            told = ", ".join(hosts)[:200] or "none"
            raise Turned(421, "foreign-host", f"Host: {told}; allow a name with --allow-host")
        for origin in headers.getlist("origin"):
            if not is_own(origin, hosts[0], self.desk.allow_hosts):
                raise Turned(403, "foreign-origin", f"Origin: {origin[:200]}; allow its host with --allow-host")


def _head_bytes(scope: Scope) -> int:
    lines = sum(len(name) + len(value) + 4 for name, value in scope["headers"])
    return lines + len(scope.get("raw_path", b"")) + len(scope["query_string"])


def may_be_called(host: str, allowed: Iterable[str]) -> bool:
    """Whether a Host header is one of ours: an address, localhost, or a name that is allowed."""
    name = _name_of(f"//{host}")
    if name is None:
        return False
    return name == "localhost" or name in allowed or _is_address(name)


def is_own(origin: str, host: str, allowed: Iterable[str]) -> bool:
    """Whether an Origin is that of this very server, or its name is allowed (a proxy may change the port)."""
    parts = origin.split("//", 1)
    if len(parts) != 2 or parts[0] not in ("http:", "https:"):
        return False
    name = _name_of(f"//{parts[1]}")
    return name is not None and (parts[1].lower() == host.lower() or name in allowed)


def _name_of(reference: str) -> str | None:
    try:
        found = urlsplit(reference)
        _ = found.port  # raises for what is no port
    except ValueError:
        return None
    if found.path or found.query or found.fragment or found.username is not None or not found.hostname:
        return None
    return found.hostname.lower().removesuffix(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _dressed(send: Send) -> Send:
    """Add the security headers that an answer does not have."""

    async def dressed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = list(message.get("headers", []))
            has = {name.lower() for name, _ in headers}
            headers += [(n.encode(), v.encode()) for n, v in SECURITY if n.encode() not in has]
            message = {**message, "headers": headers}
        await send(message)

    return dressed


def _patient(receive: Receive) -> Receive:
    """Give the whole body BODY_S; after it, nothing is waited for but the end of the connection."""
    deadline = asyncio.get_running_loop().time() + BODY_S
    is_whole = False

    async def patient() -> Message:
        nonlocal is_whole
        if is_whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise Turned(408, "too-slow", f"a body has {BODY_S:g} s to arrive", {"Connection": "close"}) from None
        is_whole = message["type"] == "http.request" and not message.get("more_body", False)
        return message

    return patient


def _brisk(send: Send, scope: Scope) -> Send:
    """Drop a reader who takes nothing for SEND_S: to close is not enough, that would wait for them."""

    async def brisk(message: Message) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await send(message)
        except TimeoutError:
            if (abort := scope["state"].get("abort")) is not None:
                abort()
            raise OSError("the reader takes nothing") from None

    return brisk
