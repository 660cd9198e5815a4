"""What only the whole configuration can tell: jobs and pools that name each other.

Each check is a function over `View`; `check_part` runs those about the jobs of one file, `check_cycles` looks at all
of them. A check stays silent where its subject was already refused or could not be read: one mistake, one complaint.

Of other files a job's checks may look at what `Part` notes and `load.py` compares, and at nothing else: whether an
upstream is there, whether it is enabled and when it fires, how large a pool is, and which names are declared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, date, datetime, time
from itertools import pairwise
from typing import NamedTuple

from dagsched.config import telling
from dagsched.config.build import Entry
from dagsched.config.eventual import check_event_schedule
from dagsched.config.explain import Complaint, short
from dagsched.config.gates import check_calendar, check_when, check_window
from dagsched.config.looks import Looks
from dagsched.config.meeting import ever_meet
from dagsched.config.params import check_params
from dagsched.config.part import Part
from dagsched.config.report import Report, where
from dagsched.config.secrets import check_secret_uses, check_secrets
from dagsched.config.workflows import check_workflow
from dagsched.counting import counted
from dagsched.declaration import Calendar, Catchup, Job, Match, OutputRef
from dagsched.errors import CycleFound
from dagsched.graph import Graph

CYCLES_MAX = 20
CYCLE_EDGES_MAX = 30


class View(NamedTuple):
    """Everything that was understood. `is_whole`: no file was lost on the way.

    `broken`: ids of jobs that are no mappings; others may wait for them without being wrong.
    `pools`: capacity by name, None when its declaration was refused; `calendars`: the same. `handlers`: names that may
    be used. `named`: notifiers and agents by section and name.
    """

    entries: Mapping[str, Entry]
    broken: frozenset[str]
    pools: Mapping[str, int | None]
    calendars: Mapping[str, Calendar | None]
    handlers: frozenset[str]
    is_whole: bool
    now: datetime
    named: Mapping[str, telling.Declared]


def day_of(now: datetime) -> date:
    """Return the day on which checks look ahead; within it they find the same, but for ends that pass."""
    return now.astimezone(UTC).date()


def midnight_of(now: datetime) -> datetime:
    """Return the first instant of that day, from which checks look ahead for months."""
    return datetime.combine(day_of(now), time(), UTC)


def check_part(part: Part, view: View, report: Report) -> None:
    """Report what is wrong between the file's jobs and others, and what is right but doubtful."""
    looks = Looks(view.now)
    if part.document is not None and part.rules and view.is_whole:
        telling.check_rules(part.document, ("defaults", "notify"), part.rules, view.named["notifiers"], report)
    for id, entry in part.entries.items():
        if view.entries[id] is not entry:
            continue  # declared elsewhere as well, which has been told
        job = entry.job
        if job.depends_on:
            _check_upstreams(entry, view, report)
        if job.pool is not None:
            _check_pool(entry, view, report)
        if job.handler != "shell":
            _check_handler(entry, view, report)
        if job.env:
            _check_outputs(entry, report)
        if job.notify:
            telling.check_job_rules(entry, view.named["notifiers"], view.is_whole, report)
        if job.params:
            check_params(entry, report)
        if job.secrets:
            check_secrets(entry, report)
        if job.handler == "http":
            check_secret_uses(entry, report)
        elif job.handler == "workflow":
            check_workflow(entry, view.entries, view.pools, report, is_whole=view.is_whole)
        if job.catchup is Catchup.NONE and job.catchup_window is not None:
            _say(
                report,
                entry,
                "W203",
                ("catchup_window",),
                "catchup_window has no effect with catchup: none",
                "no missed tick is run, whatever its age",
                "remove it, or choose catchup: latest or all",
            )
        if job.when:
            check_when(entry, report)
        if job.calendar:
            check_calendar(entry, view.calendars, midnight_of(view.now), report, is_whole=view.is_whole)
        if job.window:
            check_window(entry, midnight_of(view.now), report)
        if job.schedule is not None:
            looks.tell(entry, report)
            if job.schedule.event:
                check_event_schedule(entry, report)


def _say(
    report: Report,
    entry: Entry,
    code: str,
    steps: tuple[str | int, ...],
    message: str,
    why: str,
    fix: str,
    *,
    is_key: bool = False,
) -> None:
    report.complain(entry.document, Complaint(code, entry.path(*steps), message, why, fix, is_key))


# ---------------------------------------------------------------- upstreams


def _edges(entry: Entry) -> Iterator[tuple[str, Match, tuple[str | int, ...]]]:
    """Yield (upstream, match, path of its name) for each item of depends_on."""
    raw = entry.document.data["jobs"][entry.job.id]["depends_on"]
    for number, edge in zip(_places(entry), entry.job.depends_on, strict=True):
        yield edge.job, edge.match, ("depends_on", number, *(("job",) if isinstance(raw[number], dict) else ()))


def _places(entry: Entry) -> Collection[int]:
    return range(len(entry.job.depends_on)) if entry.edges is None else entry.edges


