"""The process in which a handler does its work: `python -m dagsched.handlers.child NAME`, context on stdin.

    exit 0     the handler returned; what it returned is in the outputs file
    exit 1     it raised; the traceback is in the log
    exit 2     it cannot be used: no such handler, or its plug-in does not load

SystemExit is obeyed as in any Python program, and TERM ends the process as it ends any other.
"""

from __future__ import annotations

import inspect
import io
import json
import os
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from dagsched.errors import HandlerError
from dagsched.handlers.outputs import render
from dagsched.handlers.params import as_text
from dagsched.handlers.table import find


def main(name: str) -> int:
    """Run the handler of that name on the context that stdin holds; return the exit status."""
    return work(name, json.load(sys.stdin))


def work(name: str, context: dict[str, Any]) -> int:
    """Run the handler of that name; what it prints goes to standard output and error. Returns the exit status."""
    for stream in (sys.stdout, sys.stderr):
        # A log is bytes for somebody to read; a locale that cannot say a letter is no reason to fail.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    context["outputs"] = os.environ.get("DAGSCHED_OUTPUT", "")
    # Only their names come with the context: a value stands in this process's environment and nowhere else.
    context["secrets"] = {name: os.environ[name] for name in context.get("secrets", ()) if name in os.environ}
    try:
        handler = find(name)
    except HandlerError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        leave(context["outputs"], call(handler.run, context))
    except HandlerError as error:
        print(error, file=sys.stderr)
        return 1
    except Exception:  # the work is somebody else's code
        traceback.print_exc()
        return 1
    return 0


def call(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call a function, awaiting what it returns if it is a coroutine function's."""
    found = function(*args, **kwargs)
    if not inspect.isawaitable(found):
        return found

    import asyncio  # a third of the start of a process that may never need it

    async def settle() -> Any:
        return await found

    return asyncio.run(settle())


def leave(path: str, outputs: Any) -> None:
    """Add what a handler returned to the outputs file: a mapping's items; what is none, as `result`."""
    if outputs is None:
        return
    items = outputs if isinstance(outputs, Mapping) else {"result": outputs}
    text = render({str(name): as_text(value) for name, value in items.items()})
    if not path:
        raise HandlerError("DAGSCHED_OUTPUT is not set: this is no attempt of dagsched")
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
