"""What an attempt wrote, by byte ranges (RFC 9110, section 14)."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from starlette.responses import Response, StreamingResponse

from dagsched.api.answers import Turned
from dagsched.handlers.launch import log_of
from dagsched.model import Attempt
from dagsched.stores.contract import Store

CHUNK_BYTES = 1 << 16
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})")


async def written(store: Store, home: Path, attempt: Attempt) -> BinaryIO | None:
    """Return what an attempt wrote: its file, or of a worker's attempt as much as has come into the state; or None."""
    file = open_log(home, attempt)
    if file is not None or store.fleet is None:
        return file
    found = b""
    while data := await store.output(attempt, len(found), CHUNK_BYTES * 16):
        found += data
    return BytesIO(found) if found else None


def respond(file: BinaryIO | None, wanted: str | None, is_over: bool) -> Response:
    """Return the log, or the part that a Range header asks for; raises Turned for one outside of it.

    `is_over`: whether the attempt can write no more; the answer says so in `X-Dagsched-Ended`.
    """
    size = file.seek(0, os.SEEK_END) if file is not None else 0
    headers = {
        "Accept-Ranges": "bytes",
        "X-Dagsched-Ended": "true" if is_over else "false",
        "Content-Disposition": "inline",
    }
    first, last, status = 0, size - 1, 200
    if wanted is not None and (found := _RANGE.fullmatch(wanted.strip())) and any(found.groups()):
        bounds = _bounds(found[1], found[2], size)
        if bounds is None:
            if file is not None:
                file.close()
            told = {"Content-Range": f"bytes */{size}", "X-Dagsched-Ended": headers["X-Dagsched-Ended"]}
            raise Turned(416, "range", f"the log has {size} bytes so far", told)
        (first, last), status = bounds, 206
        headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    length = last - first + 1
    headers["Content-Length"] = str(length)
    if file is None or length == 0:
        if file is not None:
            file.close()
        return Response(b"", status, headers, "text/plain; charset=utf-8")
    return StreamingResponse(_pieces(file, first, length), status, headers, "text/plain; charset=utf-8")


def _bounds(first: str, last: str, size: int) -> tuple[int, int] | None:
    """Return the first and last byte of a range, None when no byte is in it."""
    if not first:
        count = min(int(last), size)
        return (size - count, size - 1) if count else None
    begin, end = int(first), min(int(last) if last else size - 1, size - 1)
    return (begin, end) if begin <= end else None


def open_log(home: Path, attempt: Attempt) -> BinaryIO | None:
    """Return the log's file, None when nothing was written; never one outside of the state's own logs."""
    if not (log := log_of(attempt)):
        return None
    logs, path = home.resolve() / "logs", (home / log).resolve()
    if not path.is_relative_to(logs):
        raise Turned(404, "not-found", "the log lies outside of the state directory")
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Turned(503, "unavailable", f"the log cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Turned(404, "not-found", "the log is no file")
    return os.fdopen(fd, "rb")


async def _pieces(file: BinaryIO, first: int, length: int) -> AsyncIterator[bytes]:
    with file:
        file.seek(first)
        while length > 0:
            data = await asyncio.to_thread(file.read, min(CHUNK_BYTES, length))
            if not data:
                # A capped log was shortened meanwhile; the length that was promised cannot be kept.
                raise OSError("the log became shorter while it was read")
            length -= len(data)
            yield data
