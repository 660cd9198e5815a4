"""Registering and removing jobs while the daemon runs: checked with all others first, then a file, then a reload."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagsched import registered
from dagsched.config import Problem, load_texts
from dagsched.errors import ConfigInvalid, Refused, Unknown
from dagsched.model import Config

if TYPE_CHECKING:
    from dagsched.daemon import Daemon


async def register(daemon: Daemon, id: str, text: str, *, may_command: bool) -> Mapping[str, Any]:
    """Put one job in force, new or in place of its registered self; return what became of it.

    Raises Refused for an id that a job file declares and for a job that may not be given this way, ConfigInvalid
    with places in `text`.
    """
    path = registered.path_of(daemon.state_dir, id)
    before = daemon.config.jobs.get(id)
    if before is not None and before.position is not None and before.position.file != str(path):
        raise Refused(f"{id} is declared in {before.position}; a registered job never takes a file's place")
    is_new = str(path) not in daemon.config.files
    content = registered.file_text(id, text)
    config, problems = await _checked(daemon, {**daemon.config.files, str(path): content}, path)
    for job in registered.jobs_in(config, path):
        if not may_command and (why := registered.commanding(job)):
            raise Refused(f"{job.id} may not be registered: {why}; `dagsched run --allow-api-commands` lets it be")
    last = path.read_text(encoding="utf-8") if path.exists() else None
    registered.write(path, content)
    await daemon.reload()
    # Of a matrix there are several, and none has the id itself.
    if daemon.config.files.get(str(path)) != content:
        # A job file was changed at this very moment, and the two do not go together.
        _put_back(path, last)
        await daemon.reload()
        raise Refused(f"{id} does not go together with the job files as they are now; `dagsched status` says why")
    warnings = [problem._asdict() for problem in problems]
    return {"job": id, "created": is_new, "number": daemon.number, "problems": warnings}


async def unregister(daemon: Daemon, id: str) -> Mapping[str, Any]:
    """Take a registered job out of force; raises Unknown, Refused for a job of a file, ConfigInvalid if others need it.

    Its runs stay on record; a running attempt finishes.
    """
    path = registered.path_of(daemon.state_dir, id)
    if not path.exists():
        job = daemon.config.jobs.get(id)
        if job is not None:
            raise Refused(f"{id} is declared in {job.position}; remove it there")
        raise Unknown("job", id, get_close_matches(id, list(daemon.config.jobs), 3))
    await _checked(daemon, {file: text for file, text in daemon.config.files.items() if file != str(path)}, path)
    path.unlink()
    assert daemon.job_files is not None, "only a daemon that stays answers verbs"
    daemon.job_files.forget(path)
    await daemon.reload()
    return {"job": id, "number": daemon.number}


async def _checked(daemon: Daemon, files: Mapping[str, str], path: Path) -> tuple[Config, list[Problem]]:
    loaded = await asyncio.to_thread(load_texts, files, daemon.clock.now())
    told = [registered.told_in_text(problem, path) for problem in loaded.problems]
    if loaded.config is None:
        raise ConfigInvalid([problem for problem in told if problem.is_error])
    return loaded.config, [problem for problem in told if problem.file == "body"]


def _put_back(path: Path, last: str | None) -> None:
    if last is None:
        path.unlink(missing_ok=True)
    else:
        registered.write(path, last)
