"""`dagsched status`: the daemon, the configuration in force with its problems, and every job.

What has happened comes from the store, daemon or not; a running daemon adds what only it knows (its process,
problems of a changed file, what it is waiting for).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dagsched.cli.coming import Ahead, Coming
from dagsched.cli.output import print_json, print_table, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, reading
from dagsched.cli.remote import ask
from dagsched.cli.rows import reason_of, run_row
from dagsched.cli.times import distance, instant_or_none
from dagsched.clock import SystemClock
from dagsched.errors import StoreError
from dagsched.model import (
    ACTIVE,
    Config,
    ConfigVersion,
    JobMark,
    Request,
    Run,
    RunState,
    format_instant,
    parse_run_name,
)

_WAITING = ("waiting", "queued", "retrying")
_MOST_URGENT = (RunState.RUNNING, RunState.RETRYING, RunState.QUEUED, RunState.WAITING)


@dataclass(frozen=True, slots=True)
class JobLine:
    """What is known of one job: `run` is its most active run, else its newest; `blocked`: what that waits for."""

    job: str
    enabled: bool
    paused: datetime | None
    run: Run | None
    next: Coming | None
    counts: Mapping[str, int]
    removed: bool = False
    on_event: str = ""
    blocked: str = ""

    @property
    def state(self) -> str:
        """Return what to know first: a run under way, else why nothing will be, else the last end."""
        if self.run is not None and self.run.state in ACTIVE:
            return str(self.run.state)
        if self.removed:
            return "removed"
        if not self.enabled:
            return "disabled"
        if self.paused is not None:
            return "paused"
        return str(self.run.state) if self.run is not None else ""


@dataclass(frozen=True, slots=True)
class Status:
    """All that `status` shows.

    `daemon`: its own answer, None when none runs; `requests`: left for the next one; `undelivered`: messages that
    nobody got.
    """

    home: Path
    now: datetime
    daemon: Mapping[str, Any] | None
    version: ConfigVersion | None
    jobs: Sequence[JobLine]
    requests: Sequence[Request] = ()
    undelivered: int = 0


def arguments(parser: Parser) -> None:
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    status = asyncio.run(_read(args))
    if args.json:
        print_json(_as_json(status))
    else:
        _print_for_people(status)
    return 0


async def _read(args: argparse.Namespace) -> Status:
    home, now = state_dir(args), SystemClock().now()
    daemon = await ask(home, "status", {})
    async with reading(home, quiet=True) as store:
        in_force = await config_in_force(store)
        snapshot = await store.snapshot({})
        counts = await store.counts()
    config = in_force[1] if in_force else None
    # Without a daemon the files are what the next start will use, so their coming ticks are shown.
    if daemon is None:
        config = load_config_if_any(args.paths) or config
    marks = {mark.job: mark for mark in snapshot.marks}
    blocked = _by_job(daemon.get("blocked", {}) if daemon else {})
    jobs = [
        replace(line, blocked=blocked.get(line.job, "") if line.state in _WAITING else "")
        for line in _job_lines(config, marks, snapshot.runs, counts, now)
    ]
    version = in_force[0] if in_force else None
    return Status(home, now, daemon, version, jobs, snapshot.requests, _undelivered(home))


def _undelivered(home: Path) -> int:
    """Return how many messages are dead letters; 0 when there is no queue, or none that can be read."""
    from dagsched.stores.notices import Notices

    try:
        with closing(Notices(home, write=False)) as notices:
            counts = notices.counts()
    except StoreError:
        return 0  # `doctor` says what is wrong with it
    return counts.get("failed", 0) + counts.get("dropped", 0)


def _by_job(blocked: Mapping[str, str]) -> dict[str, str]:
    return {parse_run_name(name)[0]: words for name, words in blocked.items()}


def _job_lines(
    config: Config | None,
    marks: Mapping[str, JobMark],
    runs: Iterable[Run],
    counts: Mapping[str, Mapping[str, int]],
    now: datetime,
) -> Iterable[JobLine]:
    newest = _most_telling(runs)
    declared = config.jobs if config else {}
    ahead = Ahead(config, marks) if config else None
    for id, job in declared.items():
        mark = marks.get(id)
        coming = ahead.next(id, now) if ahead else None
        paused = mark.paused if mark else None
        on_event = ahead.events_of(id) if ahead and coming is None else ""
        yield JobLine(
            id, job.enabled, paused, newest.get(id), coming, _in_order(counts.get(id, {})), on_event=on_event
        )  # fmt: skip
    for id in sorted((newest.keys() | counts.keys()) - declared.keys()):
        yield JobLine(id, True, None, newest.get(id), None, _in_order(counts.get(id, {})), removed=config is not None)


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many runs are in each state that occurs, in the order of a run's life."""
    return {str(state): counts[str(state)] for state in RunState if counts.get(str(state))}


