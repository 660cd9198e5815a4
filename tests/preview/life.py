"""The life of a job file on a clock that is moved by hand: the real engine on a real store contract, edits and all.

A `Life` is what a daemon makes of its files, less processes and waiting: every event's commands are committed, a
restart begins from what is stored, and an edit brings the rows that the daemon would read for it.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from dagsched.config import Loaded, load_texts
from dagsched.daemon.outbox import Outbox
from dagsched.daemon.restoring import restored, rows_for_edit
from dagsched.engine import events
from dagsched.engine.commands import Command
from dagsched.engine.why import Answer
from dagsched.explaining import why
from dagsched.model import Config, Run, RunState, format_instant
from dagsched.preview import Preview, preview, read_base
from dagsched.stores import MemoryStore
from dagsched.stores.memory import MemoryState
from dagsched.virtual import Behave, Virtual, succeeds_at_once


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """Return what a coroutine returns; none of them waits for anything but a store in memory."""
    return asyncio.run(work)


def loaded(text: str | Mapping[str, str], now: datetime) -> Loaded:
    """Return what these texts say, by path; one text alone is /srv/jobs.yaml."""
    files = {"/srv/jobs.yaml": text} if isinstance(text, str) else dict(text)
    return load_texts(files, now)


def config_of(text: str | Mapping[str, str], now: datetime) -> Config:
    found = loaded(text, now)
    assert found.config is not None, [problem.message for problem in found.problems]
    return found.config


class Life(Virtual):
    """A daemon of straw that keeps all it does in a store."""

    @classmethod
    def begin(
        cls, config: Config, now: datetime, *, state: MemoryState | None = None, behave: Behave = succeeds_at_once
    ) -> Life:
        """Return a daemon started at `now` on that state, an empty one without."""
        self = cls.__new__(cls)
        self.store = MemoryStore(state if state is not None else MemoryState())
        done(self.store.open(write=True))
        done(self.store.acquire("a test"))
        plan, _ = done(restored(self.store, config, now, slots=None))
        self._take_up(plan, config, now, behave, True)
        return self

    def give(self, event: events.Event) -> Sequence[Command]:
        found = super().give(event)
        outbox = Outbox()
        outbox.take(found)
        batch = outbox.sealed()
        if batch:
            done(self.store.commit(batch))
        return found

    def _use(self, config: Config) -> None:
        """Put it in force, as a new version if any text is another one: as the daemon does, and as `plan` need not."""
        last = next(iter(done(self.store.configs(limit=1))), None)
        number = self.plan.book.config_number + (last is None or last.digest != config.digest)
        self.config = config
        self.apply(events.ConfigApplied(self.now, config, number, tuple(self._rows_for(config))))

    def _rows_for(self, config: Config) -> Any:
        return done(rows_for_edit(self.store, self.plan, config, self.now))

    def end(self) -> None:
        """Kill the daemon; what is stored stays."""
        self.store.crash()

    def copy_of_state(self) -> MemoryState:
        """Return the stored state as another disk would have it."""
        state = copy.copy(self.store.state)
        state.owner, state.holder = None, ""
        for name in ("attempts", "marks", "configs", "definitions", "requests", "ends"):
            setattr(state, name, dict(getattr(state, name)))
        state.events = list(state.events)
        state.runs = {job: dict(rows) for job, rows in state.runs.items()}
        state.attempts = {key: dict(found) for key, found in state.attempts.items()}
        return state

    # ------------------------------------------------------------ as a person

    store: MemoryStore

    def edit(self, text: str | Mapping[str, str]) -> None:
        """Save the job files."""
        self.apply_config(config_of(text, self.now))

    def look(self, text: str | Mapping[str, str], days: float = 7) -> Preview:
        """Return what `dagsched plan` says of these files now."""
        return preview_of(self.store, loaded(text, self.now), self.now, days)

    def why(self, job: str, tick: datetime | None = None) -> Answer:
        """Return what `dagsched why` says."""
        return done(why(self.store, self.config, job, tick, self.now))

    def fired(self, job: str, after: datetime | None = None) -> list[str]:
        """Return the ticks at which a job ran, in UTC, oldest first: `11-23T14:00`."""
        rows = (run for run in self.rows(job) if run.started is not None and (after is None or run.tick > after))
        return [format_instant(run.tick)[5:16] for run in rows]

    def stored(self) -> list[Run]:
        """Return all rows as they are stored."""
        return list(done(self.store.rows(newest_first=False)))


def preview_of(store: MemoryStore, new: Loaded, now: datetime, days: float) -> Preview:
    version = done(store.configs(limit=1))[0]
    found: Preview = done(preview(store, read_base(version, now), new, now, timedelta(days=days)))
    return found


def short(ticks: Sequence[datetime]) -> list[str]:
    """Return ticks as `11-23T14:00`."""
    return [format_instant(tick)[5:16] for tick in ticks]


__all__ = ["Life", "RunState", "config_of", "loaded", "preview_of", "short"]
