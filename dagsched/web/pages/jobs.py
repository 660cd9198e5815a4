"""*Jobs*: every job in one table, with how its last runs went; sought, sorted and chosen by the address of the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from dagsched.api.table import Query
from dagsched.model import LIVE, Job, Run
from dagsched.triggers.text import schedule_text
from dagsched.views.status import JobLine, most_telling
from dagsched.web.table import Look, Page
from dagsched.web.words import STATES

EACH = 100
BARS = 20
SORTS = ("name", "state", "last", "next")
NAMED = {state or "never_ran": state for state in STATES}
# What a person has to look at first.
URGENT = ("failed", "upstream_failed", "running", "retrying", "queued", "waiting", "paused", "cancelled", "missed")
NEVER = datetime.min.replace(tzinfo=UTC)
SOME_DAY = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """A job in the table: its declaration (None when no file has it any more) and what is known of it."""

    job: Job | None
    line: JobLine

    @property
    def schedule(self) -> str:
        """Return when it is due, in the words of the job file."""
        return (schedule_text(self.job.schedule) or "") if self.job else ""

    @property
    def owner(self) -> str:
        return self.job.owner if self.job else ""

    def has(self, words: str) -> bool:
        """Whether each of these words stands in its name, description, tags or owner."""
        parts = [self.line.job, self.job.description, self.job.owner, *self.job.tags] if self.job else [self.line.job]
        text = "\n".join(parts).lower()
        return all(word in text for word in words.lower().split())


async def data(look: Look) -> Mapping[str, Any]:
    """Return a page of jobs."""
    query = look.query
    rows = await rows_of(look)
    tags = sorted({tag for row in rows if row.job for tag in row.job.tags})
    counts = Counter(row.line.state for row in rows)
    found = list(chosen(rows, query["q"] or "", query["state"], query["tag"]))
    sort = query["sort"] or "name"
    found.sort(key=ORDERS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    pages = max(1, -(-len(found) // EACH))
    number = min(query["page"], pages)
    shown = found[(number - 1) * EACH : number * EACH]
    return {
        "rows": shown,
        "newest": await look.desk.store.newest([row.line.job for row in shown], BARS),
        "total": len(found),
        "all": sum(1 for row in rows if not row.line.removed),
        "counts": counts,
        "named": NAMED,
        "tags": tags,
        "query": {name: value for name, value in query.items() if not (name == "page" and value == 1)},
        "sort": sort,
        "number": number,
        "pages": pages,
    }


async def rows_of(look: Look) -> list[Row]:
    """Return every job there is or was."""
    return await rows_of_jobs(look, await look.known_jobs())


async def rows_of_jobs(look: Look, names: Sequence[str]) -> list[Row]:
    """Return these jobs, in this order: a few questions to the store, however many there are."""
    store, config, marks = look.desk.store, await look.config(), await look.marks()
    newest = await look.shelf.newest(names)
    telling = most_telling([*newest.values(), *await store.rows(states=sorted(LIVE))])
    upcoming = await look.upcoming()
    return [
        Row(
            config.jobs.get(name),
            JobLine(
                name,
                config.jobs[name].enabled if name in config.jobs else True,
                marks[name].paused if name in marks else None,
                telling.get(name),
                upcoming.get(name),
                {},
                removed=name not in config.jobs,
            ),
        )
        for name in names
        if name in config.jobs or name in telling
    ]


def chosen(rows: Iterable[Row], words: str, state: str | None, tag: str | None) -> Iterable[Row]:
    """Yield the jobs that are asked for; those that no file has any more only when they are asked for by that."""
    for row in rows:
        if row.line.removed and state != "removed":
            continue
        if state is not None and row.line.state != NAMED[state]:
            continue
        if tag is not None and not (row.job and tag in row.job.tags):
            continue
        if row.has(words):
            yield row


def _last(run: Run | None) -> datetime:
    return (run.ended or run.started or run.tick) if run else NEVER


ORDERS: Mapping[str, Callable[[Row], Any]] = {
    "name": lambda row: row.line.job.lower(),
    "state": lambda row: (
        URGENT.index(row.line.state) if row.line.state in URGENT else len(URGENT),
        row.line.state,
        row.line.job.lower(),
    ),
    "last": lambda row: (SOME_DAY - _last(row.line.run), row.line.job.lower()),
    "next": lambda row: (row.line.next.tick if row.line.next else SOME_DAY, row.line.job.lower()),
}

PAGE = Page(
    "/jobs",
    "Jobs",
    "jobs.html",
    data,
    in_menu=True,
    follows=True,
    query=[
        Query("q", "text", "Words of names, descriptions, tags and owners."),
        Query("state", "choice", "Only jobs in this state.", choices=tuple(NAMED)),
        Query("tag", "text", "Only jobs with this tag."),
        Query("sort", "choice", "The order.", choices=(*SORTS, *(f"-{name}" for name in SORTS))),
        Query("page", "count", "Which page.", 1, least=1, most=10**6),
    ],
)
