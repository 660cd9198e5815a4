"""The control socket: one line asks, one line answers, whatever is written to it."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from dagsched.api.client import call, watch
from dagsched.api.socket import LINE_BYTES_MAX, ControlServer, short_path
from dagsched.daemon.audience import Audience
from dagsched.errors import NoDaemon, Refused, Unknown
from dagsched.model import EventRow, utc


async def echo(verb: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
    if verb == "unknown":
        raise Unknown("job", "extrct", ["extract"])
    if verb == "refuse":
        raise Refused("not today")
    if verb == "break":
        raise KeyError("a defect")
    return {"verb": verb, "body": dict(body)}


async def nothing() -> None:
    return None


def with_server(folder: Path, play: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        server = ControlServer(folder, echo, nothing)
        await server.start()
        try:
            await play()
        finally:
            await server.close()

    asyncio.run(whole())


async def raw(folder: Path, request: bytes) -> Mapping[str, Any]:
    with short_path(folder) as path:
        reader, writer = await asyncio.open_unix_connection(path)
    writer.write(request)
    writer.write_eof()
    answer = await reader.readline()
    writer.close()
    found: Mapping[str, Any] = json.loads(answer)
    return found


def test_a_verb_is_answered(tmp_path: Path) -> None:
    async def play() -> None:
        assert await call(tmp_path, "pause", {"job": "a"}) == {"verb": "pause", "body": {"job": "a"}}

    with_server(tmp_path, play)


def test_refusals_come_back_as_the_errors_they_were(tmp_path: Path) -> None:
    async def play() -> None:
        with pytest.raises(Refused, match="not today"):
            await call(tmp_path, "refuse", {})
        with pytest.raises(Unknown) as caught:
            await call(tmp_path, "unknown", {})
        assert (caught.value.kind, caught.value.name, caught.value.nearest) == ("job", "extrct", ("extract",))

    with_server(tmp_path, play)


def test_no_daemon_is_none_and_so_is_a_dead_ones_socket(tmp_path: Path) -> None:
    assert asyncio.run(call(tmp_path, "status", {})) is None
    with_server(tmp_path, nothing)
    (tmp_path / "control.sock").touch()
    assert asyncio.run(call(tmp_path, "status", {})) is None


def test_only_the_owner_may_ask(tmp_path: Path) -> None:
    async def play() -> None:
        assert stat.S_IMODE((tmp_path / "control.sock").stat().st_mode) == 0o600

    with_server(tmp_path, play)


def test_a_state_directory_with_a_very_long_path_has_a_socket_too(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a-rather-long-folder-name"] * 6)
    deep.mkdir(parents=True)

    async def play() -> None:
        assert await call(deep, "status", {}) == {"verb": "status", "body": {}}

    with_server(deep, play)


@pytest.mark.parametrize(
    "request_line",
    [
        b"nonsense\n", b"[]\n", b"{}\n", b'{"verb": "a"}\n', b"\xff\xfe\n", b"null\n",
        b'{"verb": [], "body": {}}\n', b'{"verb": "a", "body": []}\n', b"[" * 100_000 + b"\n",
    ],
    ids=["no JSON", "a list", "empty", "no body", "no text", "null", "no verb", "no object", "too deep"],
)
def test_nonsense_is_refused_and_the_next_one_is_served(tmp_path: Path, request_line: bytes) -> None:
    async def play() -> None:
        answer = await raw(tmp_path, request_line)
        assert answer["error"] == "Refused"
        assert await call(tmp_path, "status", {}) is not None

    with_server(tmp_path, play)


def test_a_defect_is_told_and_never_taken_for_a_daemon_that_is_not_there(tmp_path: Path) -> None:
    async def play() -> None:
        with pytest.raises(Refused, match="a defect"):
            await call(tmp_path, "break", {})
        assert await call(tmp_path, "status", {}) is not None

    with_server(tmp_path, play)


def test_a_request_without_end_is_refused(tmp_path: Path) -> None:
    async def play() -> None:
        answer = await raw(tmp_path, b"x" * (LINE_BYTES_MAX + 10))
        assert "one line" in answer["message"]

    with_server(tmp_path, play)


def test_a_visitor_who_says_nothing_does_not_keep_the_server_from_closing(tmp_path: Path) -> None:
    async def play() -> None:
        server = ControlServer(tmp_path, echo, nothing)
        await server.start()
        with short_path(tmp_path) as path:
            reader, writer = await asyncio.open_unix_connection(path)
        await asyncio.sleep(0)
        await asyncio.wait_for(server.close(), 10)
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()

    asyncio.run(play())
    assert not (tmp_path / "control.sock").exists()


def test_a_daemon_that_ends_before_it_answers_is_no_daemon_that_never_was(tmp_path: Path) -> None:
    async def play() -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readline()
            writer.close()

        server = await asyncio.start_unix_server(hang_up, tmp_path / "control.sock")
        with pytest.raises(NoDaemon, match="ended while it was asked to trigger"):
            await call(tmp_path, "trigger", {"job": "a"})
        server.close()
        await server.wait_closed()

    asyncio.run(play())


def test_a_watcher_hears_of_new_events_and_a_slow_one_of_the_newest(tmp_path: Path) -> None:
    audience = Audience()

    async def play() -> None:
        server = ControlServer(tmp_path, echo, nothing, watch=audience.watch)
        await server.start()
        numbers = watch(tmp_path)
        assert await anext(numbers) == 0
        audience.on_events([EventRow(seq, utc(2026, 11, 26), "daemon.started") for seq in (1, 2)])
        assert await anext(numbers) == 2
        for seq in (3, 4, 5):
            audience.on_events([EventRow(seq, utc(2026, 11, 26), "daemon.started")])
        assert await anext(numbers) == 5
        await asyncio.wait_for(server.close(), 0.9)  # a watcher is not waited for
        assert [number async for number in numbers] == []

    asyncio.run(play())


def test_whoever_watches_what_is_not_there_is_done_at_once(tmp_path: Path) -> None:
    async def play() -> None:
        assert [number async for number in watch(tmp_path)] == []

    asyncio.run(play())
