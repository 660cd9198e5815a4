"""Asking a running daemon."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any

from dagsched.api.socket import LINE_BYTES_MAX, short_path
from dagsched.errors import ConfigInvalid, NoDaemon, Refused, StoreError, StoreUnavailable, Unknown

PATIENCE_S = 30.0


class Broken(Refused):
    """The daemon failed at what it was asked, by a defect of its own."""


async def call(state_dir: Path, verb: str, body: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a running daemon's answer to a verb, None when no daemon runs on this state.

    Raises Refused or Unknown as the daemon does, StoreUnavailable when it does not answer in 30 s (it may be waiting
    for its disk), and NoDaemon when it ended before it answered.
    """
    try:
        with short_path(state_dir) as path:
            reader, writer = await asyncio.open_unix_connection(path, limit=LINE_BYTES_MAX * 64)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise StoreError(f"the daemon of {state_dir} belongs to somebody else: {error}") from error
    try:
        writer.write(json.dumps({"verb": verb, "body": dict(body)}).encode() + b"\n")
        await writer.drain()
        line = await asyncio.wait_for(reader.readline(), PATIENCE_S)
    except TimeoutError:
        raise StoreUnavailable(
            f"the daemon of {state_dir} did not answer within {PATIENCE_S:g} s; it may be unable to write its state"
        ) from None
    except ConnectionError:
        line = b""
    finally:
        writer.close()
    if not line:
        # Whether it was done is not known, so it must not be left for the next daemon, which would do it again.
        raise NoDaemon(
            f"the daemon of {state_dir} ended while it was asked to {verb}; `dagsched events` shows whether it did"
        )
    return _read(json.loads(line))


async def watch(state_dir: Path) -> AsyncGenerator[int, None]:
    """Yield the number of a running daemon's newest event, at once and when there are newer ones; end with the daemon.

    Ends at once when no daemon runs on this state; raises Refused when too many watch.
    """
    try:
        with short_path(state_dir) as path:
            reader, writer = await asyncio.open_unix_connection(path)
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError, PermissionError):
        return
    try:
        writer.write(b'{"verb": "watch", "body": {}}\n')
        while line := await reader.readline():
            answer = json.loads(line)
            if "seq" not in answer:
                _read(answer)
            yield answer["seq"]
    except ConnectionError:
        return
    finally:
        writer.close()


def _read(answer: Mapping[str, Any]) -> dict[str, Any]:
    if "ok" in answer:
        return dict(answer["ok"])
    parts = answer.get("parts") or {}
    if answer["error"] == "Unknown":
        raise Unknown(parts["kind"], parts["name"], parts["nearest"])
    if answer["error"] == "Failed":
        raise Broken(answer["message"])
    if answer["error"] == "StoreUnavailable":
        raise StoreUnavailable(answer["message"])
    if answer["error"] == "ConfigInvalid":
        from dagsched.config import Problem

        raise ConfigInvalid([Problem(**row) for row in parts["problems"]])
    raise Refused(answer["message"])
