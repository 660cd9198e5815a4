"""A message to send."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Any

from dagsched.notifiers import Item, Message, message_of, send

LOAD = Item(
    "load", "job:load:2026-11-23T14:00:00Z", "failed", "exit 3", 3, "2026-11-23T14:00:01Z", "2026-11-23T14:00:07Z",
    "data-team", "Loads the night", 47, ("report", "publish"),
)  # fmt: skip
SOURCE = "//etl1/srv/etl/.dagsched"
FAILURE = message_of("msg_1", "failure", "ops", "2026-11-23T14:00:17Z", SOURCE, [LOAD])


def deliver(
    spec: Mapping[str, Any],
    environ: Mapping[str, str] | None = None,
    message: Message = FAILURE,
    hidden: Collection[str] = (),
) -> None:
    """Send it; raises NotifierError."""

    async def run() -> None:
        try:
            await send(message, spec, environ or {}, hidden)
        finally:
            # The goodbye of a TLS connection is answered after it was closed; a loop that ends first leaves it open.
            await asyncio.sleep(0.05 if spec["type"] == "email" else 0)

    asyncio.run(run())
