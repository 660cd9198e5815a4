"""The fire times of the coming days under two configurations, by the engine on a virtual clock.

A *fire time* is a tick of a job to come at which it is neither disabled nor paused, and on no day off: it becomes a
run, whatever that then waits for. Only jobs whose ticks can differ are looked at. Each group of them that hang on each
other's ticks has two engines of its own, in which every attempt succeeds at once; a group whose jobs fire very often is
followed until one of them has fired `cap` times, and `until` tells how far that was.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from dagsched import reasons
from dagsched.engine.book import Book
from dagsched.engine.commands import Command, SaveRun
from dagsched.graph import Graph
from dagsched.model import Config, Job, JobMark, Run, RunState
from dagsched.preview.pairing import Pair, paired
from dagsched.virtual import Virtual

# What lies that far behind the last day is looked at to tell whether a fire time of that day only moved: a date of one
# zone is over in every other one 26 hours later, and no day has more than 25.
BEYOND = timedelta(hours=51)
FIRES_MAX = 500
ENGINE_TICKS_MAX = 60_000
FIRES_MIN = 24


@dataclass(frozen=True, slots=True)
class Fires:
    """What becomes of one job's fire times after now, up to `until`, the end of the days asked for or less.

    `kept` counts those that both sides have. A pair counts if either of its two lies in that time. `is_cut`: it fires
    so often that it was not followed to the end.
    """

    job: str
    old: Job | None
    new: Job | None
    added: Sequence[datetime]
    moved: Sequence[Pair]
    dropped: Sequence[datetime]
    kept: int
    until: datetime
    is_cut: bool

    def __bool__(self) -> bool:
        return bool(self.added or self.moved or self.dropped)


class World(NamedTuple):
    """One side: its configuration, and the engine's book after the instant of the change."""

    config: Config
    book: Book


