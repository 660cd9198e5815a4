"""How often a page asks the store: as often for many jobs and runs as for few."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from dagsched.api import news
from dagsched.api.desk import Desk
from dagsched.model import ConfigVersion, JobMark, Link, RunState
from dagsched.stores import Batch, SqliteStore
from dagsched.stores.session import Procedures
from dagsched.web.pages import PAGES
from dagsched.web.site import make_site
from tests.stores.make import at, daemon, row
from tests.web.browser import PAGE

STATES = [*RunState]


async def made(home: Path, jobs: int, runs: int) -> None:
    """Make a state with so many jobs and runs of each, in every state a run can be in."""
    names = [f"job-{number:03}" for number in range(jobs)]
    text = "version: 1\njobs:\n" + "".join(f"  {name}: {{schedule: '@daily', run: 'true'}}\n" for name in names)
    config = ConfigVersion(1, at(0), hashlib.sha256(text.encode()).hexdigest(), {"/jobs.yaml": text})
    rows = [
        row(name, hour, STATES[(number + hour) % len(STATES)], started=at(hour), attempts=1)
        for number, name in enumerate(names)
        for hour in range(runs)
    ]
    marks = [JobMark(name, at(runs)) for name in names]
    async with daemon(SqliteStore(home / "dagsched.db"), Batch(runs=rows, marks=marks, config=config)):
        pass


async def asked(home: Path, path: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Counter[str], str]:
    """Return how often each statement is sent for a page, the first time it is looked at in a process, and the page."""
    counts: Counter[str] = Counter()
    ask = Procedures.ask

    def counted(self: Procedures, name: str, parameters: Any = ()) -> list[Any]:
        counts[name] += 1
        return ask(self, name, parameters)

    desk = Desk(home)
    await desk.open()
    try:
        site = make_site(desk)

        async def local(scope: Any, receive: Any, send: Any) -> None:
            await site({**scope, "state": {"is_local": True}}, receive, send)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(local), base_url="http://local") as client:
            with monkeypatch.context() as patched:
                patched.setattr(Procedures, "ask", counted)
                patched.setattr(news, "AGAIN_S", 3600.0)  # no daemon is there, which is looked for again meanwhile
                answer = await client.get(path, headers={"Accept": PAGE})
            assert answer.status_code == 200, answer.text
    finally:
        await desk.close()
    return counts, answer.text


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_page_asks_no_more_for_many_jobs_and_runs_than_for_few(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        told = {}
        for jobs, runs in ((12, 3), (90, 40)):
            home = tmp_path / str(jobs)
            home.mkdir()
            await made(home, jobs, runs)
            name = path.replace("{job}", "job-001").replace("{run}", "job:job-001:2026-11-21T01:00:00Z")
            told[jobs], _ = await asked(home, name, monkeypatch)
        assert told[90] == told[12]
        assert told[90].total() < 60
        # What is in force is read once for all of a page; the first look at it takes one more, the news begin with
        # another, and so do the history of versions and the places of a definition.
        assert told[90]["configs"] <= 4
        assert told[90]["marks"] <= 2

    asyncio.run(main())


def test_a_run_asks_once_for_all_that_it_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        await made(tmp_path, 30, 2)
        links = [Link(f"job-{number:03}", at(1)) for number in range(30)]
        async with daemon(SqliteStore(tmp_path / "dagsched.db"), Batch(runs=[row("last", 1, links=links)])):
            pass
        counts, page = await asked(tmp_path, "/runs/job:last:2026-11-21T01:00:00Z", monkeypatch)
        assert page.count("job-0") >= 30
        assert (counts["runs_of"], counts["run"]) == (1, 1)

    asyncio.run(main())


def test_of_many_jobs_that_fail_some_are_shown_and_the_others_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        await made(tmp_path, 90, 2)
        _, page = await asked(tmp_path, "/", monkeypatch)
        assert page.count('s-failed"') == 12
        assert "And 6 more: " in page
        assert 'href="./jobs?state=failed"' in page

    asyncio.run(main())
