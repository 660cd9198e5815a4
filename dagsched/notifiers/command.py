"""`type: command`: a command that gets the message as JSON on standard input, and the gist as variables.

Its environment is what an attempt of a job starts with: this process's own, without what is somebody's secret, and with
the secrets that it was given by name.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from dagsched.errors import NotifierError
from dagsched.notifiers.message import Message
from dagsched.notifiers.secret import text_of
from dagsched.passing import passed_on

SHOWN_BYTES_MAX = 500
END_S = 2.0


async def send(message: Message, spec: Mapping[str, Any], environ: Mapping[str, str]) -> None:
    """Run the command to its end; raises NotifierError unless it exits 0."""
    argv = [str(word) for word in spec["run"]]
    secrets = {name: text_of(said, spec, environ) for name, said in spec.get("secrets", {}).items()}
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            cwd=spec.get("folder"),
            env={**passed_on(environ, spec.get("hidden", ())), **variables(message), **secrets},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as error:
        raise NotifierError(f"cannot start {argv[0]}: {error.strerror}") from None
    try:
        written, _ = await process.communicate(json.dumps(message.as_json(), ensure_ascii=False).encode())
    finally:
        await _end(process)
    if process.returncode:
        words = written[-SHOWN_BYTES_MAX:].decode(errors="replace").strip()
        raise NotifierError(f"exit {process.returncode}{': ' + words if words else ''}")


async def _end(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of it, after a timeout all of it, and its children; then let go of its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        await asyncio.wait_for(process.communicate(), END_S)


def variables(message: Message) -> dict[str, str]:
    """Return what the command finds in its environment."""
    first = message.items[0] if message.items else None
    return {
        "DAGSCHED_NOTICE": message.kind,
        "DAGSCHED_NOTICE_ID": message.id,
        "DAGSCHED_NOTIFIER": message.notifier,
        "DAGSCHED_TITLE": message.title,
        "DAGSCHED_JOB": first.job if first else "",
        "DAGSCHED_RUN": first.run if first else "",
    }