def _check_upstreams(entry: Entry, view: View, report: Report) -> None:
    job = entry.job
    if _is_plain(entry, view):
        return
    seen = set()
    for upstream, match, path in _edges(entry):
        if upstream in seen:
            _say(
                report,
                entry,
                "E211",
                path,
                f"the upstream '{upstream}' is named twice",
                "a run is judged against one run of every upstream",
                "remove one of the two",
            )
            continue
        seen.add(upstream)
        if upstream == job.id:
            _say(
                report,
                entry,
                "E202",
                path,
                f"job '{job.id}' waits for itself",
                "it could never start",
                "remove it; runs of one job are kept apart by overlap:",
            )
        elif upstream not in view.entries:
            if view.is_whole and upstream not in view.broken:
                _unknown_upstream(entry, upstream, path, view, report)
        else:
            _check_edge(entry, view.entries[upstream], match, path, view, report)


def _is_plain(entry: Entry, view: View) -> bool:
    """Whether there is surely nothing to say about the job's upstreams, as of most jobs."""
    seen = {entry.job.id}
    for edge in entry.job.depends_on:
        upstream = view.entries.get(edge.job)
        if edge.job in seen or edge.match is not Match.LATEST or upstream is None or not upstream.job.enabled:
            return False
        seen.add(edge.job)
    return True


def _unknown_upstream(entry: Entry, name: str, path: tuple[str | int, ...], view: View, report: Report) -> None:
    meant = report.guess(name, view.entries.keys() - {entry.job.id})
    if meant is not None:
        other = view.entries[meant].document
        fix = f"did you mean '{meant}' ({where(other, ('jobs', meant))})?"
    else:
        fix = "declare it, or remove it from depends_on"
    _say(
        report,
        entry,
        "E201",
        path,
        f"unknown upstream job '{short(name)}'",
        f"'{entry.job.id}' can only wait for a job declared in the files that are loaded together",
        fix,
    )


def _check_edge(
    entry: Entry, other: Entry, match: Match, path: tuple[str | int, ...], view: View, report: Report
) -> None:
    job, upstream = entry.job, other.job
    if match is Match.ALL and job.schedule is not None and job.schedule.event:
        _say(
            report,
            entry,
            "E207",
            path,
            f"'{job.id}' runs on events, so match: all has no window",
            "all means every tick of the upstream since this job's previous schedule tick, and events make none",
            "use match: latest",
        )
    if match is Match.ALL and upstream.schedule is not None and upstream.schedule.event:
        _say(
            report,
            entry,
            "W231",
            path,
            f"match: all does not see the runs of '{upstream.id}', which runs on events",
            "all counts ticks of schedules; ticks of events are no part of any window",
            "use match: latest, or give the upstream a schedule by time",
        )
    if match is Match.ALL and job.schedule is None and not _had_schedule(entry):
        _say(
            report,
            entry,
            "E207",
            path,
            f"'{job.id}' has no schedule of its own, so match: all has no window",
            "all means every tick of the upstream since this job's previous schedule tick",
            "give the job a schedule, or remove the match",
        )
    if not upstream.enabled and job.enabled:
        _say(
            report,
            entry,
            "W202",
            path,
            f"the upstream '{upstream.id}' is disabled",
            f"it has no new ticks, so '{job.id}' sees only its old ones or none",
            f"enable '{upstream.id}', or remove it from depends_on",
        )
    if match is Match.SAME and _never_meet(entry, other, view):
        _say(
            report,
            entry,
            "W201",
            path,
            f"the schedules of '{job.id}' and '{upstream.id}' never meet",
            "match: same wants a tick of the upstream at the very same instant, so every run is skipped",
            "use match: latest or all, or align the schedules",
        )


def _never_meet(entry: Entry, other: Entry, view: View) -> bool:
    first, second = entry.job.schedule, other.job.schedule
    return first is not None and second is not None and not ever_meet(first, second, midnight_of(view.now))


def _had_schedule(entry: Entry) -> bool:
    return "schedule" in entry.document.data["jobs"][entry.job.id]


def may_close_a_cycle(changed: Collection[str], before: Mapping[str, Entry], now: Mapping[str, Entry]) -> bool:
    """Whether jobs that had no cycle may have one, now that the `changed` ones are different.

    A new cycle leads through a job with a new edge, so only what lies above those is looked at.
    """
    pairs = [(before.get(id), now[id]) for id in changed if id in now]
    return any(
        _is_above_itself(entry.job.id, now)
        for old, entry in pairs
        if entry.job.depends_on and (old is None or old.job.depends_on != entry.job.depends_on)
    )


def _is_above_itself(id: str, entries: Mapping[str, Entry]) -> bool:
    found, frontier = {id}, [id]
    while frontier:
        at = frontier.pop()
        for edge in entries[at].job.depends_on if at in entries else ():
            if edge.job == id and at != id:
                return True
            if edge.job not in found:
                found.add(edge.job)
                frontier.append(edge.job)
    return False


