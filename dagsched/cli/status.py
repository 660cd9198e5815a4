"""`dagsched status`: the daemon, the configuration in force with its problems, and every job.

What has happened comes from the store, daemon or not; a running daemon adds what only it knows (its process,
problems of a changed file, what it is waiting for).
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from dagsched.cli.far import far, url_of
from dagsched.cli.output import print_json, print_table, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, reading
from dagsched.cli.remote import ask
from dagsched.cli.times import distance
from dagsched.clock import SystemClock
from dagsched.counting import counted
from dagsched.model import Run, format_instant
from dagsched.stores.fleet import WorkerRow
from dagsched.views.rows import reason_of
from dagsched.views.status import JobLine, Status, read_status, status_doc, status_of


def arguments(parser: Parser) -> None:
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    status = asyncio.run(_read(args))
    if args.json:
        print_json(status_doc(status))
    else:
        _print_for_people(status)
    return 0


async def _read(args: argparse.Namespace) -> Status:
    now = SystemClock().now()
    if (url := url_of(args)) is not None:
        async with far(args, url) as there:
            return status_of(await there.get("/status"), now)
    home = state_dir(args)
    daemon = await ask(home, "status", {})
    async with reading(home, quiet=True) as store:
        version, config = await config_in_force(store) or (None, None)
        # Without a daemon the files are what the next start will use, so their coming ticks are shown.
        if daemon is None:
            config = load_config_if_any(args.paths) or config
        return await read_status(store, home, now, daemon, version, config)


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
    if daemon is None and any(each.is_active for each in status.schedulers):
        # Also while one of this state directory stands by: it answers nobody yet.
        yield f"daemon    not active here ({status.home})"
    elif daemon is None and status.held_by:
        # It answers once it is up and until it has ended its attempts; `run --once` answers nobody.
        yield f"daemon    starting, stopping or `run --once`: {status.held_by} ({status.home})"
    elif daemon is None:
        yield f"daemon    not running ({status.home})"
    else:
        yield f"daemon    {'stopping' if daemon['stopping'] else 'running'}, process {daemon['pid']} ({status.home})"
    if status.store:
        yield f"store     {status.store}"
    for each in status.schedulers:
        yield f"{'active' if each.is_active else 'standby':<9} {each.words}"
    if status.workers:
        yield f"workers   {_crowd(status.workers)}"
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


def _crowd(workers: Sequence[WorkerRow]) -> str:
    """Return how many workers there are, and how busy."""
    alive = [each for each in workers if each.is_alive]
    busy, slots = sum(each.running for each in alive), sum(each.slots for each in alive)
    gone = f", {len(workers) - len(alive)} gone" if len(alive) < len(workers) else ""
    return f"{len(alive)} here{gone}; {busy} of {slots} slots busy"


def _troubles(daemon: Mapping[str, Any]) -> Iterable[str]:
    """Yield what keeps the daemon from its work, and why files that changed are not in force."""
    if daemon["health"] != "ok":
        yield f"trouble   {daemon['health']}"
    if daemon["stopping"]:
        until, under_way = daemon.get("grace_until"), len(daemon["running"])
        rest = f"; {counted(under_way, 'run')} under way, ended at {until}" if until and under_way else ""
        yield f"stopping  nothing new is started{rest}"
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
