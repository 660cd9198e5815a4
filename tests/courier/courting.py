"""A courier on a state in memory, with a clock that is moved by hand and a notifier that writes down what it gets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dagsched.courier.serve import Courier, Ended
from dagsched.errors import NotifierError
from dagsched.model import ConfigVersion, EventRow, Link, Origin, Run, RunState, utc
from dagsched.notifiers import Message
from dagsched.stores import MemoryState, MemoryStore
from dagsched.stores.contract import Batch
from dagsched.stores.notices import Notices

NOW = utc(2026, 11, 23, 14)
SECOND = timedelta(seconds=1)
JOBS = """\
notifiers:
  ops: {type: command, run: [tell], group: 10s}
  mail: {type: command, run: [tell], group: 0s}
defaults:
  notify:
  - {on: [failure, recovered, late, config_rejected], to: [ops]}
jobs:
  extract: {run: x, owner: data}
  load: {run: x, depends_on: [extract]}
  report: {run: x, depends_on: [load]}
  chatty: {run: x, notify: [{on: [success, recovered, failure], to: [mail]}]}
  quiet: {run: x, notify: []}
"""


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


class World:
    """A store that a daemon would write, and couriers over it, one after the other."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.clock = folder, Clock()
        self.state = MemoryState()
        self.seq = 0
        self.sent: list[tuple[str, Message]] = []
        self.refusals: list[NotifierError] = []
        self.batch = Batch(config=ConfigVersion(1, NOW, "d", {"/srv/jobs.yaml": JOBS}))
        monkeypatch.setattr("dagsched.courier.deliver.send", self._send)

    async def _send(self, message: Message, spec: Mapping[str, Any], environ: Mapping[str, str], hidden: Any) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.sent.append((message.notifier, message))

    def apply(self, jobs: str) -> None:
        """Put another configuration in force."""
        self._flush()
        self.seq += 1
        self.batch.config = ConfigVersion(2, self.clock.at, "e", {"/srv/jobs.yaml": jobs})
        self.batch.events.append(EventRow(self.seq, self.clock.at, "config.applied"))

    def end(
        self, job: str, state: str, *, after: str = "", tick: datetime = NOW, reason: str = "", origin: str = "schedule"
    ) -> None:
        """Have a run of a job end; `after`: the upstream it is joined with."""
        self.seq += 1
        links = (Link(after, tick),) if after else ()
        times = {"started": tick, "ended": tick}
        run = Run(job, tick, RunState(state), reason=reason, origin=Origin(origin), links=links, **times)
        kind = {"success": "run.succeeded"}.get(state, f"run.{state}")
        self.batch.runs = [each for each in self.batch.runs if each.key != run.key] + [run]
        self.batch.events.append(EventRow(self.seq, self.clock.at, kind, job, tick, 1, "running", state, reason))

    def be_late(self, job: str, *, tick: datetime = NOW, ends: str = "") -> None:
        """Have a run of a job pass its deadline; `ends`: the state in which it ends after that."""
        self.seq += 1
        run = Run(job, tick, RunState.RUNNING, started=tick, late=True)
        self.batch.runs = [each for each in self.batch.runs if each.key != run.key] + [run]
        self.batch.events.append(EventRow(self.seq, self.clock.at, "run.late", job, tick, 1, reason="running 1h"))
        if ends:
            self.end(job, ends, tick=tick)
            self.batch.runs[-1] = self.batch.runs[-1]._replace(late=True)

    def note(self, kind: str, **detail: Any) -> None:
        self.seq += 1
        self.batch.events.append(EventRow(self.seq, self.clock.at, kind, detail=detail))

    def _flush(self) -> None:
        async def write() -> None:
            store = MemoryStore(self.state)
            await store.open(write=True)
            await store.acquire("a test")
            await store.commit(self.batch)
            await store.close()

        asyncio.run(write())
        self.batch = Batch()

    def court(
        self, *, after: int = 0, is_last: bool = False, work: Callable[[Courier], Awaitable[Any]] | None = None
    ) -> Ended:
        """Let a courier do all that is due now."""
        self._flush()

        async def serve() -> Ended:
            store = MemoryStore(self.state)
            await store.open(write=False)
            with closing(Notices(self.folder, write=True)) as notices:
                courier = Courier(store, notices, "//h/s", self.clock, {}, after)
                courier.is_last = is_last
                if work is not None:
                    await work(courier)
                return await courier.run(idle_s=0.0, linger=timedelta(0))

        return asyncio.run(serve())

    def told(self) -> list[str]:
        """Return what was told since the last question: notifier, kind and title."""
        found = [f"{notifier} {message.kind}: {message.title}" for notifier, message in self.sent]
        self.sent.clear()
        return found

    def after(self, seconds: float) -> list[str]:
        """Move the clock, court until nothing is due, and return what was told."""
        self.clock.at += timedelta(seconds=seconds)
        self.court()
        return self.told()
