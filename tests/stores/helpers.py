"""Run a test's body as a daemon; look at a whole store at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from dagsched.model import RunState
from dagsched.stores import Batch, Store
from tests.stores.conftest import Engine
from tests.stores.make import (
    at,
    daemon,
)

S = RunState


def check(engine: Engine, body: Callable[[Store], Awaitable[None]], *batches: Batch) -> None:
    """Run `body` as a daemon that has committed `batches`."""

    async def main() -> None:
        async with daemon(engine.handle(), *batches) as store:
            await body(store)

    asyncio.run(main())


def names(rows) -> list[str]:
    return [f"{run.job}{(run.tick - at()) // timedelta(hours=1)}" for run in rows]


async def everything(store: Store) -> tuple[object, ...]:
    snapshot = await store.snapshot({})
    answers = [await store.answer(key) for key in ("k", "l")]
    return snapshot, await store.rows(), await store.events(), await store.marks(), await store.configs(), answers
