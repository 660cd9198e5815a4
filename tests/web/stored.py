"""Pages over a state that a test wrote down, without a daemon: served in this process at an instant of its choice."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx

from dagsched.api.desk import Desk
from dagsched.clock import ManualClock
from dagsched.model import Attempt, ConfigVersion, EventRow, JobMark, Run, RunState, utc
from dagsched.stores import Batch, SqliteStore
from dagsched.web.site import make_site

NOW = utc(2026, 11, 26, 8, 30)
HOSTILE = "<script>alert('x')</script>&\"'"


def ago(**lengths: float) -> Any:
    """Return the instant that length before NOW."""
    return NOW - timedelta(**lengths)


def ran(job: str, tick: Any, state: str = "success", took_s: float = 60, **more: Any) -> Run:
    """Return a run that was ready at its tick, started 30 s later and took so long."""
    started = tick + timedelta(seconds=30)
    ended = started + timedelta(seconds=took_s)
    known: dict[str, Any] = {"created": tick, "ready": tick, "started": started, "ended": ended, "attempts": 1}
    return Run(job, tick, RunState(state), **{**known, **more})


def pages(
    folder: Path,
    paths: Sequence[str],
    jobs: str = "",
    *,
    runs: Sequence[Run] = (),
    events: Sequence[EventRow] = (),
    marks: Sequence[JobMark] = (),
    attempts: Sequence[Attempt] = (),
    configs: Sequence[ConfigVersion] = (),
    now: Any = NOW,
    **desk: Any,
) -> list[httpx.Response]:
    """Return what is at these paths when the state holds that; without `jobs`, nothing has ever been in force."""

    async def body() -> list[httpx.Response]:
        (folder / ".dagsched").mkdir(exist_ok=True)
        store = SqliteStore(folder / ".dagsched" / "dagsched.db")
        try:
            await store.open(write=True)
            await store.acquire("a test")
            files = {str(folder / "jobs.yaml"): jobs}
            given = configs or ([ConfigVersion(1, ago(days=30), "d" * 64, files, "first")] if jobs else [])
            for config in given:
                await store.commit(Batch(config=config))
            everything = Batch(runs=list(runs), new_attempts=list(attempts), events=list(events), marks=list(marks))
            await store.commit(everything)
        finally:
            await store.close()
        served = Desk(folder / ".dagsched", clock=ManualClock(now), **desk)
        app = make_site(served)

        async def from_here(scope: Any, receive: Any, send: Any) -> None:
            await app({**scope, "state": {"is_local": True}}, receive, send)

        transport = httpx.ASGITransport(from_here)
        headers = {"Accept": "text/html"}
        try:
            await served.open()
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
                return [await client.get("/" + path) for path in paths]
        finally:
            await served.close()

    return asyncio.run(body())


def page(folder: Path, path: str, jobs: str = "", **given: Any) -> str:
    """Return the text of one page, which must be there."""
    [answer] = pages(folder, [path], jobs, **given)
    assert answer.status_code == 200, answer.text
    return answer.text
