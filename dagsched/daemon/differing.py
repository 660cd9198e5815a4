"""Whether the job files of a machine that stands by are those in force, and which it takes over with if not.

The active scheduler reads its own files and stores what it puts in force. One that stood by goes on with what is
stored, so that a death changes nothing but the machine. What its own files say, when they differ, depends on who moved:
were they once what is still in force, they have been edited meanwhile, and the active one died before it had that edit,
so it is put in force next. Were they never that, they may as well be an old copy; then they count from their next
change on, or when somebody asks for a reload.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from dagsched.config import load_texts
from dagsched.counting import counted
from dagsched.errors import StoreError
from dagsched.model import Config, ConfigVersion
from dagsched.stores.contract import Store

if TYPE_CHECKING:
    from dagsched.daemon.jobfiles import JobFiles
    from dagsched.reload import Reading

log = logging.getLogger("dagsched.daemon")

LOOK_S = 5.0


class Differing:
    """What a scheduler says of its own files, in words that are "" while they are in force.

    `made`: makes the job files of this machine, given the configuration in force. `heard` is told when the words
    change.
    """

    def __init__(self, store: Store, made: Callable[[ConfigVersion], JobFiles], heard: Callable[[str], None]) -> None:
        self.words = ""
        self.ignored = ""  # the digest of what the files say, when that is not to be put in force
        self.is_edited = False  # whether the files hold an edit that the one before did not live to put in force
        self._agreed = ""  # the digest of the configuration in force that the files last were
        self._store, self._made, self._heard = store, made, heard
        self._task: asyncio.Task[None] | None = None

    @property
    def has_stood_by(self) -> bool:
        return self._task is not None

    def begin(self) -> None:
        """Look now and then from here on."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._watch())

    async def end(self) -> None:
        """Look no more; the words stay as they are."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def say(self, words: str) -> None:
        """Say it loudly, once; "" takes it back."""
        if words != self.words:
            self.words = words
            if words:
                log.error("%s", words)
            else:
                log.warning("the job files here are those in force again")
            self._store.remark(words)
            self._heard(words)

    def taken_over(self, reading: Reading, last: ConfigVersion, now: datetime) -> Config | None:
        """Return what to begin with: the configuration in force, and not what the files of this machine make of it.

        None when this release cannot read it any more.
        """
        if reading.config is not None and reading.config.digest == last.digest:
            return reading.config
        self.is_edited = reading.config is not None and self._agreed == last.digest
        words = f"takes over with configuration {last.number} as it is stored; {difference(reading, last)}. "
        if self.is_edited:
            self.say(words + "They were edited while this scheduler stood by, so they come into force next")
        else:
            self.ignored = reading.config.digest if reading.config is not None else ""
            self.say(words + "They count once they are changed, or at `dagsched reload`")
        return load_texts(last.files, now).config

    def is_ignored(self, config: Config, *, is_asked: bool) -> bool:
        """Whether what the files say is not to be put in force: they did not change, and nobody asked."""
        if config.digest == self.ignored and not is_asked:
            return True
        self.ignored = ""
        self.say("")
        return False

    async def go_on_ignoring(self, job_files: JobFiles) -> None:
        """Ignore as before what the files of this machine say, though they are read with other texts from now on."""
        if self.ignored:
            reading, _ = await job_files.read()
            self.ignored = reading.config.digest if reading.config is not None else self.ignored

    async def _watch(self) -> None:
        job_files, number = None, 0
        while True:
            try:
                last = next(iter(await self._store.configs(limit=1)), None)
                if last is not None:
                    if job_files is None or last.number != number:
                        job_files, number = self._made(last), last.number
                    reading, _ = await job_files.read(trust_stamps=True)
                    if reading.config is not None and reading.config.digest == last.digest:
                        self._agreed = last.digest
                    self.say(difference(reading, last))
            except StoreError as error:
                log.debug("what is in force cannot be seen: %s", error)
            await asyncio.sleep(LOOK_S)


def difference(reading: Reading, last: ConfigVersion) -> str:
    """Return in words how the files of a machine differ from the configuration in force, "" when they do not."""
    errors = [problem for problem in reading.problems if problem.is_error]
    if errors:
        where = f"{errors[0].file}:{errors[0].line}"
        return f"{counted(len(errors), 'problem')} in the job files here, the first at {where}: {errors[0].message}"
    if reading.config is None or reading.config.digest == last.digest:
        return ""
    texts = reading.config.files
    names = sorted(name for name in {*texts, *last.files} if texts.get(name) != last.files.get(name))
    return f"the job files here are not those of configuration {last.number}, which is in force: {', '.join(names)}"
