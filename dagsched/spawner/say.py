"""The spawner's own log, which is its standard error."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Write a line for a person; a full disk is no reason to fail."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        return