def compared(old: World, new: World, now: datetime, until: datetime) -> list[Fires]:
    """Return what becomes of the fire times in (now, until] of each job whose ticks can differ, as the files go."""
    wanted = affected(old.config, new.config)
    groups = list(_groups(wanted, old.config.jobs, new.config.jobs))
    if not groups:
        return []
    cap = max(FIRES_MIN, min(FIRES_MAX, ENGINE_TICKS_MAX // _engines(groups, old, new)))
    sides = _Side(old, now, until, cap), _Side(new, now, until, cap)
    found: dict[str, Fires] = {}
    for group in groups:
        before, after = (side.of(group) for side in sides)
        # The others are in it for their sake only.
        for id in wanted.intersection(group):
            found[id] = _compared(id, old, new, before, after, now, until)
    return [found[id] for id in dict.fromkeys((*new.config.jobs, *old.config.jobs)) if id in found]


def _compared(
    id: str, old: World, new: World, before: Followed, after: Followed, now: datetime, until: datetime
) -> Fires:
    seen = min(before.until, after.until)
    was = {tick for tick in before.fires.get(id, ()) if tick <= seen}
    will = {tick for tick in after.fires.get(id, ()) if tick <= seen}
    end = min(until, seen)
    jobs = old.config.jobs.get(id), new.config.jobs.get(id)
    zones = [zone_of(job or other) for job, other in (jobs, jobs[::-1]) if job or other]
    pairs = paired(sorted(was - will), sorted(will - was), zones[0], zones[1], now)
    return Fires(
        id,
        *jobs,
        [tick for tick in pairs.added if tick <= end],
        [pair for pair in pairs.moved if min(pair) <= end],
        [tick for tick in pairs.dropped if tick <= end],
        sum(tick <= end for tick in was & will),
        end,
        seen < until,
    )


def _engines(groups: Iterable[Sequence[str]], old: World, new: World) -> int:
    """Return about how many jobs have to be followed, on both sides together; those that fire alike count once."""
    number, alike = 0, set()
    for group in groups:
        if len(group) > 1:
            number += 2 * len(group)
        else:
            for side in (old, new):
                alike.add((side is new, _alike(side.config.jobs.get(group[0]))))
    return number + len(alike)


def zone_of(job: Job | None) -> str:
    """Return the zone whose dates and times a job's fire times are told in."""
    if job is None:
        return "UTC"
    return job.schedule.timezone if job.schedule is not None else job.timezone


# ---------------------------------------------------------------- which jobs


def affected(old: Config, new: Config) -> set[str]:
    """Return the jobs whose ticks can differ: those with another schedule, and what gets its ticks from them."""
    found = {id for id in {*old.jobs, *new.jobs} if _ticks_differ(old.jobs.get(id), new.jobs.get(id))}
    if _without_jobs(old) != _without_jobs(new):
        found.update(id for id, job in new.jobs.items() if job.schedule is not None)
    for jobs in (old.jobs, new.jobs) if found else ():
        graph = Graph(jobs)
        frontier = [id for id in found if id in jobs]
        while frontier:
            for below in graph.downstream[frontier.pop()]:
                if below not in found and (jobs[below].schedule is None or _counts_runs(jobs[below])):
                    found.add(below)
                    frontier.append(below)
    return found


def _ticks_differ(old: Job | None, new: Job | None) -> bool:
    if old is None or new is None:
        return old is not new
    if old is new:
        return False
    if any(getattr(old, name) != getattr(new, name) for name in _DECIDING):
        return True
    if new.schedule is None:
        return {edge.job for edge in old.depends_on} != {edge.job for edge in new.depends_on}
    return _counts_runs(new) and old != new


def _without_jobs(config: Config) -> Config:
    """Return what a configuration says that is not of one job and may decide about ticks (pools only delay runs)."""
    return config._replace(jobs={}, pools={}, pool_rates={}, files={}, digest="")


# What these say is about runs, once their ticks are there; every other key, also a new one, may decide about ticks.
_OF_RUNS = frozenset({
    "id", "depends_on", "trigger_rule", "when", "run", "handler", "with_", "env", "params", "secrets", "cwd", "shell",
    "user", "retry", "timeout", "deadline", "catchup", "catchup_window", "overlap", "max_active_runs", "max_queued",
    "pool", "slots", "queue", "labels", "priority", "rate_limit", "window", "jitter", "on_crash", "description", "tags",
    "owner", "position",
})  # fmt: skip
_DECIDING = tuple(name for name in Job._fields if name not in _OF_RUNS)


def _counts_runs(job: Job) -> bool:
    return job.schedule is not None and job.schedule.max_runs is not None


def _needs(job: Job) -> tuple[str, ...]:
    """Return the upstreams that the job's ticks hang on: all for want of a schedule, or if its runs are counted."""
    return tuple(edge.job for edge in job.depends_on) if job.schedule is None or _counts_runs(job) else ()


def _groups(wanted: Collection[str], old: Mapping[str, Job], new: Mapping[str, Job]) -> Iterator[list[str]]:
    """Yield the wanted jobs with all they get their ticks from, those that hang together in one list."""
    parent: dict[str, str] = {}

    def root(id: str) -> str:
        while parent.setdefault(id, id) != id:
            id = parent[id]
        return id

    frontier = list(wanted)
    while frontier:
        id = frontier.pop()
        root(id)
        for jobs in (old, new):
            for above in _needs(jobs[id]) if id in jobs else ():
                if above not in parent and above in jobs:
                    frontier.append(above)
                parent[root(above)] = root(id)
    together: dict[str, list[str]] = {}
    for id in dict.fromkeys((*new, *old)):
        if id in parent:
            together.setdefault(root(id), []).append(id)
    yield from together.values()


# ---------------------------------------------------------------- following one side


class Followed(NamedTuple):
    """The fire times of a group's jobs up to `until`."""

    fires: Mapping[str, Collection[datetime]]
    until: datetime


class _Side:
    """One configuration's coming days, group by group. Jobs with the same schedule fire alike and are followed once."""

    def __init__(self, world: World, now: datetime, until: datetime, cap: int) -> None:
        self._world, self._now, self._end, self._cap = world, now, until + BEYOND, cap
        self._known: dict[tuple[str, JobMark], tuple[Collection[datetime], datetime]] = {}

    def of(self, group: Sequence[str]) -> Followed:
        jobs = {id: self._world.config.jobs[id] for id in group if id in self._world.config.jobs}
        if not jobs:
            return Followed({}, self._end)
        id, job = next(iter(jobs.items()))
        if len(jobs) > 1 or job.schedule is None or _needs(job):
            return self._followed(jobs)
        key = (_alike(job), self._world.book.marks[id]._replace(job="", started_runs=0))
        if key not in self._known:
            followed = self._followed(jobs)
            self._known[key] = followed.fires.get(id, ()), followed.until
        fires, until = self._known[key]
        return Followed({id: fires}, until)

    def _followed(self, jobs: Mapping[str, Job]) -> Followed:
        """Drive the engine with these jobs alone, from where they stand."""
        book = self._world.book
        alone = {id: _alone(job, jobs) for id, job in jobs.items()}
        config = _without_jobs(self._world.config)._replace(jobs=alone)
        counted = any(_counts_runs(job) for job in jobs.values())
        rows = list(_rows(book, jobs, live=counted))
        virtual = Virtual(
            config, self._now, runs=rows, marks=[book.marks[id] for id in jobs],
            attempts=[each for each in book.open_attempts.values() if counted and each.job in jobs],
            last_seen=self._now, in_force=config, config_number=1, keeps_events=False,
        )  # fmt: skip
        watch = _Watch(self._now)
        virtual.on_commands = watch.hear
        while (at := virtual.next_at()) is not None and at <= self._end:
            virtual.advance()
            if watch.most >= self._cap:
                return Followed(watch.fires, virtual.now)
        return Followed(watch.fires, self._end)


def _alike(job: Job | None) -> str:
    """Return what jobs share that fire alike."""
    return "" if job is None else repr([getattr(job, name) for name in _DECIDING])


class _Watch:
    """Hears what an engine makes of coming ticks, and keeps those that are fire times; `most`: of any one job."""

    def __init__(self, now: datetime) -> None:
        self.fires: dict[str, set[datetime]] = {}
        self.most = 0
        self._now = now

    def hear(self, commands: Iterable[Command]) -> None:
        for command in commands:
            if isinstance(command, SaveRun):
                run = command.run
                # Of a row that grows only the last tick is new.
                tick = run.until or run.tick
                if tick > self._now and fires(run):
                    known = self.fires.setdefault(run.job, set())
                    known.add(tick)
                    self.most = max(self.most, len(known))


def fires(run: Run) -> bool:
    """Whether this row's tick is a fire time: not missed, nor skipped as disabled, as paused or on a day off."""
    if run.state is RunState.MISSED:
        return False
    return run.state is not RunState.SKIPPED or reasons.read(run.reason) not in reasons.NO_FIRE


def _alone(job: Job, jobs: Mapping[str, Job]) -> Job:
    """Return the job with only those edges that decide about its ticks, and without what only delays or skips runs."""
    needed = set(_needs(job)) & jobs.keys()
    edges = tuple(edge for edge in job.depends_on if edge.job in needed)
    return job._replace(
        depends_on=edges, pool=None, slots=1, jitter=timedelta(0), when="", window=(), rate_limit=None, deadline=None
    )


def _rows(book: Book, jobs: Iterable[str], *, live: bool) -> Iterator[Run]:
    for id in jobs:
        newest = book.ledger.newest_of_all(id)
        rows = {run.key: run for run in (*(book.ledger.live(id) if live else ()), *((newest,) if newest else ()))}
        yield from (_free(run) for run in rows.values() if live or run.state.is_terminal)


def _free(run: Run) -> Run:
    """Return the run as if all it waits for had succeeded, for that may be a job that is not looked at."""
    state = RunState.QUEUED if run.state is RunState.WAITING else run.state
    return run._replace(state=state, ready=run.ready or run.created, links=())
