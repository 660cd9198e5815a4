"""*Config*: what is in force, its files, what is wrong with them now, and what was applied or rejected before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import PurePath
from typing import Any, NamedTuple

from dagsched.api.access import Role
from dagsched.api.answers import Turned
from dagsched.api.table import Query
from dagsched.model import ConfigVersion, EventRow
from dagsched.web.pages.now import errors_first
from dagsched.web.table import Look, Page

VERSIONS = 20
REJECTED_LOOK = 50_000
"""Among so many of the newest events rejected configurations are looked for."""
LINES = 2000
PROBLEMS_MAX = 100


class Step(NamedTuple):
    """One line of the history: a version that was applied, or one that was rejected with its `problems`."""

    time: datetime
    version: ConfigVersion | None
    words: str
    problems: Sequence[Mapping[str, Any]] = ()


async def data(look: Look) -> Mapping[str, Any]:
    """Return the configuration of a version, the newest without one, and the history around it."""
    query, desk = look.query, look.desk
    newest, _ = await look.force()
    found = await desk.store.configs(limit=VERSIONS + 1, at=query["until"])
    version = newest
    if query["version"] is not None:
        version = next((each for each in found if each.number == query["version"]), None)
        if version is None:
            version = next((each for each in await desk.store.configs() if each.number == query["version"]), None)
        if version is None:
            raise Turned(404, "not-found", f"there is no configuration {query['version']}")
    daemon = await look.shelf.daemon()
    rejected = await _rejected(look)
    return {
        "version": version,
        "is_newest": version == newest,
        "files": [_file_line(name, text) for name, text in version.files.items()] if version else [],
        "source": _source(look, version),
        "problems": errors_first(daemon["problems"])[:PROBLEMS_MAX] if daemon else [],
        "reverted": daemon["reverted"] if daemon else [],
        "steps": _steps(found[:VERSIONS], rejected, query["until"], len(found) > VERSIONS),
        "older": found[VERSIONS - 1].applied if len(found) > VERSIONS else None,
        "query": {name: value for name, value in query.items() if value is not None and name != "until"},
        "workers": [{**each.as_json(), "seen": each.seen} for each in await desk.store.workers()],
        "waiting": await desk.store.waiting(),
        "may_read": look.caller.role is not None and look.caller.role >= Role.OPERATOR,
        "lines_max": LINES,
    }


async def _rejected(look: Look) -> Sequence[EventRow]:
    newest = await look.desk.news.newest()
    after = max(0, newest - REJECTED_LOOK)
    return await look.desk.store.newest_events(after=after, before=newest + 1, limit=VERSIONS, kind="config.rejected")


def _file_line(name: str, text: str) -> tuple[str, str, int, int]:
    """Return a file's path, its own name, its lines and bytes."""
    return name, PurePath(name).name, len(text.splitlines()), len(text.encode(errors="replace"))


def _source(look: Look, version: ConfigVersion | None) -> tuple[str, list[str]] | None:
    """Return the file that is to be shown, with its lines; its text may name secrets' places, so a viewer has none."""
    name = look.query["file"]
    if name is None or version is None:
        return None
    if look.caller.role is None or look.caller.role < Role.OPERATOR:
        raise Turned(403, "forbidden", "the texts of job files take the role operator")
    if name not in version.files:
        raise Turned(404, "not-found", f"configuration {version.number} has no file {name[:200]!r}")
    return name, version.files[name].splitlines()[:LINES]


def _steps(
    versions: Sequence[ConfigVersion], rejected: Sequence[EventRow], until: datetime | None, has_more: bool
) -> list[Step]:
    """Return what was applied and rejected, newest first, as far back as the versions that are shown."""
    steps = [Step(version.applied, version, version.summary) for version in versions]
    oldest = versions[-1].applied if versions and has_more else None
    for row in rejected:
        if (until is None or row.time <= until) and (oldest is None or row.time >= oldest):
            problems = row.detail.get("problems", ())
            steps.append(Step(row.time, None, row.reason, [each for each in problems if isinstance(each, Mapping)]))
    return sorted(steps, key=lambda step: step.time, reverse=True)


PAGE = Page(
    "/config",
    "Config",
    "config.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        Query("version", "count", "The number of a configuration.", least=1),
        Query("file", "text", "The path of a file whose text is shown."),
        Query("until", "instant", "Only what was applied up to this instant."),
    ],
)
