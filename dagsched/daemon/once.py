"""`dagsched run --once`: one tick now, seen through to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial

from dagsched.closest import get_close_matches
from dagsched.config import load
from dagsched.daemon.memory import rest
from dagsched.daemon.service import Daemon
from dagsched.engine import events
from dagsched.errors import ConfigInvalid, Refused, StoreHeld, StoreUnavailable, Unknown, UsageError
from dagsched.graph import Graph
from dagsched.handlers.params import shared_params
from dagsched.model import EMPTY, Origin, RunState

# It ends soon: what little garbage there is may wait for that.
OBJECTS_BEFORE_A_LOOK = 100_000


class OneTick(Daemon):
    """A daemon that makes one tick and serves nobody."""

    async def run_once(self, jobs: Sequence[str] = (), params: Mapping[str, str] = EMPTY) -> int:
        """Make one tick now for `jobs` and what they need (none: for all), see it through; return the exit code.

        Each job takes of `params` (text by name) what it declares.

        Schedules make no ticks meanwhile, and nothing of the configuration is kept. 0 unless interrupted (130):
        what became of the runs is for the observer to judge. Raises as `run` does, Unknown for a job that is
        not declared, UsageError for parameters that do not fit, and StoreHeld when a daemon holds the state.
        """
        self._hear_signals()
        try:
            await self._open_state()
        except StoreHeld as error:
            raise StoreHeld(f"{error}; `dagsched trigger JOB` has it run something now", error.holder) from None
        try:
            await self._see_through(jobs, params)
        except StoreUnavailable:
            self._stop_unrecorded()
            raise
        finally:
            if self._watching is not None:
                self._watching.cancel()
            self.executor.release()
            await self.store.close()
        return 130 if self._interrupts else 0

    async def _see_through(self, jobs: Sequence[str], given: Mapping[str, str]) -> None:
        loaded = await asyncio.to_thread(load, self._files, self.clock.now())
        if loaded.config is None:
            raise ConfigInvalid(loaded.problems)
        graph = Graph(loaded.config.jobs)
        for name in jobs:
            if name not in loaded.config.jobs:
                raise Unknown("job", name, get_close_matches(name, list(loaded.config.jobs), 3))
        wanted = graph.with_ancestors(jobs) if jobs else graph.order
        try:
            params = shared_params([loaded.config.jobs[id] for id in wanted if loaded.config.jobs[id].enabled], given)
        except Refused as error:
            raise UsageError(str(error)) from None
        last = next(iter(await self.store.configs(limit=1)), None)
        if not await self._has_started(self._begin(loaded.config, last.number if last else 0, once=True)):
            self._interrupts = len(self._early_signals)
            return
        rest(OBJECTS_BEFORE_A_LOOK)
        self._is_up = True
        self._heed_early_signals()
        # Only workflows have something to ask of a daemon that takes no commands.
        has_calls = any(loaded.config.jobs[id].handler == "workflow" for id in wanted)
        doors = await self._open_doors() if has_calls else []
        try:
            await self._turning(self.loop.ask(lambda now: events.OnceRequested(now, tuple(wanted), params)))
            while not self._is_over(until_idle=True):
                await self._turn()
        finally:
            await self._close_doors(doors)
        await self._drop_unstarted()
        # Attempts of a dead daemon that still run are the next daemon's, not ours to wait for.
        self._handover = self._own_running()
        await self._turning(self.executor.close(self._handover))

    async def _drop_unstarted(self) -> None:
        """Cancel what an interrupt kept from starting: no later daemon is to find it."""
        for run in list(self.loop.plan.book.ledger.all_live()):
            is_ours = run.origin is Origin.ONCE or (run.created is not None and run.created >= self.started)
            if is_ours and run.state is not RunState.RUNNING:
                # The end of one before it may have ended this one as well.
                with suppress(Refused):
                    await self._turning(self.loop.ask(partial(events.CancelRequested, run=run.name)))
