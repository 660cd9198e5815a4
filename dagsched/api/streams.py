"""Live events: server-sent events (a browser's EventSource) and a WebSocket.

A stream begins after the number that is asked for, `Last-Event-ID` or `since`, else with the next event. Its caller's
token is looked at again while it goes on, so that revoking one ends its streams too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator

from starlette.responses import Response, StreamingResponse
from starlette.types import Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from dagsched.api.answers import Turned
from dagsched.api.desk import STREAMS_MAX, Caller, Desk
from dagsched.api.table import Query, Visit

BEAT_S = 15.0
FOLLOWING = (
    Query("since", "count", "Begin after the event of this number instead of with the next one."),
    Query("job", "text", "Only events of this job."),
)


async def server_sent(visit: Visit) -> Response:
    """Return the live events as `text/event-stream`, for ever."""
    since = _since(visit.request.headers.get("last-event-id"), visit.query["since"])
    if visit.request.scope["method"] == "HEAD":
        return Response(b"", 200, media_type="text/event-stream")
    with _seat(visit.desk) as seat:
        begin = await visit.desk.news.newest() if since is None else since
        body = _lines(visit.desk, visit.caller, begin, visit.query["job"], seat)
        headers = {"X-Accel-Buffering": "no", "Cache-Control": "no-store"}
        seat.keep()
        return _Stream(body, 200, headers, "text/event-stream")


class _Stream(StreamingResponse):
    """An answer that ends its source with itself: one that was dropped would keep its seat until it is collected."""

    async def stream_response(self, send: Send) -> None:
        """Send all of it."""
        async with contextlib.aclosing(self.body_iterator):  # type: ignore[type-var]
            await super().stream_response(send)


async def serve_socket(desk: Desk, caller: Caller, socket: WebSocket) -> None:
    """Send one JSON text for each event until either side ends; raises Turned before it is accepted."""
    given = socket.query_params
    known = {query.name: query for query in FOLLOWING}
    if unknown := set(given) - set(known):
        raise Turned(400, "malformed", f"unknown parameter {min(unknown)[:100]!r}")
    asked = {name: query.read(given.getlist(name), desk.clock.now()) for name, query in known.items()}
    with _seat(desk):
        begin = await desk.news.newest() if asked["since"] is None else asked["since"]
        await socket.accept()
        hearing = asyncio.ensure_future(_until_gone(socket))
        telling = asyncio.ensure_future(_tell(desk, caller, socket, begin, asked["job"]))
        _, open_ones = await asyncio.wait((hearing, telling), return_when=asyncio.FIRST_COMPLETED)
        for task in open_ones:
            task.cancel()
        await asyncio.gather(hearing, telling, return_exceptions=True)
        with contextlib.suppress(RuntimeError, OSError):
            await socket.close(1001)


async def _tell(desk: Desk, caller: Caller, socket: WebSocket, begin: int, job: str | None) -> None:
    async for page in desk.news.follow(begin, job, BEAT_S):
        if not _is_welcome(desk, caller):
            return
        for told in page:
            await socket.send_text(told.text)


async def _until_gone(socket: WebSocket) -> None:
    """Take and forget what the other side says until it leaves."""
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass


async def _lines(desk: Desk, caller: Caller, begin: int, job: str | None, seat: Seat) -> AsyncIterator[bytes]:
    with seat:
        # At once, so that whoever waits for the head of the answer knows that the stream stands.
        yield b"retry: 2000\n\n"
        async for page in desk.news.follow(begin, job, BEAT_S):
            if not _is_welcome(desk, caller):
                return
            yield b"".join(told.message for told in page) or b": still here\n\n"


def _is_welcome(desk: Desk, caller: Caller) -> bool:
    return not caller.id or desk.access.is_good(caller.id, desk.clock.now())


def _since(header: str | None, asked: int | None) -> int | None:
    """Return the number to begin after: a browser that comes back says it in the header."""
    if header is None or not header.strip():
        return asked
    if not header.strip().isdecimal() or len(header) > 18:
        raise Turned(400, "malformed", "Last-Event-ID is the number of an event")
    return int(header)


class Seat:
    """One of the STREAMS_MAX places for live streams; given back once, at the end of whoever keeps it."""

    def __init__(self, desk: Desk) -> None:
        self._desk: Desk | None = desk
        self._is_kept = False
        desk.streams += 1

    def keep(self) -> None:
        """Let the stream itself give it back."""
        self._is_kept = True

    def leave(self) -> None:
        """Give it back."""
        desk, self._desk = self._desk, None
        if desk is not None:
            desk.streams -= 1

    def __enter__(self) -> Seat:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()

    def __del__(self) -> None:
        # A stream that its reader left before its first line never ran, and its end did not either.
        self.leave()


@contextlib.contextmanager
def _seat(desk: Desk) -> Iterator[Seat]:
    if desk.streams >= STREAMS_MAX:
        raise Turned(503, "too-many", f"{STREAMS_MAX} live streams are open already", {"Retry-After": "30"})
    seat = Seat(desk)
    try:
        yield seat
    finally:
        if not seat._is_kept:
            seat.leave()
