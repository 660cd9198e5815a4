"""Live events: server-sent and over a WebSocket, for readers that come, go, return and fall asleep."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from dagsched.api.desk import STREAMS_MAX
from dagsched.api.news import KEPT, News
from dagsched.model import EventRow, utc
from dagsched.stores import MemoryStore
from dagsched.stores.contract import Batch
from tests.api.caller import Caller, bearer, problem_of
from tests.daemon.served import rows


@contextlib.contextmanager
def stream(caller: Caller, query: str = "", **headers: str) -> Iterator[Iterator[dict[str, str]]]:
    with caller.root.stream("GET", f"/api/v1/events/stream{query}", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield messages(answer)


def messages(answer: httpx.Response) -> Iterator[dict[str, str]]:
    found: dict[str, str] = {}
    for line in answer.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            found[name] = value
        else:
            if "id" in found:
                yield found
            found = {}


def test_a_stream_begins_with_the_next_event(caller: Caller) -> None:
    newest = caller.get("/events?limit=1000")["items"][-1]["seq"]
    with stream(caller) as events:
        name = caller.run_once("nightly")
        first = next(events)
        assert int(first["id"]) == newest + 1
        while (told := json.loads(next(events)["data"]))["run"] != name or told["to"] != "success":
            pass


def test_who_comes_back_with_the_last_id_misses_nothing(caller: Caller) -> None:
    caller.run_once("nightly")
    everything = rows(caller.daemon.ask("events", "--json"))
    with stream(caller, **{"Last-Event-ID": "2"}) as events:
        told = [next(events) for _ in everything[2:]]
    assert [json.loads(each["data"]) for each in told] == everything[2:]
    assert [each["id"] for each in told] == [str(row["seq"]) for row in everything[2:]]
    with stream(caller, "?since=0&job=nightly") as events:
        assert json.loads(next(events)["data"])["job"] == "nightly"
    problem_of(caller.root.get("/api/v1/events/stream", headers={"Last-Event-ID": "x"}), 400, "malformed")


def test_a_websocket_tells_the_same(caller: Caller) -> None:
    url = caller.url.replace("http", "ws") + "/api/v1/events/ws"
    everything = rows(caller.daemon.ask("events", "--json"))
    with connect(url + "?since=0", additional_headers=bearer(caller.token)) as socket:
        assert [json.loads(socket.recv(20)) for _ in everything] == everything
        socket.send("nobody listens to this")
        name = caller.run_once("nightly")
        while json.loads(socket.recv(20))["run"] != name:
            pass


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ({}, "", 401),
        ({"Authorization": "Bearer x"}, "", 401),
        ({"Origin": "http://evil.example"}, "", 403),
        ({}, "?sinc=1", 401),
        ({"Authorization": "token"}, "?sinc=1", 400),
    ],
)
def test_a_websocket_is_judged_before_it_opens(caller: Caller, headers: Any, query: str, status: int) -> None:
    url = caller.url.replace("http", "ws") + "/api/v1/events/ws" + query
    if headers == {"Authorization": "token"}:
        headers = bearer(caller.token)
    with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers=headers):
        pass
    assert caught.value.response.status_code == status


def test_a_session_opens_a_websocket_from_its_own_pages_alone(caller: Caller) -> None:
    link = json.loads(caller.daemon.ask("open", "--json"))["url"]
    cookie = httpx.get(link).headers["set-cookie"].partition(";")[0]
    url = caller.url.replace("http", "ws") + "/api/v1/events/ws"
    with pytest.raises(InvalidStatus) as caught, connect(url, additional_headers={"Cookie": cookie}):
        pass
    assert caught.value.response.status_code == 403
    with connect(url, additional_headers={"Cookie": cookie}, origin=caller.url):  # type: ignore[arg-type]
        pass


def test_a_stream_ends_when_its_token_is_revoked(caller: Caller) -> None:
    token = caller.make_token("viewer", "--name", "screen")
    url = f"{caller.url}/api/v1/events/stream"
    with httpx.stream("GET", url, headers=bearer(token), timeout=20) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "retry: 2000"
        caller.daemon.ask("token", "revoke", "screen")
        caller.run_once("nightly")
        assert not any(line.startswith("data") for line in lines)


# ---------------------------------------------------------------- what they are made of


_NOWHERE = Path("/nowhere")  # no daemon there to watch


def event(seq: int, job: str = "") -> EventRow:
    return EventRow(seq, utc(2026, 11, 26), "run.created", job)


def test_news_come_in_order_to_the_quick_and_to_the_slow() -> None:
    async def play() -> None:
        store = MemoryStore()
        await store.open(write=True)
        await store.acquire("a test")
        await store.commit(Batch(events=[event(seq, "a" if seq % 2 else "b") for seq in range(1, 11)]))
        news = News(_NOWHERE, store)
        assert await news.newest() == 10
        old = news.follow(3)
        assert [told.row.seq for told in await anext(old)] == [4, 5, 6, 7, 8, 9, 10]
        only = news.follow(0, "b")
        assert [told.row.seq for told in await anext(only)] == [2, 4, 6, 8, 10]
        slow, quick = news.follow(10), news.follow(10)
        for begin in range(11, KEPT + 1011, 500):
            await store.commit(Batch(events=[event(seq) for seq in range(begin, begin + 500)]))
            await news._read()
            page = await anext(quick)
            assert (page[0].row.seq, page[-1].row.seq) == (begin, begin + 499)
        seen: list[int] = []
        while len(seen) < KEPT + 1000:
            seen += [told.row.seq for told in await anext(slow)]
        assert seen == list(range(11, KEPT + 1011))
        news.end()
        assert [page async for page in quick] == []
        await news.close()

    asyncio.run(play())


def test_a_quiet_stream_shows_that_it_lives() -> None:
    async def play() -> None:
        store = MemoryStore()
        await store.open(write=True)
        news = News(_NOWHERE, store)
        assert await anext(news.follow(0, pause_s=0.01)) == ()
        await news.close()

    asyncio.run(play())


def test_at_most_a_hundred_streams_are_open(caller: Caller) -> None:
    path = "/api/v1/events/stream"
    head = f"GET {path} HTTP/1.1\r\nHost: {urlsplit(caller.url).netloc}\r\nAuthorization: Bearer {caller.token}\r\n\r\n"
    opened = []
    try:
        answer = b"HTTP/1.1 200"
        while answer.startswith(b"HTTP/1.1 200") and len(opened) <= STREAMS_MAX:
            opened.append(caller.raw())
            opened[-1].sendall(head.encode())
            answer = opened[-1].recv(4096)
        assert answer.startswith(b"HTTP/1.1 503")
        assert len(opened) > STREAMS_MAX - 10, "streams of earlier tests may still be closing, but not many"
    finally:
        for each in opened:
            each.close()
