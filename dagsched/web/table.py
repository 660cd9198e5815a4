"""What a page is: the one description from which it is routed, judged, and listed in the navigation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from dagsched.api.access import Role
from dagsched.api.table import Query, Visit
from dagsched.web.shelf import Shelf


@dataclass(slots=True, kw_only=True)
class Look(Visit):
    """A request for a page: a visit, with what pages share. `now`: the instant that the whole page is as of."""

    shelf: Shelf
    now: datetime


Data = Callable[[Look], Awaitable[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Page:
    """A path, the template below `templates/` that shows it, and the function that returns what the template needs.

    `path` holds names in braces, found in `look.path`. `title`: of the window, and in the navigation when `in_menu`;
    data may hold a `title` of its own. `within`: the path of the menu entry that this page belongs to. `query`: what
    may stand after the question mark; anything else there is ignored. `takes_form`: a sealed form may be posted to the
    same path, and `look.body` then has its fields (name → list of texts), else it is None. `follows`: whether the
    page changes while it is looked at.
    """

    path: str
    title: str
    template: str
    data: Data
    in_menu: bool = False
    within: str = ""
    query: Sequence[Query] = ()
    role: Role = Role.VIEWER
    takes_form: bool = False
    form_bytes_max: int = 1 << 18
    follows: bool = False

    def read_query(self, request: Request, now: datetime) -> dict[str, Any]:
        """Return every parameter of the query; raises Turned for one that is wrong."""
        # A form sends a field that nobody filled in, too.
        given = {each.name: list(filter(None, request.query_params.getlist(each.name))) for each in self.query}
        return {each.name: each.read(given[each.name], now) for each in self.query}
