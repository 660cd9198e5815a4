"""The daemon's job files: what they say, what is wrong with them now, and when they change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dagsched.clock import Clock
from dagsched.config import Problem, render, rows
from dagsched.registered import among
from dagsched.reload import REMOVAL_DELAY, ConfigWatcher, Reading, Sources

log = logging.getLogger("dagsched.daemon")

WATCH_AGAIN_S = 10.0


class JobFiles:
    """What stands in `files` (absolute paths) is read as a whole; a bad file's last good text stands in for it.

    `last_good`: absolute path → text of the configuration last in force. Those of registered jobs stand in no file, and
    are read with the others all the same. `problems` and `reverted` are those of the newest reading.
    """

    def __init__(self, files: Sequence[Path], last_good: Mapping[str, str], clock: Clock) -> None:
        self.problems: tuple[Problem, ...] = ()
        self.reverted: tuple[str, ...] = ()
        self._files, self._clock = files, clock
        self._sources = Sources(files, last_good, among(last_good))

    async def read(self, *, trust_stamps: bool = False) -> tuple[Reading, list[Problem]]:
        """Read all files, or with `trust_stamps` those that changed; return what they amount to, and errors if new.

        New problems are told to the log. Long files are read beside the loop, which goes on.
        """
        reading = await asyncio.to_thread(self._sources.read, self._clock.now(), trust_stamps=trust_stamps)
        before, errors = _errors(self.problems), _errors(reading.problems)
        # Without any configuration there is no daemon, and its last words are these problems.
        if reading.config is not None and reading.problems != self.problems and reading.problems:
            log.warning("problems in the job files:\n%s", render(reading.problems, "human"))
        self.problems, self.reverted = reading.problems, tuple(reading.reverted)
        return reading, errors if errors != before else []

    def keep(self, file: str, text: str | None) -> None:
        """From now on read this text of a registered job with the others; None: no more."""
        self._sources.keep(file, text)

    @property
    def errors(self) -> list[Problem]:
        """Return what keeps the newest texts from being used."""
        return _errors(self.problems)

    async def removals_settled(self) -> None:
        """Wait until a file that is gone now has been gone for long enough to be meant."""
        await asyncio.sleep(REMOVAL_DELAY.total_seconds() + 0.1)

    def problem_rows(self) -> list[dict[str, Any]]:
        """Return the present problems as JSON-able rows, each with the lines of the file it shows."""
        told = zip(rows(self.problems), self.problems, strict=True)
        return [{**row, "excerpt": problem.excerpt} for row, problem in told]

    async def changes(self, tell: Callable[[str], None]) -> AsyncIterator[None]:
        """Yield at each change, for ever; `tell` hears why none can be noticed at present, and each reason once."""
        told = ""
        while True:
            try:
                async for _ in ConfigWatcher(self._files).signals():
                    told = ""
                    yield None
            except (OSError, RuntimeError, ValueError) as error:
                # Too few watches left, a folder gone while it was named, a path that is no UTF-8.
                trouble = f"changes of the job files go unnoticed until `dagsched reload`: {error}"
                if trouble != told:
                    told = trouble
                    tell(trouble)
            await asyncio.sleep(WATCH_AGAIN_S)


def _errors(problems: Sequence[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.is_error]