def _most_telling(runs: Iterable[Run]) -> dict[str, Run]:
    """Return each job's most active run, else its newest."""
    found: dict[str, Run] = {}
    for run in runs:
        known = found.get(run.job)
        if known is None or _urgency(run) > _urgency(known):
            found[run.job] = run
    return found


def _urgency(run: Run) -> tuple[int, datetime]:
    rank = len(_MOST_URGENT) - _MOST_URGENT.index(run.state) if run.state in _MOST_URGENT else 0
    return rank, run.tick


def _as_json(status: Status) -> dict[str, Any]:
    return {
        "state_dir": str(status.home),
        "daemon": _daemon_row(status.daemon),
        "config": _config_row(status.version),
        "requests": [_request_row(request) for request in status.requests],
        "undelivered": status.undelivered,
        "jobs": [_job_row(line) for line in status.jobs],
    }


def _daemon_row(daemon: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the daemon said of itself; `running` says whether there is one, `runs` which runs it has going."""
    if daemon is None:
        return {"running": False}
    return {**daemon, "running": True, "runs": daemon["running"]}


def _config_row(version: ConfigVersion | None) -> dict[str, Any] | None:
    if version is None:
        return None
    return {
        "number": version.number,
        "applied": format_instant(version.applied),
        "digest": version.digest,
        "files": list(version.files),
        "summary": version.summary,
    }


def _request_row(request: Request) -> dict[str, Any]:
    return {"time": format_instant(request.time), "verb": request.verb, "body": dict(request.body)}


def _job_row(line: JobLine) -> dict[str, Any]:
    return {
        "job": line.job,
        "state": line.state,
        "enabled": line.enabled,
        "paused": instant_or_none(line.paused),
        "removed": line.removed,
        "blocked": line.blocked or None,
        "last": run_row(line.run) if line.run else None,
        "next": _next_row(line.next) if line.next else None,
        "on_event": line.on_event,
        "counts": dict(line.counts),
    }


def _next_row(coming: Coming) -> dict[str, str]:
    return {"tick": format_instant(coming.tick), "local": coming.local.isoformat(), "note": coming.note}


def _print_for_people(status: Status) -> None:
    for line in _headlines(status):
        print(printable(line))
    print_table(
        ("job", "state", "last", "next", "ok", "failed", "reason"),
        [_cells(line, status.now) for line in status.jobs],
        right=("ok", "failed"),
    )


def _headlines(status: Status) -> Iterable[str]:
    daemon = status.daemon
    if daemon is None:
        yield f"daemon    not running ({status.home})"
    else:
        yield f"daemon    running, process {daemon['pid']} ({status.home})"
    version = status.version
    if version is not None:
        files = ", ".join(Path(name).name for name in version.files)
        yield f"config    {version.number}, in force since {format_instant(version.applied)} ({files})"
    if daemon is not None:
        yield from _troubles(daemon)
    if status.undelivered:
        yield f"told      {status.undelivered} not delivered, see `dagsched notifications --failed`"
    for request in status.requests:
        subject = request.body.get("job") or request.body.get("run") or request.body.get("event") or ""
        yield f"to do     {request.verb} {subject} at the next start"


def _troubles(daemon: Mapping[str, Any]) -> Iterable[str]:
    """Yield what keeps the daemon from its work, and why files that changed are not in force."""
    if daemon["health"] != "ok":
        yield f"trouble   {daemon['health']}"
    if daemon["stopping"]:
        yield "stopping  nothing new is started"
    for problem in errors_in(daemon):
        yield f"problem   {problem['file']}:{problem['line']}:{problem['column']}: {problem['message']}"


def errors_in(daemon: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the problems for which a changed job file was not taken over; warnings are none."""
    return [problem for problem in daemon["problems"] if problem["severity"] == "error"]


def _cells(line: JobLine, now: datetime) -> list[str]:
    failed = line.counts.get("failed", 0) + line.counts.get("upstream_failed", 0)
    return [
        line.job,
        line.state,
        _last(line.run, now),
        distance(line.next.tick, now) if line.next else line.on_event,
        str(line.counts.get("success", 0)),
        str(failed),
        _reason(line),
    ]


def _reason(line: JobLine) -> str:
    """Return what a run says of itself, else what holds its job back."""
    if line.run is not None and (reason_of(line.run) or line.blocked):
        return "; ".join(filter(None, (reason_of(line.run), line.blocked)))
    if line.removed:
        return ""
    if not line.enabled:
        return "disabled in its file"
    return f"paused since {format_instant(line.paused)}" if line.paused is not None else ""


def _last(run: Run | None, now: datetime) -> str:
    if run is None:
        return ""
    moment = run.ended or run.started or run.tick
    # What ended while the state was read is later than `now`.
    return distance(min(moment, now - timedelta(milliseconds=1)), now)
