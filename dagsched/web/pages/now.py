"""*Now*: what runs, what waits and for what, what failed, what comes next."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dagsched.model import LIVE, Run, RunState
from dagsched.views.coming import Coming
from dagsched.views.rows import reason_of
from dagsched.web.table import Look, Page
from dagsched.web.tails import last_line

LIVE_SHOWN = 100
FAILURES_SHOWN, FAILURES_LOOKED_AT = 12, 200
COMING_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Going:
    """A run that is not over. `usual_s`: how long the job's runs take, None when none is known."""

    run: Run
    blocked: str
    usual_s: float | None

    def elapsed_s(self, look: Look) -> float | None:
        """Return how long it has been running, None when it does not."""
        started = self.run.started
        return (look.now - started).total_seconds() if started and self.run.state is RunState.RUNNING else None


@dataclass(frozen=True, slots=True)
class Failing:
    """The newest failure of a job that nobody has acknowledged, how many more there are, and how it went since.

    `words`: the last line of what it wrote.
    """

    run: Run
    words: str
    more: int
    newest: Run | None

    @property
    def has_recovered(self) -> bool:
        """Whether the job has succeeded since."""
        newest = self.newest
        return newest is not None and newest.state is RunState.SUCCESS and newest.tick > self.run.tick


async def data(look: Look) -> Mapping[str, Any]:
    """Return what is going on."""
    store = look.desk.store
    live = await store.rows(states=sorted(LIVE), limit=LIVE_SHOWN * 5)
    daemon = await look.shelf.daemon()
    going = [run for run in live if run.state in (RunState.RUNNING, RunState.RETRYING)]
    waiting = [run for run in live if run.state in (RunState.QUEUED, RunState.WAITING)]
    blocked = daemon["blocked"] if daemon else {}
    usual = await look.shelf.usual_s({run.job for run in going[:LIVE_SHOWN]})
    failing, failed_more = await _failing(look)
    ahead = await look.ahead()
    soonest = soonest_of((await look.upcoming()).values(), COMING_SHOWN, ahead.sources_of)
    return {
        "running": [Going(run, blocked.get(run.name, ""), usual.get(run.job)) for run in going[:LIVE_SHOWN]],
        "waiting": [Going(run, blocked.get(run.name, ""), None) for run in waiting[:LIVE_SHOWN]],
        "totals": {"running": len(going), "waiting": len(waiting)},
        "failed": failing,
        "failed_more": failed_more,
        "coming": soonest,
        "reason_of": reason_of,
        "problems": errors_first(daemon["problems"]) if daemon else [],
        "reverted": daemon["reverted"] if daemon else [],
    }


async def _failing(look: Look) -> tuple[list[Failing], int]:
    """Return what fails, a line for each job (one that fails every minute must not hide others), and how many more."""
    store = look.desk.store
    failed = await store.rows(states=[RunState.FAILED], limit=FAILURES_LOOKED_AT)
    by_job: dict[str, list[Run]] = {}
    for run in failed:
        if not run.acked:
            by_job.setdefault(run.job, []).append(run)
    shown = list(by_job.items())[:FAILURES_SHOWN]
    newest = await store.newest([job for job, _ in shown], 1)
    words = await asyncio.to_thread(lambda: [last_line(look.desk.home, runs[0]) for _, runs in shown])
    failing = [
        Failing(runs[0], line, len(runs) - 1, next(iter(newest.get(job, ())), None))
        for (job, runs), line in zip(shown, words, strict=True)
    ]
    return failing, len(by_job) - len(shown)


def soonest_of(
    upcoming: Iterable[Coming | None], number: int, sources_of: Callable[[str], Sequence[str]]
) -> Sequence[tuple[Coming, int]]:
    """Return the jobs that will run next, each with its next tick; those that are paused or disabled will not.

    What gets its tick from another one of them is only counted there: a wide graph would fill the whole list.
    """
    idle = {"paused", "disabled"}
    coming = [each for each in upcoming if each and idle.isdisjoint(each.note.split("; "))]
    own = {(each.job, each.tick) for each in coming if each.job in sources_of(each.job)}
    shown, after = [], Counter[tuple[str, datetime]]()
    for each in coming:
        sources = [(source, each.tick) for source in sources_of(each.job)]
        giver = next((source for source in sources if source in own), None)
        if (each.job, each.tick) in own or giver is None:
            shown.append(each)
        else:
            after[giver] += 1
    shown.sort(key=lambda each: (each.tick, each.job))
    return [(each, after[each.job, each.tick]) for each in shown[:number]]


def errors_first(problems: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the problems of the job files, errors before warnings."""
    return sorted(problems, key=lambda problem: problem["severity"] != "error")


PAGE = Page("/", "Now", "now.html", data, in_menu=True, follows=True)
