"""The scheduler as an asyncio program sees it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dagsched.api import control_door, inbox_door
from dagsched.clock import Clock
from dagsched.config import BadLength, parse_length, render
from dagsched.config.files import lending
from dagsched.control import Control
from dagsched.daemon import Daemon
from dagsched.embedding.daemon import GuestDaemon
from dagsched.embedding.hand import Function
from dagsched.errors import ConfigInvalid, NoDaemon, Refused, StoreError, Unknown
from dagsched.handlers.table import names
from dagsched.loading import Paths, paths_of
from dagsched.model import Config, EventRow, Run, parse_run_name
from dagsched.stores import open_store

PAGE = 500


class Scheduler:
    """The daemon of a state directory, inside this program: `async with Scheduler("jobs.yaml", state_dir=…) as s`.

    `jobs`: a job file, a folder of them, several of both, or what `dagsched.load` returned. The files are watched, and
    a good edit is in force within half a second. `handlers`: functions by the name that `handler:` says. `slots`:
    attempts at a time, None for no limit. `grace`: what running attempts get at the end, a timedelta or `"30s"`.
    `control`: whether `dagsched status` and the other commands reach it through the state directory.

    Entering raises ConfigInvalid, StoreHeld when another daemon has the state, and other StoreErrors. One scheduler can
    be entered once. Methods raise NoDaemon once it has ended. Everything runs in the event loop that entered.
    """

    def __init__(
        self,
        jobs: Paths | Config,
        *,
        state_dir: str | os.PathLike[str],
        handlers: Mapping[str, Function] | None = None,
        slots: int | None = None,
        grace: timedelta | str = "30s",
        control: bool = True,
        clock: Clock | None = None,
    ) -> None:
        functions = dict(handlers or {})
        _check(functions)
        self._lent, self._leaving = frozenset(functions), ExitStack()
        self._bell = _Bell()
        doors: list[Callable[[Daemon], Any]] = [lambda daemon: self._bell]
        self._daemon = GuestDaemon(
            _files_of(jobs), Path(state_dir), functions, observer=self._bell, grace=_length(grace), slots=slots,
            clock=clock, doors=[control_door if control else inbox_door, *doors],
        )  # fmt: skip
        self._control = Control(self._daemon)
        self._serving: asyncio.Task[int] | None = None

    # ------------------------------------------------------------ start and end

    async def __aenter__(self) -> Self:
        """Start, and return once attempts may start."""
        if self._serving is not None:
            raise RuntimeError("a Scheduler is entered once; make another one")
        self._leaving.enter_context(lending(self._lent))
        self._serving = asyncio.create_task(self._serve(), name="dagsched")
        up = asyncio.ensure_future(self._bell.up.wait())
        try:
            await asyncio.wait([self._serving, up], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            self._serving.cancel()
            await asyncio.wait([self._serving])
            raise
        finally:
            up.cancel()
        if not self._bell.up.is_set():
            # It has ended before it was up: with what keeps it from starting.
            await self._serving
            raise NoDaemon("the scheduler ended while it was starting")
        return self

    async def _serve(self) -> int:
        try:
            return await self._daemon.run()
        except ConfigInvalid as error:
            error.add_note(render(error.problems, "human"))
            raise
        finally:
            self._bell.ring_out()
            self._leaving.close()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Start nothing more, give running attempts the grace, then stop them; raises what made it end before."""
        await self.stop()

    async def stop(self) -> None:
        """End as leaving the context does; returns once nothing of any attempt is left. May be called twice."""
        if self._serving is None:
            return
        if not self._serving.done():
            self._daemon.stop()
        await asyncio.shield(self._serving)

    async def until_stopped(self) -> None:
        """Wait until it ends, because somebody stopped it or something failed; raises what failed."""
        if self._serving is None:
            raise NoDaemon("the scheduler was not started; enter it with `async with`")
        await asyncio.shield(self._serving)

    # ------------------------------------------------------------ verbs

    async def trigger(
        self,
        job: str,
        params: Mapping[str, Any] | None = None,
        *,
        with_upstream: bool = False,
        only: bool = False,
    ) -> str:
        """Make a run of `job` now and return its name, once it is on record; raises Refused or Unknown."""
        body = {"job": job, "params": dict(params or {}), "with_upstream": with_upstream, "only": only}
        answer = await self._do("trigger", body)
        mine = [name for name in answer["runs"] if parse_run_name(name)[0] == job]
        return str(mine[0])

    async def pause(self, job: str) -> None:
        """Have a job's ticks skipped from now on; raises Unknown."""
        await self._do("pause", {"job": job})

    async def resume(self, job: str) -> None:
        """Have a paused job go on; raises Unknown."""
        await self._do("resume", {"job": job})

    async def cancel(self, run: str) -> None:
        """End a run, by its name; raises Refused or Unknown."""
        await self._do("cancel", {"run": run})

    async def rerun(self, run: str, *, downstream: bool = False) -> None:
        """Try a run again that is over, and what its failure had stopped; raises Refused or Unknown."""
        await self._do("rerun", {"run": run, "downstream": downstream})

    async def ack(self, run: str) -> None:
        """Say that a failed run was seen; raises Refused or Unknown."""
        await self._do("ack", {"run": run})

    async def reload(self) -> bool:
        """Read the job files again now; return whether that changed anything."""
        return bool((await self._do("reload", {}))["applied"])

    async def status(self) -> Mapping[str, Any]:
        """Return how it is: `config` (its number), `problems`, `running`, `next`, `health`, `slots`, `since`, …"""
        found: Mapping[str, Any] = await self._do("status", {})
        return found

    async def _do(self, verb: str, body: Mapping[str, Any]) -> Any:
        return await self._alive(self._control.do(verb, body))

    async def _alive(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what `work` returns; raises NoDaemon when the scheduler ends before that, or has."""
        if self._serving is None or self._serving.done():
            work.close()
            raise NoDaemon("the scheduler has ended" if self._serving else "the scheduler was not started")
        task = asyncio.ensure_future(work)
        try:
            await asyncio.wait([task, self._serving], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if not task.done():
            task.cancel()
            raise NoDaemon("the scheduler has ended")
        return task.result()

    # ------------------------------------------------------------ what happened

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self._daemon.config

    async def run(self, name: str) -> Run:
        """Return a run as it is on record; raises Unknown."""
        job, tick = _parsed(name)
        found: Run | None = await self._alive(self._daemon.store.run(job, tick))
        if found is None:
            raise Unknown("run", name)
        return found

    async def history(self, job: str | None = None, *, limit: int = 50) -> Sequence[Run]:
        """Return the newest runs, of one job or of all, newest first."""
        found: Sequence[Run] = await self._alive(self._daemon.store.rows(job, limit=limit))
        return found

    async def wait(self, run: str, timeout_s: float | None = None) -> Run:
        """Return a run once it is over, whatever its end; raises Unknown, and TimeoutError after `timeout_s`."""
        async with asyncio.timeout(timeout_s):
            while True:
                rung = self._bell.next()
                found = await self.run(run)
                if found.state.is_terminal:
                    return found
                await self._alive(_wait(rung))

    async def events(self, since: int | None = None) -> AsyncIterator[EventRow]:
        """Yield events as they become durable, in order and without a gap, until the scheduler ends with its last one.

        From now on, or with `since` all with a greater number (0: from the first). Slow readers miss nothing: what they
        have not read stays on record.
        """
        last = self._daemon.loop.plan.book.last_event if since is None else since
        while self._serving is not None:
            rung, is_over = self._bell.next(), self._serving.done()
            page = await self._events_after(last, is_over)
            for event in page:
                last = event.seq
                yield event
            if not page and is_over:
                return
            if not page:
                await rung.wait()

    async def _events_after(self, last: int, is_over: bool) -> Sequence[EventRow]:
        """Return the next events; after the end from a store of its own, and nothing while the daemon's is closing."""
        store = self._daemon.store
        if not is_over:
            if self._bell.is_closing:
                return ()
            try:
                return await store.events(since=last, limit=PAGE)
            except StoreError:
                if self._bell.is_closing:
                    return ()
                raise
        store = open_store(self._daemon.state_dir)
        await store.open(write=False)
        try:
            return await store.events(since=last, limit=PAGE)
        finally:
            await store.close()


class _Bell:
    """An observer and a door: rings when events are durable, and once when the daemon is up."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.is_closing = False
        self._rung = asyncio.Event()

    def next(self) -> asyncio.Event:
        """Return what is set when the next events are durable, or when all has ended."""
        return self._rung

    def _ring(self) -> None:
        self._rung.set()
        self._rung = asyncio.Event()

    def ring_out(self) -> None:
        """Ring for the last time: whoever waits finds that it has ended."""
        self._ring()
        self._rung.set()

    def on_config(self, config: Config) -> None:
        """Say nothing: the event of it does."""

    def on_events(self, events: Sequence[EventRow]) -> None:
        """Ring for those who wait for events."""
        self._ring()

    async def start(self) -> None:
        """Say that the daemon is up."""
        self.up.set()

    async def close(self) -> None:
        """Hear that the end has begun: what is still to be told is read after it."""
        self.is_closing = True


async def _wait(event: asyncio.Event) -> None:
    await event.wait()


def _parsed(name: str) -> tuple[str, Any]:
    try:
        return parse_run_name(name)
    except ValueError as error:
        raise Refused(str(error)) from None


def _files_of(jobs: Paths | Config) -> list[Path]:
    if not isinstance(jobs, Config):
        return paths_of(jobs)
    files = [Path(file) for file in jobs.files]
    if not files or not all(file.is_absolute() for file in files):
        raise ValueError("this configuration was not read from files, and a scheduler watches files; give their paths")
    return files


def _length(grace: timedelta | str) -> timedelta:
    try:
        return parse_length(grace) if isinstance(grace, str) else grace
    except BadLength as error:
        raise ValueError(f"grace: {error}; write it with its unit: 90s, 5m") from None


def _check(functions: Mapping[str, Function]) -> None:
    """Refuse what could not be called; raises ValueError."""
    taken = set(names()) if functions else set()
    for name, function in functions.items():
        if name in taken:
            raise ValueError(f"the handler {name!r} is built in or installed; give the function another name")
        if not callable(function):
            raise ValueError(f"the handler {name!r} is no function: {function!r}")
