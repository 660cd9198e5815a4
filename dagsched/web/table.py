"""What a page is: the one description from which it is routed, judged, and listed in the navigation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.requests import Request

from dagsched.api.access import Role
from dagsched.api.table import Query, Visit
from dagsched.model import Config, ConfigVersion, JobMark
from dagsched.views.coming import Ahead, Coming
from dagsched.web.shelf import Shelf

NOTHING = Config({})


@dataclass(slots=True, kw_only=True)
class Look(Visit):
    """A request for a page: a visit, with what pages share. `now`: the instant that the whole page is as of.

    The configuration and the marks of jobs are read once, so that all of a page speaks of the same ones.
    """

    shelf: Shelf
    now: datetime
    _force: tuple[ConfigVersion | None, Config] | None = None
    _marks: Mapping[str, JobMark] | None = None

    async def force(self) -> tuple[ConfigVersion | None, Config]:
        """Return the version in force and what it says, which is nothing where there is none."""
        if self._force is None:
            version, config = await self.desk.force()
            self._force = version, config or NOTHING
        return self._force

    async def config(self) -> Config:
        """Return what the configuration in force says, one without jobs when there is none."""
        return (await self.force())[1]

    async def marks(self) -> Mapping[str, JobMark]:
        """Return what is remembered of each job."""
        if self._marks is None:
            self._marks = await self.desk.store.marks()
        return self._marks

    async def known_jobs(self) -> Sequence[str]:
        """Return every job that is declared or remembered."""
        return [*dict.fromkeys([*(await self.config()).jobs, *(await self.marks())])]

    async def upcoming(self) -> Mapping[str, Coming | None]:
        """Return the next tick of each job, None for one that no schedule makes due."""
        version, config = await self.force()
        return await self.shelf.upcoming(self.now, version.number if version else 0, config, await self.marks())

    async def ahead(self) -> Ahead:
        """Return the future of the configuration in force."""
        version, config = await self.force()
        return await self.shelf.ahead(self.now, version.number if version else 0, config, await self.marks())


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
