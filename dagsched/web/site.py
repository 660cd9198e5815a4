"""The application with pages: each page of the table as a route, in one frame, with errors shown as pages too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from dagsched.api.access import Role
from dagsched.api.answers import TITLES, Turned, problem, turned
from dagsched.api.app import App, caller_of, judge, make_app
from dagsched.api.desk import Caller, Desk
from dagsched.api.doors import log_in, log_out
from dagsched.api.table import Visit
from dagsched.errors import DagschedError
from dagsched.web import acts, forms, statics
from dagsched.web.pages import PAGES
from dagsched.web.render import compile_all, render
from dagsched.web.shelf import Shelf
from dagsched.web.table import Look, Page
from dagsched.web.words import STATES

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
    " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
"""Of pages: scripts and styles from here alone, none inline."""

Endpoint = Callable[[Request], Awaitable[Response]]


def make_site(desk: Desk) -> App:
    """Return the ASGI application that serves pages and API of a desk."""
    site = Site(desk)
    routes = [
        StarletteRoute(page.path, site.showing(page), methods=["GET", "POST"] if page.takes_form else ["GET"])
        for page in PAGES
    ]
    routes.append(StarletteRoute("/login", site.guarded(site.log_in), methods=["GET"]))
    routes.append(StarletteRoute("/logout", site.guarded(site.log_out), methods=["POST"]))
    routes.append(StarletteRoute("/do/{verb}", site.guarded(site.act), methods=["POST"]))
    routes.append(StarletteRoute("/static/{digest}/{name}", site.guarded(statics.serve), methods=["GET"]))
    return make_app(desk, routes, site.turn_away)


class Site:
    """All pages of one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.shelf = Shelf(desk)
        self._warming: asyncio.Future[None] | None = None

    # ------------------------------------------------------------ pages

    def showing(self, page: Page) -> Endpoint:
        """Return what serves a page."""

        async def show(request: Request) -> Response:
            caller = caller_of(self.desk, request)
            judge(self.desk, caller, page.role, request)
            now = self.desk.clock.now()
            query = page.read_query(request, now)
            look = Look(self.desk, request, caller, request.path_params, query, shelf=self.shelf, now=now)
            if request.method == "POST":
                look.body = await forms.read_form(request, caller, page.form_bytes_max)
            # Read first: a page shows at least what had happened by then, and what happens later is sent to it.
            seq = await self.desk.news.newest() if page.follows else None
            data = await page.data(look)
            shell = await self._shell(request, caller, page)
            content = await asyncio.to_thread(render, page.template, {**shell, "seq": seq, "look": look, **data})
            if self._warming is None:  # who looks at one page will look at another; who calls the API may never
                self._warming = asyncio.ensure_future(asyncio.to_thread(compile_all))
            return self._dressed(content, 200, request, shell)

        return self.guarded(show)

    async def _shell(self, request: Request, caller: Caller, page: Page | None) -> dict[str, Any]:
        """Return what the frame of every page needs."""
        secret, is_new = forms.secret_of(request, caller)
        return {
            "root": root_of(request),
            "here": here_of(request),
            "page": page,
            "title": page.title if page else "",
            "menu": [each for each in PAGES if each.in_menu],
            "assets": f"{root_of(request)}static/{statics.digest()}/",
            "caller": caller,
            "may_operate": caller.role is not None and caller.role >= Role.OPERATOR,
            "is_in": caller.role is not None,
            "seal": forms.seal_of(secret),
            "new_secret": secret if is_new else "",
            "said": acts.said(request),
            "daemon": await self.shelf.daemon() if caller.role is not None else None,
            "now": self.desk.clock.now(),
            "states": STATES,
            "seq": None,
        }

    def _dressed(self, content: str, status: int, request: Request, shell: Mapping[str, Any]) -> Response:
        headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "same-origin"}
        response = Response(content.encode(errors="replace"), status, headers, "text/html; charset=utf-8")
        if shell["new_secret"] and shell["is_in"]:
            forms.give_secret(response, shell["new_secret"], request)
        if shell["said"]:
            acts.forget_said(response)
        return response

    # ------------------------------------------------------------ coming, going, doing

    async def log_in(self, request: Request) -> Response:
        """Take a one-time link, or say how to get one."""
        codes = request.query_params.getlist("code")
        if codes:
            visit = Visit(self.desk, request, Caller(None, "nobody"), {}, {"code": codes[-1]})
            return await log_in(visit)
        shell = await self._shell(request, Caller(None, "nobody"), None)
        content = render("log_in.html", {**shell, "title": "Log in", "detail": ""})
        return self._dressed(content, 200, request, shell)

    async def log_out(self, request: Request) -> Response:
        """End the session: for a form by a page, for a program by JSON."""
        caller = caller_of(self.desk, request)
        judge(self.desk, caller, Role.VIEWER, request)
        is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        if is_form:
            await forms.read_form(request, caller, 4096)
        ended = await log_out(Visit(self.desk, request, caller, {}, {}))
        if not is_form:
            return ended
        cookies = [value for name, value in ended.raw_headers if name == b"set-cookie"]
        gone = Response(b"", 303, {"Location": "login"})
        gone.raw_headers += [(b"set-cookie", value) for value in cookies]
        return gone

    async def act(self, request: Request) -> Response:
        """Do what a form asks for and go back to where it stood."""
        caller = caller_of(self.desk, request)
        answer = await acts.act(self.desk, request, caller)
        self.shelf.forget_daemon()
        return answer

    # ------------------------------------------------------------ what goes wrong

    def guarded(self, do: Endpoint) -> Endpoint:
        """Return an endpoint whose errors are answered."""

        async def serve(request: Request) -> Response:
            try:
                return await do(request)
            except Turned as error:
                if error.status in (401, 403) and not (error.status == 401 and wants_page(request)):
                    self.desk.refused(
                        _asks(self.desk, request), f"{request.method} {request.url.path[:200]}", str(error)
                    )
                return await self.turn_away(request, error)
            except DagschedError as error:
                return await self.turn_away(request, turned(error))
            except ClientDisconnect:
                return problem(Turned(400, "malformed", "the body ended early"))  # which nobody reads any more

        return serve

    async def turn_away(self, request: Request, error: Turned) -> Response:
        """Answer what cannot be served: a page for a browser, a problem document for everybody else."""
        if not wants_page(request):
            return problem(error)
        caller = _asks(self.desk, request)
        shell = await self._shell(request, caller, None)
        template = "log_in.html" if error.status == 401 else "error.html"
        heading = "Log in" if error.status == 401 else TITLES[error.kind]
        data = {**shell, "title": heading, "detail": error.detail, "status": error.status, "more": error.more}
        response = self._dressed(render(template, data), error.status, request, shell)
        response.headers.update(error.headers or {})
        return response


def _asks(desk: Desk, request: Request) -> Caller:
    try:
        return caller_of(desk, request)
    except Turned:
        return Caller(None, "nobody")


def wants_page(request: Request) -> bool:
    """Whether a person's browser asks for something to look at."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def root_of(request: Request) -> str:
    """Return the front page as seen from what is asked for: links are relative, so that any prefix will do."""
    path = request.scope.get("raw_path") or request.scope["path"].encode()
    return "../" * (path.count(b"/") - 1) or "./"


def here_of(request: Request) -> str:
    """Return what is asked for as seen from the front page, for forms that come back to it."""
    path = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1").removeprefix("/")
    query = request.scope["query_string"].decode("latin-1")
    return f"{path}?{query}" if query else path
