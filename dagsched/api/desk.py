"""What every answer is made from: the state, read by this process, and the daemon, asked over its control socket."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagsched.api.access import Access, Role
from dagsched.api.client import call
from dagsched.api.news import News
from dagsched.clock import Clock, SystemClock
from dagsched.config import Loader
from dagsched.config.build import Entry
from dagsched.errors import DagschedError, NoDaemon
from dagsched.metrics import Exporter
from dagsched.model import Config, ConfigVersion
from dagsched.stores import open_store
from dagsched.views.coming import Ahead
from dagsched.views.force import config_in_force

log = logging.getLogger("dagsched.api")

STREAMS_MAX = 100
# A flood of refusals must not fill the store: that many rows at once, then one for each REFUSAL_S.
REFUSALS_AT_ONCE = 20
REFUSAL_S = 60.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `id`: of the token or session, "" when there is none. `via`: socket, token, session, or open."""

    role: Role | None
    via: str
    id: str = ""
    name: str = ""

    @property
    def words(self) -> str:
        """Return who it is, for the event log."""
        return f"{self.via} {self.name or self.id}".rstrip()


class Desk:
    """The state directory behind the API. `url`: where it is served over TCP, "" when it is not."""

    def __init__(
        self,
        home: Path,
        *,
        has_auth: bool = True,
        allow_hosts: Iterable[str] = (),
        job_commands: bool = False,
        url: str = "",
        clock: Clock | None = None,
    ) -> None:
        self.home, self.has_auth, self.job_commands, self.url = home, has_auth, job_commands, url
        self.allow_hosts = frozenset(host.lower() for host in allow_hosts)
        self.clock = clock or SystemClock()
        self.access = Access(home)
        self.store = open_store(home)
        self.news = News(home, self.store)
        self.exporter = Exporter(self.store)
        self.exporting = asyncio.Lock()
        self.streams = 0
        self.ending = asyncio.Event()
        self._force: tuple[ConfigVersion, Config | None] | None = None
        self._forcing = asyncio.Lock()
        self._loader = Loader()
        self._refusals = Refusals()
        self._told: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the state; raises StoreError."""
        await self.store.open(write=False)

    def end(self) -> None:
        """Have every stream end."""
        self.ending.set()
        self.news.end()

    async def close(self) -> None:
        """Let go of everything."""
        self.end()
        await self.news.close()
        await self.store.close()

    # ------------------------------------------------------------ the daemon

    async def status(self) -> dict[str, Any] | None:
        """Return the daemon's word on itself, None when it is gone."""
        return await call(self.home, "status", {})

    async def ask(self, verb: str, body: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
        """Have the daemon do something, and write down who wanted it; raises as the verb does, or NoDaemon."""
        by = {"who": caller.words, "role": caller.role.word if caller.role else "", "id": caller.id}
        answer = await call(self.home, verb, {**body, "by": by})
        if answer is None:
            raise NoDaemon(f"no daemon runs on {self.home}")
        return answer

    def refused(self, caller: Caller, what: str, why: str) -> None:
        """Write down that somebody was turned away; of many, some, and how many they were."""
        words = self._refusals.take(f"{caller.words}: {what}: {why}")
        if words is not None:
            self.note(words)

    def note(self, words: str) -> None:
        """Write something down in the event log, without waiting for it."""
        task = asyncio.ensure_future(self._tell(words))
        self._told.add(task)
        task.add_done_callback(self._told.discard)

    async def _tell(self, words: str) -> None:
        try:
            await call(self.home, "audit", {"reason": words})
        except DagschedError as error:
            log.warning("what happened could not be written down (%s): %s", words, error)

    # ------------------------------------------------------------ the configuration

    async def force(self) -> tuple[ConfigVersion | None, Config | None]:
        """Return the configuration in force and what it says; it is read again only when there is a newer one."""
        async with self._forcing:
            newest = await self.store.configs(limit=1)
            if not newest:
                return None, None
            if self._force is None or self._force[0] != newest[0]:
                self._force = await config_in_force(self.store, self._loader)
            return self._force or (newest[0], None)

    async def config(self) -> Config:
        """Return what the configuration in force says, one without jobs when there is none."""
        return (await self.force())[1] or Config({})

    async def entries(self) -> Mapping[str, Entry]:
        """Return the jobs of the configuration in force with where each part of them is said."""
        await self.force()
        return self._loader.entries()

    async def ahead(self) -> Ahead:
        """Return the future of the configuration in force."""
        config, marks = await self.config(), await self.store.marks()
        return await asyncio.to_thread(Ahead, config, marks)

    async def known_jobs(self) -> Sequence[str]:
        """Return every job that is declared or remembered."""
        return [*dict.fromkeys([*(await self.config()).jobs, *(await self.store.marks())])]


class Refusals:
    """Decides which refusals are worth a row: a bucket of REFUSALS_AT_ONCE that fills by one each REFUSAL_S."""

    def __init__(self) -> None:
        self._level = float(REFUSALS_AT_ONCE)
        self._at = time.monotonic()
        self._left_out = 0

    def take(self, words: str) -> str | None:
        """Return what to write down, None for nothing."""
        now = time.monotonic()
        self._level = min(REFUSALS_AT_ONCE, self._level + (now - self._at) / REFUSAL_S)
        self._at = now
        if self._level < 1:
            self._left_out += 1
            return None
        self._level -= 1
        left_out, self._left_out = self._left_out, 0
        return words + (f" (and {left_out} more since the last of these)" if left_out else "")
