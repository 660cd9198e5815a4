"""`handler: retention`, `compact` and `rollup`: the daemon keeps its own house, as a job like any other.

    nightly-prune: {schedule: "30 3 * * *", handler: retention}

Only the daemon may write its state, so the attempt's process asks it over its socket and waits for the answer, which is
the attempt's log and its outputs. `run --once` has no socket: there the attempt fails and says so.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dagsched.counting import counted
from dagsched.errors import HandlerError

SCHEMA: Mapping[str, Any] = {"type": "object", "additionalProperties": False, "properties": {}}
SOCKET = "control.sock"


class Housekeeper:
    """Has the daemon do one piece of housekeeping; `words` say what came of it, from the daemon's answer."""

    SCHEMA = SCHEMA

    def __init__(self, verb: str, words: Callable[[Mapping[str, Any]], str]) -> None:
        self._verb, self._words = verb, words

    def run(self, context: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the daemon's answer as outputs; raises HandlerError when none answers, or it refuses."""
        if not context["outputs"]:
            raise HandlerError("DAGSCHED_OUTPUT is not set: this is no attempt of dagsched")
        # Outputs lie in a folder of the state directory.
        answer = ask(Path(context["outputs"]).parent.parent, self._verb)
        print(self._words(answer))
        return answer


def ask(home: Path, verb: str) -> dict[str, Any]:
    """Return the answer of the daemon of that state directory; raises HandlerError without one."""
    folder = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as line:
            # A path to a deep directory would not fit into an address (unix(7)).
            short = f"/proc/self/fd/{folder}/{SOCKET}"
            line.connect(short if os.path.exists(short) else str(home / SOCKET))
            line.sendall(json.dumps({"verb": verb, "body": {}}).encode() + b"\n")
            text = line.makefile("rb").readline()
    except (FileNotFoundError, ConnectionError) as error:
        raise HandlerError(
            f"no daemon answers on {home} ({error.strerror or error}): only one that runs may change its state, "
            "and `run --once` is none"
        ) from None
    finally:
        os.close(folder)
    if not text:
        raise HandlerError(f"the daemon of {home} ended before it had answered")
    answer: dict[str, Any] = json.loads(text)
    if "ok" not in answer:
        raise HandlerError(f"the daemon refused: {answer['message']}")
    return dict(answer["ok"])


def _deleted(answer: Mapping[str, Any]) -> str:
    return f"deleted {counted(answer['deleted'], 'run')} beyond what `keep` says"


def _freed(answer: Mapping[str, Any]) -> str:
    return f"gave {answer['freed']:,} bytes back: {answer['before']:,} bytes in use before, {answer['after']:,} now"


def _worked_out(answer: Mapping[str, Any]) -> str:
    return f"figures of {counted(answer['days'], 'day')} worked out anew"


retention = Housekeeper("retention", _deleted)
compact = Housekeeper("compact", _freed)
rollup = Housekeeper("rollup", _worked_out)
