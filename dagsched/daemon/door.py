"""What a daemon opens once it is ready."""

from __future__ import annotations

from typing import Protocol


class Door(Protocol):
    """A way in from outside, open while the daemon can answer."""

    async def start(self) -> None: ...

    async def close(self) -> None: ...
