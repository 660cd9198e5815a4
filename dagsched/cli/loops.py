"""The event loop of a command that speaks to nobody over TLS."""

from __future__ import annotations

import sys
from collections.abc import Coroutine
from typing import Any


def run_without_tls(work: Coroutine[Any, Any, int]) -> int:
    """Do the work in an event loop and return what it returns; TLS connections through asyncio are refused in it.

    Imported, asyncio loads OpenSSL, which takes longer than the rest of it. Built without, as some Pythons are, it does
    without; so it is shown one. Whoever has loaded either before has it whole.
    """
    is_hidden = "asyncio" not in sys.modules and "ssl" not in sys.modules
    if is_hidden:
        sys.modules["ssl"] = None  # type: ignore[assignment]  # to import it is an ImportError
    try:
        import asyncio
    finally:
        if is_hidden:
            del sys.modules["ssl"]
    return asyncio.run(work)
