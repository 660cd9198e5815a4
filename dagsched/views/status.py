"""The daemon, the configuration in force and every job, as `status` shows them.

What has happened comes from the store, daemon or not; a running daemon adds what only it knows (its process,
problems of a changed file, what it is waiting for).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

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
    parse_instant,
    parse_run_name,
)
from dagsched.stores import address_of
from dagsched.stores.contract import Scheduler, Store
from dagsched.stores.fleet import WorkerRow
from dagsched.stores.lock import holder_of
from dagsched.views.coming import Ahead, Coming, coming_of
from dagsched.views.rows import run_row
from dagsched.views.times import instant_or_none
from dagsched.views.values import instant_of, run_of

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

    `daemon`: its own answer, None when none answers; `held_by`: who has the state all the same, "" when nobody has;
    `requests`: left for the next one; `undelivered`: messages that nobody got; `store`: where the state is when several
    machines share it, else ""; `schedulers`: who writes there and who stands by; `workers`: who does jobs that name a
    queue.
    """

    home: Path
    now: datetime
    daemon: Mapping[str, Any] | None
    version: ConfigVersion | None
    jobs: Sequence[JobLine]
    requests: Sequence[Request] = ()
    undelivered: int = 0
    store: str = ""
    schedulers: Sequence[Scheduler] = ()
    workers: Sequence[WorkerRow] = ()
    held_by: str = ""


async def read_status(
    store: Store,
    home: Path,
    now: datetime,
    daemon: Mapping[str, Any] | None,
    version: ConfigVersion | None,
    config: Config | None,
) -> Status:
    """Return the state of everything: `version` and `config` are in force, `daemon` is a running one's answer."""
    snapshot = await store.snapshot({})
    counts = await store.counts()
    marks = {mark.job: mark for mark in snapshot.marks}
    jobs = list(with_blocked(job_lines(config, marks, snapshot.runs, counts, now), daemon))
    return Status(
        home, now, daemon, version, jobs, snapshot.requests, _undelivered(home), _store(home),
        await store.schedulers(), await store.workers(), holder_of(home) if daemon is None else "",
    )  # fmt: skip


def job_lines(
    config: Config | None,
    marks: Mapping[str, JobMark],
    runs: Iterable[Run],
    counts: Mapping[str, Mapping[str, int]],
    now: datetime,
    only: Container[str] | None = None,
) -> Iterable[JobLine]:
    """Yield what is known of each job: those of the configuration in its order, then those it no longer has.

    `only`: leave out the others.
    """
    newest = most_telling(runs)
    declared = config.jobs if config else {}
    ahead = Ahead(config, marks) if config else None
    for id, job in declared.items():
        if only is not None and id not in only:
            continue
        mark = marks.get(id)
        coming = ahead.next(id, now) if ahead else None
        paused = mark.paused if mark else None
        on_event = ahead.events_of(id) if ahead and coming is None else ""
        yield JobLine(
            id, job.enabled, paused, newest.get(id), coming, _in_order(counts.get(id, {})), on_event=on_event
        )  # fmt: skip
    for id in sorted((newest.keys() | counts.keys()) - declared.keys()):
        if only is not None and id not in only:
            continue
        yield JobLine(id, True, None, newest.get(id), None, _in_order(counts.get(id, {})), removed=config is not None)


def _undelivered(home: Path) -> int:
    """Return how many messages are dead letters; 0 when there is no queue, or none that can be read."""
    from dagsched.stores.notices import Notices

    try:
        with closing(Notices(home, write=False)) as notices:
            counts = notices.counts()
    except StoreError:
        return 0  # `doctor` says what is wrong with it
    return counts.get("failed", 0) + counts.get("dropped", 0)


def _store(home: Path) -> str:
    address = address_of(home)
    return address.shown if address is not None else ""


def with_blocked(lines: Iterable[JobLine], daemon: Mapping[str, Any] | None) -> Iterable[JobLine]:
    """Yield the lines with what a running daemon says that they wait for."""
    told = daemon.get("blocked", {}) if daemon else {}
    by_job: dict[str, str] = {}
    for name, words in told.items():
        by_job.setdefault(parse_run_name(name)[0], words)  # a job's oldest run stands first
    for line in lines:
        yield replace(line, blocked=by_job.get(line.job, "") if line.state in _WAITING else "")


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """Return how many runs are in each state that occurs, in the order of a run's life."""
    return {str(state): counts[str(state)] for state in RunState if counts.get(str(state))}


def most_telling(runs: Iterable[Run]) -> dict[str, Run]:
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


def status_doc(status: Status) -> dict[str, Any]:
    """Return all of it as `status --json` prints it."""
    return {
        "state_dir": str(status.home),
        "store": status.store or None,
        "schedulers": [each._asdict() for each in status.schedulers],
        "workers": [each.as_json() for each in status.workers],
        "daemon": _daemon_row(status.daemon, status.held_by),
        "config": config_row(status.version),
        "requests": [_request_row(request) for request in status.requests],
        "undelivered": status.undelivered,
        "jobs": [job_row(line) for line in status.jobs],
    }


def _daemon_row(daemon: Mapping[str, Any] | None, held_by: str) -> dict[str, Any]:
    """Return what the daemon said of itself; `running` says whether there is one, `runs` which runs it has going."""
    if daemon is None:
        return {"running": False, "held_by": held_by or None}
    return {**daemon, "running": True, "runs": daemon["running"]}


def config_row(version: ConfigVersion | None) -> dict[str, Any] | None:
    """Return what there is to know of a configuration but its texts."""
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


def job_row(line: JobLine) -> dict[str, Any]:
    """Return a job as it stands in the `jobs` of a status."""
    return {
        "job": line.job,
        "state": line.state,
        "enabled": line.enabled,
        "paused": instant_or_none(line.paused),
        "removed": line.removed,
        "blocked": line.blocked or None,
        "last": run_row(line.run) if line.run else None,
        "next": next_row(line.next) if line.next else None,
        "on_event": line.on_event,
        "counts": dict(line.counts),
    }


def next_row(coming: Coming) -> dict[str, str]:
    """Return a coming tick without its job."""
    return {"tick": format_instant(coming.tick), "local": coming.local.isoformat(), "note": coming.note}


def status_of(document: Mapping[str, Any], now: datetime) -> Status:
    """Return the status that `status_doc` told, elsewhere."""
    daemon, config = document["daemon"], document["config"]
    version = None
    if config is not None:
        files = dict.fromkeys(config["files"], "")
        version = ConfigVersion(
            config["number"], parse_instant(config["applied"]), config["digest"], files, config["summary"]
        )
    requests = [Request(0, parse_instant(row["time"]), row["verb"], row["body"]) for row in document["requests"]]
    return Status(
        Path(document["state_dir"]),
        now,
        {**daemon, "running": daemon["runs"]} if daemon["running"] else None,
        version,
        [_line_of(row) for row in document["jobs"]],
        requests,
        document["undelivered"],
        document.get("store") or "",
        [Scheduler(**row) for row in document.get("schedulers") or ()],
        [WorkerRow.of_json(row) for row in document.get("workers") or ()],
    )


def _line_of(row: Mapping[str, Any]) -> JobLine:
    coming = row["next"]
    return JobLine(
        row["job"],
        row["enabled"],
        instant_of(row["paused"]),
        run_of(row["last"]) if row["last"] else None,
        coming_of({"job": row["job"], **coming}) if coming else None,
        row["counts"],
        row["removed"],
        row["on_event"],
        row["blocked"] or "",
    )
