"""`dagsched doctor`: whether this machine and this state are fit for it, with a fix for each finding.

Exit code 0 when nothing is wrong (warnings may be there), 1 when something is, 4 when the state is unusable.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import stat
import sys
import zoneinfo
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import dagsched
from dagsched.cli.output import print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import job_files, state_dir
from dagsched.cli.remote import ask
from dagsched.cli.status import errors_in
from dagsched.clock import SystemClock
from dagsched.counting import counted
from dagsched.errors import DagschedError, StoreError, StoreMissing, UsageError
from dagsched.model import Config

FREE_BYTES_MIN = 100 * 2**20
OLDEST_SQLITE = (3, 35)
"""The first with RETURNING and the fix of a WAL-reset corruption that matters under several readers."""

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `level` is ok, warning or error; `fix` is empty when all is well."""

    name: str
    level: str
    detail: str
    fix: str = ""
    exit_code: int = 1


def arguments(parser: Parser) -> None:
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    checks = [*environment(), *time_zones(), *_job_files(args), *_state(args)]
    if args.json:
        print_rows({"check": c.name, "level": c.level, "detail": c.detail, "fix": c.fix} for c in checks)
    else:
        print_table(("check", "level", "detail", "fix"), [[c.name, c.level, c.detail, c.fix] for c in checks])
    return max((check.exit_code for check in checks if check.level == ERROR), default=0)


def environment() -> Iterator[Check]:
    """Check the interpreter and SQLite."""
    python = ".".join(map(str, sys.version_info[:3]))
    yield Check("version", OK, f"dagsched {dagsched.__version__}, Python {python}")
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        yield Check("sqlite", ERROR, sqlite3.sqlite_version, "use a Python with SQLite 3.35 or newer")
    else:
        yield Check("sqlite", OK, sqlite3.sqlite_version)


def time_zones(paths: tuple[str, ...] = zoneinfo.TZPATH) -> Iterator[Check]:
    """Check how old the rules of time zones are; Python prefers the system's to the tzdata package's."""
    import tzdata

    ours = tzdata.IANA_VERSION
    system = _system_zones(paths)
    if system is None:
        yield Check("time zones", OK, f"{ours} of the tzdata package")
    elif system < ours:
        yield Check(
            "time zones",
            WARNING,
            f"the system's are {system}, older than {ours} of the tzdata package",
            "update the system's tzdata, or set PYTHONTZPATH= to use the package's",
        )
    else:
        yield Check("time zones", OK, f"{system} of the system")


def _system_zones(paths: tuple[str, ...]) -> str | None:
    """Return the version of the system's rules; None when there are none or they do not say."""
    for path in paths:
        for name, prefix in (("tzdata.zi", "# version "), ("+VERSION", "")):
            file = Path(path, name)
            if file.is_file():
                with file.open(encoding="utf-8") as lines:
                    return lines.readline().removeprefix(prefix).strip()
    return None


def _job_files(args: argparse.Namespace) -> Iterator[Check]:
    from dagsched.config import load

    try:
        files = job_files(args.paths)
    except UsageError:
        yield Check("job files", WARNING, "none here", "write one with `dagsched init`, or name it with --file")
        return
    names = ", ".join(map(str, files))
    loaded = load(files, SystemClock().now())
    if loaded.config is None:
        words = f"{names}: {counted(len(loaded.problems), 'problem')}"
        yield Check("job files", ERROR, words, "see `dagsched validate`", 3)
    elif loaded.problems:
        words = f"{names}: {counted(len(loaded.problems), 'warning')}"
        yield Check("job files", WARNING, words, "see `dagsched validate`")
    else:
        yield Check("job files", OK, f"{names}: {counted(len(loaded.config.jobs), 'job')}")
    if loaded.config is not None:
        yield from _secrets(loaded.config)


def _secrets(config: Config) -> Iterator[Check]:
    """Check who may read the files that secrets are in; whether they can be found only the daemon's account knows."""
    from dagsched.handlers.secrets import exposed_files

    for path in exposed_files(config):
        yield Check("secrets", WARNING, f"everybody on this machine may read {path}", f"chmod o-r {path}")


def _state(args: argparse.Namespace) -> Iterator[Check]:
    try:
        home = state_dir(args)
    except UsageError:
        return
    if not home.is_dir():
        yield Check("state", OK, f"none yet in {home}")
        return
    yield from permissions(home)
    yield disk(home)
    yield from asyncio.run(_store(home))
    yield from told(home)
    yield from asyncio.run(_daemon(home))


def told(home: Path) -> Iterator[Check]:
    """Check whether people were told what they were to be told."""
    from dagsched.stores.notices import Notices

    try:
        with closing(Notices(home, write=False)) as notices:
            counts = notices.counts()
    except StoreMissing:
        return
    except StoreError as error:
        yield Check("notifications", ERROR, str(error), "move the file away; a new one begins where the log ends")
        return
    lost = counts.get("failed", 0) + counts.get("dropped", 0)
    if lost:
        yield Check("notifications", WARNING, f"{lost} not delivered", "see `dagsched notifications --failed`")
    else:
        yield Check("notifications", OK, f"{counts.get('waiting', 0)} waiting")


def permissions(home: Path) -> Iterator[Check]:
    """Check that the state is ours alone: output and parameters are in it, and orders come through it."""
    found = home.stat()
    mode = stat.S_IMODE(found.st_mode)
    if found.st_uid != os.geteuid():
        yield Check("owner", WARNING, f"{home} belongs to user {found.st_uid}", "run dagsched as its owner")
    if mode & 0o077:
        yield Check("permissions", ERROR, f"{home} is open to others (mode {mode:04o})", f"chmod 700 '{home}'")
    elif not os.access(home, os.W_OK):
        yield Check("permissions", ERROR, f"{home} may not be written", f"chmod 700 '{home}'", 4)
    else:
        yield Check("permissions", OK, f"{home} has mode {mode:04o}")


def disk(home: Path, free_bytes_min: int = FREE_BYTES_MIN) -> Check:
    """Check that there is room: on a full disk nothing new starts."""
    free = shutil.disk_usage(home).free
    detail = f"{free // 2**20} MiB free"
    if free < free_bytes_min:
        return Check("disk", WARNING, detail, f"make room, or `dagsched prune --state-dir '{home}'`")
    return Check("disk", OK, detail)


async def _store(home: Path) -> list[Check]:
    from dagsched.stores import open_store

    store = open_store(home)
    try:
        await store.open(write=False)
        found = list(await store.check())
    except StoreMissing:
        return [Check("store", OK, "nothing stored yet")]
    except DagschedError as error:
        return [Check("store", ERROR, str(error), "restore it from a backup, or start anew elsewhere", 4)]
    finally:
        await store.close()
    if not found:
        return [Check("store", OK, "sound")]
    return [Check("store", ERROR, sentence, "restore it from a backup", 4) for sentence in found]


async def _daemon(home: Path) -> list[Check]:
    try:
        answer = await ask(home, "status", {})
    except (DagschedError, OSError) as error:
        return [Check("daemon", ERROR, str(error), "see its log, or restart it", 4)]
    if answer is None:
        return [Check("daemon", OK, "not running")]
    if answer["health"] != "ok":
        return [Check("daemon", ERROR, answer["health"], "see `dagsched status`", 4)]
    if errors := errors_in(answer):
        detail = f"running on an older configuration: {counted(len(errors), 'error')} in the files"
        return [Check("daemon", ERROR, detail, "see `dagsched validate`", 3)]
    return [Check("daemon", OK, f"running, process {answer['pid']}")]
