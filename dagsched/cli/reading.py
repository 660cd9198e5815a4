"""Readers look at the state directly, with or without a daemon; a state that is not there yet is empty."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagsched.errors import StoreMissing
from dagsched.model import JobMark
from dagsched.views.force import config_in_force

__all__ = ["FOLLOW_S", "config_in_force", "marks_in", "must_be_known", "reading"]

if TYPE_CHECKING:
    from dagsched.stores.contract import Store


FOLLOW_S = 0.25
"""How often a follower (`events -f`, `logs -f`) looks again: it must work without a daemon to wake it."""


@asynccontextmanager
async def reading(state_dir: Path, *, quiet: bool = False) -> AsyncIterator[Store]:
    """Open the state for reading; raises StoreError. Tells a person when there is none yet, unless `quiet`."""
    from dagsched.cli.output import note
    from dagsched.stores import MemoryStore, open_store

    store: Store = open_store(state_dir)
    try:
        await store.open(write=False)
    except StoreMissing:
        if not quiet:
            note(f"no state in {state_dir} yet: nothing has run there")
        store = MemoryStore()
        await store.open(write=True)
    try:
        yield store
    finally:
        await store.close()


async def marks_in(state_dir: Path) -> Mapping[str, JobMark]:
    """Return what the state remembers of each job; nothing when there is no state yet."""
    async with reading(state_dir, quiet=True) as store:
        return await store.marks()


async def must_be_known(store: Store, args: argparse.Namespace) -> None:
    """Raise Unknown unless `args.job` is a job the state remembers or the job files declare."""
    from dagsched.cli.far import url_of
    from dagsched.cli.places import load_config_if_any
    from dagsched.views.names import known_job

    config = load_config_if_any(args.paths) if url_of(args) is None else None
    known_job(args.job, [*await store.marks(), *(config.jobs if config else ())])