def check_cycles(view: View, report: Report) -> None:
    """Report cycles, each with the place of its edges, up to CYCLES_MAX of them.

    A job that waits for itself has been told already; its edge is left out here.
    """
    # A job that waits for nobody is in none.
    jobs = {id: _without(entry.job, id) for id, entry in view.entries.items() if entry.job.depends_on}
    for _ in range(CYCLES_MAX):
        try:
            Graph(jobs)
            return
        except CycleFound as error:
            pairs = _edges_of(error.path, jobs)
        _tell_cycle(pairs, view, report)
        # Without this edge the cycle is gone, and the next one shows.
        downstream, upstream = pairs[0]
        jobs[downstream] = _without(jobs[downstream], upstream)


def _without(job: Job, upstream: str) -> Job:
    if not any(edge.job == upstream for edge in job.depends_on):
        return job
    return job._replace(depends_on=tuple(edge for edge in job.depends_on if edge.job != upstream))


def _edges_of(path: tuple[str, ...], jobs: Mapping[str, Job]) -> list[tuple[str, str]]:
    """Return the cycle's edges as (downstream, upstream), from each to what it waits for."""
    pairs = list(pairwise(path))
    forward = all(any(edge.job == second for edge in jobs[first].depends_on) for first, second in pairs)
    return pairs if forward else [(second, first) for first, second in reversed(pairs)]


def _tell_cycle(pairs: list[tuple[str, str]], view: View, report: Report) -> None:
    steps = []
    for downstream, upstream in pairs[:CYCLE_EDGES_MAX]:
        entry = view.entries[downstream]
        place = entry.document.source.at(_edge_index(entry, upstream))
        steps.append(f"'{downstream}' waits for '{upstream}' ({place})")
    names = [pairs[0][0], *(upstream for _, upstream in pairs[:CYCLE_EDGES_MAX])]
    more = len(pairs) - CYCLE_EDGES_MAX
    if more > 0:
        steps.append(f"and {counted(more, 'more edge')}")
        names += [f"{more - 1} more", pairs[0][0]]
    first = view.entries[pairs[0][0]]
    path = _edge_path(first, pairs[0][1])
    message = f"dependency cycle: {' -> '.join(names)}"
    _say(report, first, "E204", path, message, "; ".join(steps), "remove one of these edges")


def _edge_path(entry: Entry, upstream: str) -> tuple[str | int, ...]:
    return next(path for name, _, path in _edges(entry) if name == upstream)


def _edge_index(entry: Entry, upstream: str) -> int:
    return entry.document.index(entry.path(*_edge_path(entry, upstream)))


# ---------------------------------------------------------------- pools, handlers, outputs


def _check_pool(entry: Entry, view: View, report: Report) -> None:
    job = entry.job
    assert job.pool is not None, "asked for jobs with a pool"
    if job.pool not in view.pools:
        if view.is_whole:
            meant = report.guess(job.pool, view.pools)
            fix = f"did you mean '{meant}'?" if meant else f"declare it: pools: {{{job.pool}: 2}}"
            _say(
                report,
                entry,
                "E205",
                ("pool",),
                f"unknown pool '{job.pool}'",
                "a pool's capacity must be declared in one of the files",
                fix,
            )
        return
    capacity = view.pools[job.pool]
    if capacity is not None and job.slots > capacity:
        step = ("slots",) if "slots" not in entry.dropped else ("pool",)
        _say(
            report,
            entry,
            "E206",
            step,
            f"'{job.id}' wants {job.slots} slots, the pool '{job.pool}' has {capacity}",
            "it could never start",
            f"lower slots:, or raise the pool to {job.slots}",
        )


def _check_handler(entry: Entry, view: View, report: Report) -> None:
    name = entry.job.handler
    if name == "agent" and view.is_whole:
        telling.check_agent(entry, view.named["agents"], report)
    if name not in view.handlers:
        meant = report.guess(name, view.handlers)
        fix = f"did you mean '{meant}'?" if meant else f"use one of {', '.join(sorted(view.handlers))}, or install it"
        if name in ("shell", "sh", "bash", "command"):
            fix = "write run: for a command"
        _say(
            report,
            entry,
            "E110",
            ("handler",),
            f"unknown handler '{short(name)}'",
            "handlers are built in, or come with an installed plug-in",
            fix,
        )


def _check_outputs(entry: Entry, report: Report) -> None:
    if "depends_on" in entry.dropped:
        return
    upstreams = {edge.job for edge in entry.job.depends_on}
    for name, value in entry.job.env.items():
        if isinstance(value, OutputRef) and value.job not in upstreams:
            meant = report.guess(value.job, upstreams)
            fix = f"did you mean '{meant}'?" if meant else f"add '{value.job}' to depends_on"
            own = entry.document.data["jobs"][entry.job.id].get("env") or {}
            base = ("jobs", entry.job.id) if name in own else ("defaults",)
            said = Complaint(
                "E208",
                (*base, "env", name, "job"),
                f"'{value.job}' is no upstream of '{entry.job.id}'",
                "outputs are handed on by the jobs in depends_on only",
                fix,
            )
            report.complain(entry.document, said)
