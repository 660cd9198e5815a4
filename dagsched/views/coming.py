"""Coming ticks of jobs, for the screens that show them.

A job with a schedule has that schedule's ticks. A job without one has the ticks of its upstreams, so its
coming ticks are those of the nearest scheduled jobs above it; with none above it is manual and has none.
A disabled job has ticks (they are recorded as left out), so they are shown, with that remark; so are those of a job
that gets them from such a one alone.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from dagsched.graph import Graph
from dagsched.model import Config, Job, JobMark, format_instant, parse_instant
from dagsched.triggers import dst_note, local, trigger_of
from dagsched.triggers.calendars import days_off
from dagsched.triggers.windows import opening

LEFT_OUT = "left out: "
LOOK_MAX = 500


@dataclass(frozen=True, slots=True)
class Coming:
    """One coming tick: `local` is wall time in the job's zone, `note` what a person should know of it."""

    job: str
    tick: datetime
    local: datetime
    note: str = ""


class Ahead:
    """The future of one configuration. `marks` tell what has been paused and how often a schedule has run."""

    def __init__(self, config: Config, marks: Mapping[str, JobMark] | None = None) -> None:
        self._jobs, self._calendars = config.jobs, config.calendars
        self._marks = marks or {}
        graph = Graph(config.jobs)
        self._sources = _sources(config.jobs, graph)

    def with_marks(self, marks: Mapping[str, JobMark]) -> Ahead:
        """Return the same future with other marks; what was worked out of the graph is kept."""
        found = copy(self)
        found._marks = marks
        return found

    def of(self, id: str, after: datetime) -> Iterator[Coming]:
        """Yield the ticks of a job after that instant, oldest first; possibly without end."""
        own = self._standing_remark(id)
        for tick, sources in self._merged(id, after):
            schedule = self._jobs[sources[0]].schedule
            assert schedule is not None, "only scheduled jobs are sources of ticks"
            remark = own or self._inherited_remark(id, sources)
            gate = self._days_off(id, tick, sources) or self._window(id, tick)
            notes = [dst_note(schedule, tick), self._from(id, sources), remark, gate]
            yield Coming(id, tick, local(tick, schedule.timezone), "; ".join(filter(None, notes)))

    def next(self, id: str, after: datetime) -> Coming | None:
        """Return the first tick after that instant that is not left out, if any; one of many that are, if all are."""
        found = None
        for found in islice(self.of(id, after), LOOK_MAX):
            if LEFT_OUT not in found.note:
                break
        return found

    def sources_of(self, id: str) -> tuple[str, ...]:
        """Return the scheduled jobs that give a job its ticks: itself, or the nearest ones above it."""
        return self._sources[id]

    def events_of(self, id: str) -> str:
        """Return `on event x` for a job that events make due, or any upstream that gives it its ticks; else ""."""
        schedules = (self._jobs[source].schedule for source in self._sources[id])
        names = [name for schedule in schedules if schedule is not None for name in schedule.event]
        return f"on event {' or '.join(dict.fromkeys(names))}" if names else ""

    def first_of_each(self, ids: Iterable[str], after: datetime, number: int) -> list[Coming]:
        """Return the first `number` ticks of each of these jobs, all of them by time."""
        found = [coming for id in ids for coming in islice(self.of(id, after), number)]
        return sorted(found, key=lambda coming: coming.tick)

    def _merged(self, id: str, after: datetime) -> Iterator[tuple[datetime, list[str]]]:
        """Yield each tick once, with the jobs whose schedules make it."""
        streams = [self._own(source, after) for source in self._sources[id]]
        tick: datetime | None = None
        sources: list[str] = []
        for moment, source in heapq.merge(*streams):
            if tick is not None and moment != tick:
                yield tick, sources
                sources = []
            tick = moment
            sources.append(source)
        if tick is not None:
            yield tick, sources

    def _own(self, source: str, after: datetime) -> Iterator[tuple[datetime, str]]:
        schedule = self._jobs[source].schedule
        assert schedule is not None, "only scheduled jobs are sources of ticks"
        ticks = trigger_of(schedule).ticks(after)
        if schedule.max_runs is not None:
            mark = self._marks.get(source)
            ticks = islice(ticks, max(0, schedule.max_runs - (mark.started_runs if mark else 0)))
        return ((tick, source) for tick in ticks)

    def _days_off(self, id: str, tick: datetime, sources: list[str]) -> str:
        """Return why the tick will be left out by a calendar: the job's own, or that of all its sources."""
        reasons = []
        for each in (id, *sources):
            off = days_off(self._jobs[each], self._calendars)
            reasons.append(off.reason(tick) if off is not None else "")
        found = reasons[0] or (reasons[1] if all(reasons[1:]) else "")
        return f"{LEFT_OUT}{found}" if found else ""

    def _window(self, id: str, tick: datetime) -> str:
        """Return what becomes of the tick if its job may not start then."""
        job = self._jobs[id]
        found = opening(job.window, job.timezone, tick) if job.window else None
        if found is None or found.opens <= tick:
            return ""
        if job.window[0].outside == "skip":
            return f"{LEFT_OUT}window: closed outside {', '.join(map(str, job.window))}"
        return f"starts when its window opens, {local(found.opens, job.timezone):%Y-%m-%d %H:%M}"

    def _from(self, id: str, sources: list[str]) -> str:
        return "" if sources == [id] else f"from {', '.join(sources)}"

    def _inherited_remark(self, id: str, sources: list[str]) -> str:
        """Return what keeps a tick from a job without a schedule because it keeps it from all that would give it."""
        remarks = [self._standing_remark(source) for source in sources if source != id]
        return remarks[0] if len(remarks) == len(sources) and all(remarks) else ""

    def _standing_remark(self, id: str) -> str:
        if not self._jobs[id].enabled:
            return "disabled"
        mark = self._marks.get(id)
        return "paused" if mark is not None and mark.paused is not None else ""


def _sources(jobs: Mapping[str, Job], graph: Graph) -> dict[str, tuple[str, ...]]:
    """Map each job to the scheduled jobs that give it its ticks; one pass, upstreams first."""
    found: dict[str, tuple[str, ...]] = {}
    for id in graph.order:
        if jobs[id].schedule is not None:
            found[id] = (id,)
        else:
            above = (source for upstream in graph.upstream[id] for source in found[upstream])
            found[id] = tuple(dict.fromkeys(above))
    return found


def coming_row(coming: Coming) -> dict[str, str]:
    """Return a coming tick as `next --json` prints it."""
    return {
        "job": coming.job,
        "tick": format_instant(coming.tick),
        "local": coming.local.isoformat(),
        "note": coming.note,
    }


def event_row(job: str, words: str) -> dict[str, str | None]:
    """Return the row of a job that events make due, `words` saying which: there is no telling when."""
    return {"job": job, "tick": None, "local": None, "note": words}


def coming_of(row: Mapping[str, str]) -> Coming:
    """Return the coming tick that such a row tells of; its local time has an offset and no zone's name."""
    return Coming(row["job"], parse_instant(row["tick"]), datetime.fromisoformat(row["local"]), row["note"])


def in_utc(moment: datetime) -> str:
    """Return a tick for a person, `2026-11-23 14:00 UTC`."""
    seconds = ":%S" if moment.second else ""
    return moment.astimezone(UTC).strftime(f"%Y-%m-%d %H:%M{seconds} UTC")
