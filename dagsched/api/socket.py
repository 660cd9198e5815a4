"""The control socket: one JSON line asks, one JSON line answers.

`control.sock` lies in the state directory with mode 0600: who may write there may command the daemon. A request is
`{"verb": …, "body": {…}}`, an answer `{"ok": {…}}` or `{"error": kind, "message": …, "parts": {…}}`.

The verb `watch` has no single answer: a line `{"seq": n}` comes at once and after every commit with events, n being
the number of the newest event, until the asker hangs up. It says that there is something to read, and the store has
what: a reader that is slow gets fewer lines and misses nothing.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from dagsched.errors import ConfigInvalid, DagschedError, Unknown

log = logging.getLogger("dagsched.api")

NAME = "control.sock"
LINE_BYTES_MAX = 1024 * 1024
_PATH_BYTES_MAX = 100  # sockaddr_un.sun_path holds 104 to 108 bytes, see unix(7)

WATCHERS_MAX = 64

Handler = Callable[[str, Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
Watch = Callable[[Callable[[int], None]], AbstractContextManager[None]]
"""Has a function called with the number of the newest event, at once and after each commit, while it is entered."""


@contextmanager
def short_path(state_dir: Path, name: str = NAME) -> Iterator[str]:
    """Give a path to a socket that fits into an address, however deep the state directory lies."""
    path = str(state_dir / name)
    if len(os.fsencode(path)) < _PATH_BYTES_MAX or not os.path.isdir("/proc/self/fd"):
        yield path
        return
    fd = os.open(state_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{fd}/{name}"
    finally:
        os.close(fd)


class ControlServer:
    """Listens on a state directory's socket and hands each request to `handle`.

    `opened` is awaited once the socket listens: from then on nobody leaves commands in the inbox instead. `name` is
    that of the socket's file. `watch` serves those who want to know of new events. `closing` is awaited first when it
    closes.
    """

    def __init__(
        self,
        state_dir: Path,
        handle: Handler,
        opened: Callable[[], Awaitable[None]],
        name: str = NAME,
        watch: Watch | None = None,
        closing: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._state_dir, self._handle, self._opened, self._name = state_dir, handle, opened, name
        self._watch, self._closing = watch, closing
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()
        self._watchers: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Begin to listen; only the holder of the state may call this, so an old socket file is a dead one's."""
        (self._state_dir / self._name).unlink(missing_ok=True)
        mask = os.umask(0o177)
        try:
            with short_path(self._state_dir, self._name) as path:
                self._server = await asyncio.start_unix_server(self._accept, path, limit=LINE_BYTES_MAX)
        finally:
            os.umask(mask)
        await self._opened()

    async def close(self) -> None:
        """Stop listening, and end the conversations that are under way once they are answered."""
        if self._closing is not None:
            await self._closing()
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for watcher in self._watchers:
            watcher.cancel()
        if self._clients:
            await asyncio.wait(self._clients, timeout=1.0)
        for client in self._clients:
            client.cancel()
        with suppress(FileNotFoundError):
            (self._state_dir / self._name).unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:
            writer.close()  # accepted while the server was closing
            return
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(task)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = await reader.readline()
        except ValueError:
            answer = _error("Refused", f"a request is one line of at most {LINE_BYTES_MAX} bytes")
        else:
            if not line:
                return
            if self._watch is not None and _is_watch(line):
                await self._tell(self._watch, reader, writer)
                return
            answer = await self._answer(line)
        writer.write(json.dumps(answer, default=str).encode() + b"\n")
        await writer.drain()

    async def _tell(self, watch: Watch, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Write the number of the newest event whenever there is a newer one, until the asker is gone."""
        if len(self._watchers) >= WATCHERS_MAX:
            writer.write(json.dumps(_error("Refused", f"{WATCHERS_MAX} watch already")).encode() + b"\n")
            return
        task = asyncio.current_task()
        assert task is not None
        self._watchers.add(task)
        news: asyncio.Queue[int] = asyncio.Queue(1)

        def see(seq: int) -> None:
            if news.full():
                news.get_nowait()
            news.put_nowait(seq)

        gone = asyncio.ensure_future(reader.read(1))
        try:
            with watch(see):
                while not gone.done():
                    new = asyncio.ensure_future(news.get())
                    await asyncio.wait((new, gone), return_when=asyncio.FIRST_COMPLETED)
                    if not new.done():
                        new.cancel()
                        return
                    writer.write(b'{"seq": %d}\n' % new.result())
                    await writer.drain()
        finally:
            gone.cancel()
            self._watchers.discard(task)

    async def _answer(self, line: bytes) -> Mapping[str, Any]:
        try:
            verb, body = _read(line)
        except (ValueError, KeyError, TypeError, RecursionError):
            return _error("Refused", 'a request is a JSON line {"verb": …, "body": {…}}')
        try:
            return {"ok": await self._handle(verb, body)}
        except Unknown as error:
            parts = {"kind": error.kind, "name": error.name, "nearest": list(error.nearest)}
            return _error("Unknown", str(error), parts)
        except ConfigInvalid as error:
            return _error("ConfigInvalid", str(error), {"problems": [each._asdict() for each in error.problems]})
        except DagschedError as error:
            return _error(type(error).__name__, str(error))
        except Exception as error:
            # A defect, but one must be told: no answer at all would mean that no daemon runs here.
            log.exception("the verb %s failed", verb)
            return _error("Failed", f"the daemon failed at this: {error!r}; its log says more")


def _read(line: bytes) -> tuple[str, Mapping[str, Any]]:
    request = json.loads(line)
    verb, body = request["verb"], request["body"]
    if not isinstance(verb, str) or not isinstance(body, dict):
        raise TypeError("a verb is text, its body an object")
    return verb, body


def _is_watch(line: bytes) -> bool:
    try:
        return _read(line)[0] == "watch"
    except (ValueError, KeyError, TypeError, RecursionError):
        return False


def _error(kind: str, message: str, parts: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    return {"error": kind, "message": message, "parts": dict(parts or {})}
