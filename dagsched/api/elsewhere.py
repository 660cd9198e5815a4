"""A daemon elsewhere, asked over its HTTP API: its rows as the values that a store gives, its refusals as our errors.

The command line reads through this as it reads a store, so what it prints is the same. Only what the commands ask for
is here; what the API does not tell (an event's detail, where a log lies) is empty.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from dagsched.api.verbs import API, VERBS
from dagsched.clock import SystemClock
from dagsched.config import Problem, load_texts
from dagsched.definition import from_json
from dagsched.errors import ConfigInvalid, NoDaemon, Refused, Unknown, UsageError
from dagsched.model import (
    Attempt,
    Backfill,
    Config,
    EventRow,
    JobMark,
    Run,
    RunState,
    format_instant,
    run_name,
)
from dagsched.stores.fleet import Waiting, WorkerRow
from dagsched.stores.notices import Told
from dagsched.views.values import attempt_of, backfill_of, event_of, instant_of, notice_of, run_of

PATIENCE_S = 60.0
PAGE = 1000
CHUNK_BYTES = 1 << 20
_PATHS = {verb.name: verb.path for verb in VERBS}


@asynccontextmanager
async def elsewhere(url: str, token: str | None) -> AsyncIterator[Elsewhere]:
    """Give a daemon at `http://host:port/prefix` or `unix:/path/to/api.sock`; raises UsageError for another address."""
    base, transport = url, None
    if url.startswith("unix:"):
        base, transport = "http://localhost", httpx.AsyncHTTPTransport(uds=url.removeprefix("unix:").removeprefix("//"))
    elif urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
        raise UsageError(f"--url {url!r}: write http://HOST:PORT, https://HOST or unix:/path/to/api.sock")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        client = httpx.AsyncClient(
            base_url=base.rstrip("/"), headers=headers, transport=transport, timeout=PATIENCE_S, trust_env=False
        )
    except (httpx.InvalidURL, UnicodeEncodeError) as error:
        raise UsageError(f"--url or --token cannot be used: {error}") from None
    async with client:
        yield Elsewhere(client, url)


class Elsewhere:
    """One daemon at a distance. Every call raises Refused, Unknown, UsageError, ConfigInvalid or NoDaemon."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client, self._url = client, url

    # ------------------------------------------------------------ documents

    async def get(self, path: str, **query: Any) -> Any:
        """Return the document at a path below /api/v1; parameters that are None are left out."""
        return (await self._call("GET", path, params=_given(query))).json()

    async def items(self, path: str, key: str, **query: Any) -> list[Any]:
        """Return the items of all pages; `key` is the parameter that takes the `next` of the page before."""
        found: list[Any] = []
        while True:
            page = await self.get(path, **query)
            found += page["items"]
            if page.get("next") is None:
                return found
            query[key] = page["next"]

    async def ask(self, verb: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Have the daemon carry a verb out and return its answer."""
        path, rest = _path_of(verb), dict(body)
        for name in ("job", "run", "event"):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", quote(rest.pop(name), safe=":"))
        answer: dict[str, Any] = (await self._call("POST", path, json=rest)).json()
        return answer

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Return the answer to a question that needs a body."""
        return (await self._call("POST", path, json=dict(body))).json()

    async def metrics(self) -> bytes:
        """Return the figures for Prometheus."""
        return (await self._call("GET", "/metrics", root="")).content

    async def _call(self, method: str, path: str, *, root: str = API, **more: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, root + path, **more)
        except httpx.HTTPError as error:
            raise NoDaemon(f"no daemon answers at {self._url}: {error or type(error).__name__}") from None
        if answer.status_code >= 300 and answer.status_code != 416:
            raise _error_of(answer, self._url)
        return answer

    async def config_of(self, job: str) -> Config | None:
        """Return a configuration with that one job, None if there it is only remembered; raises Unknown."""
        definition = (await self.get(f"/jobs/{quote(job, safe='')}")).get("definition")
        return Config({job: from_json(definition)}) if definition else None

    async def config(self) -> Config:
        """Return the whole configuration in force; takes an operator, because its texts are read."""
        files = (await self.get("/config/files"))["files"]
        loaded = load_texts(files, SystemClock().now())
        if loaded.config is None:
            raise ConfigInvalid(loaded.problems)
        return loaded.config

    # ------------------------------------------------------------ as a store

    async def run(self, job: str, tick: datetime) -> Run | None:
        """As a store does."""
        try:
            return run_of(await self.get(f"/runs/{quote(run_name(job, tick), safe=':')}"))
        except Unknown:
            return None

    async def runs(self, ticks: Collection[tuple[str, datetime]]) -> Mapping[tuple[str, datetime], Run]:
        """As a store does, but with a request for each."""
        found = [(tick, await self.run(*tick)) for tick in ticks]
        return {tick: run for tick, run in found if run is not None}

    async def rows(
        self,
        job: str | None = None,
        *,
        after: datetime | None = None,
        until: datetime | None = None,
        states: Sequence[RunState] = (),
        newest_first: bool = True,
        limit: int | None = None,
    ) -> Sequence[Run]:
        """As a store does, newest first; a job that is not known has none."""
        assert newest_first, "no command asks for the oldest first"
        query: dict[str, Any] = {
            "job": job,
            "state": [str(state) for state in states] or None,
            "since": format_instant(after) if after else None,
            "until": format_instant(until) if until else None,
        }
        found: list[Run] = []
        try:
            while limit is None or len(found) < limit:
                page = await self.get("/runs", limit=min(PAGE, limit - len(found)) if limit else PAGE, **query)
                found += [run_of(row) for row in page["items"]]
                if page["next"] is None:
                    break
                query["cursor"] = page["next"]
        except Unknown:
            return []
        if limit == 1 and found:
            # Whoever looks for one run wants to know everything about it, which a list does not tell.
            return [await self.run(*found[0].key) or found[0]]
        return found

    async def attempts(self, job: str, tick: datetime) -> Sequence[Attempt]:
        """As a store does."""
        page = await self.get(f"/runs/{quote(run_name(job, tick), safe=':')}/attempts")
        return [attempt_of(row, job, tick) for row in page["items"]]

    async def events(self, *, since: int = 0, job: str | None = None, limit: int | None = None) -> Sequence[EventRow]:
        """As a store does; `limit` at most 1,000."""
        page = await self.get("/events", since=since, job=job, limit=min(limit or PAGE, PAGE))
        return [event_of(row) for row in page["items"]]

    async def marks(self) -> Mapping[str, JobMark]:
        """Return a mark for each job that is known there; of it, only the job and the pause are true."""
        found = await self.items("/jobs", "after", limit=PAGE)
        return {row["job"]: JobMark(row["job"], datetime.min, instant_of(row["paused"])) for row in found}

    async def statistics(
        self, job: str | None = None, *, since: datetime | None = None, by: str = ""
    ) -> Sequence[Mapping[str, Any]]:
        """As a store does."""
        page = await self.get("/stats", job=job, since=format_instant(since) if since else None, by=by or None)
        return [
            {key: instant_of(value) if key == by or key.startswith("last_") else value for key, value in row.items()}
            for row in page["items"]
        ]

    async def notifications(self, *, failed: bool, limit: int) -> Sequence[Told]:
        """Return messages to people and programs, newest first; `limit` at most 1,000."""
        page = await self.get("/notifications", failed=failed, limit=min(limit, PAGE))
        return [notice_of(row) for row in page["items"]]

    async def backfills(self) -> Sequence[Backfill]:
        """As a store does."""
        return [backfill_of(row) for row in (await self.get("/backfills"))["items"]]

    async def news(self, job: str | None = None) -> AsyncGenerator[int]:
        """Yield 0 when the stream of live events stands, then the number of each event (of `job`), until it ends."""
        try:
            async with self._client.stream("GET", f"{API}/events/stream", params=_given({"job": job})) as answer:
                if answer.status_code != 200:
                    await answer.aread()
                    raise _error_of(answer, self._url)
                yield 0
                async for line in answer.aiter_lines():
                    if line.startswith("id: "):
                        yield int(line.removeprefix("id: "))
        except httpx.HTTPError as error:
            raise NoDaemon(f"{self._url} tells nothing any more: {error or type(error).__name__}") from None

    async def workers(self) -> Sequence[WorkerRow]:
        """As a store does."""
        return [WorkerRow.of_json(row) for row in (await self.get("/workers"))["items"]]

    async def waiting(self) -> Sequence[Waiting]:
        """As a store does."""
        return [Waiting.of_json(row) for row in (await self.get("/workers"))["waiting"]]

    async def zones(self) -> Mapping[str, str]:
        """Return the time zone of each job."""
        return {row["job"]: row["timezone"] or "UTC" for row in await self.items("/jobs", "after", limit=PAGE)}

    async def log(self, attempt: Attempt, begin: int) -> AsyncIterator[bytes]:
        """Yield what an attempt wrote from a byte on, as far as it is there."""
        path = f"/runs/{quote(run_name(attempt.job, attempt.tick), safe=':')}/log"
        while True:
            wanted = {"Range": f"bytes={begin}-{begin + CHUNK_BYTES - 1}"}
            answer = await self._call("GET", path, params={"attempt": attempt.number}, headers=wanted)
            if answer.status_code == 416 or not answer.content:
                return
            yield answer.content
            begin += len(answer.content)


def _path_of(verb: str) -> str:
    if verb not in _PATHS:
        raise UsageError(f"{verb!r} cannot be asked of a daemon elsewhere")
    return _PATHS[verb]


def _given(query: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: str(value).lower() if isinstance(value, bool) else value
        for key, value in query.items()
        if value is not None
    }


# ---------------------------------------------------------------- problems → errors


def _error_of(answer: httpx.Response, url: str) -> Exception:
    try:
        told = answer.json()
        kind, words = told["type"].rpartition(":")[2], str(told["detail"])
    except (ValueError, KeyError, TypeError, AttributeError, json.JSONDecodeError):
        return NoDaemon(f"{url} answers {answer.status_code} and is no daemon of dagsched")
    if kind == "unknown":
        return Unknown(told.get("of", "name"), told.get("name", ""), told.get("nearest", ()))
    if kind == "invalid-config":
        return ConfigInvalid([Problem(**row) for row in told.get("problems", ())])
    if kind == "malformed":
        return UsageError(words)
    if kind == "unauthenticated":
        return UsageError(f"{words}; give one with --token or $DAGSCHED_TOKEN")
    if answer.status_code >= 500 or kind in ("foreign-host", "not-found"):
        return NoDaemon(f"{url}: {words}")
    return Refused(words)
