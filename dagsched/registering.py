"""Registering and removing jobs while the daemon runs: checked with all others first, then put in force with them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagsched import registered
from dagsched.closest import get_close_matches
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
    content = registered.file_text(id, text)
    async with daemon.reloading:
        known = registered.found(daemon.config.files, id)
        file = known or registered.file_of(daemon.folder, id)
        before = daemon.config.jobs.get(id)
        if before is not None and before.position is not None and before.position.file != file:
            raise Refused(f"{id} is declared in {before.position}; a registered job never takes a file's place")
        config, problems = await _checked(daemon, {**daemon.config.files, file: content}, file)
        for job in registered.jobs_in(config, file):
            if not may_command and (why := registered.commanding(job)):
                raise Refused(f"{job.id} may not be registered: {why}; `dagsched run --allow-api-commands` lets it be")
        await daemon.put_text(config, file, content)
        warnings = [problem._asdict() for problem in problems]
        return {"job": id, "created": known is None, "number": daemon.number, "problems": warnings}


async def unregister(daemon: Daemon, id: str) -> Mapping[str, Any]:
    """Take a registered job out of force; raises Unknown, Refused for a job of a file, ConfigInvalid if others need it.

    Its runs stay on record; a running attempt finishes.
    """
    async with daemon.reloading:
        file = registered.found(daemon.config.files, id)
        if file is None:
            job = daemon.config.jobs.get(id)
            if job is not None:
                raise Refused(f"{id} is declared in {job.position}; remove it there")
            raise Unknown("job", id, get_close_matches(id, list(daemon.config.jobs), 3))
        files = {each: text for each, text in daemon.config.files.items() if each != file}
        config, _ = await _checked(daemon, files, file)
        await daemon.put_text(config, file, None)
        return {"job": id, "number": daemon.number}


async def _checked(daemon: Daemon, files: Mapping[str, str], file: str) -> tuple[Config, list[Problem]]:
    loaded = await asyncio.to_thread(load_texts, files, daemon.clock.now())
    told = [registered.told_in_text(problem, file) for problem in loaded.problems]
    if loaded.config is None:
        raise ConfigInvalid([problem for problem in told if problem.is_error])
    return loaded.config, [problem for problem in told if problem.file == "body"]
