"""`/metrics`: the figures of `dagsched metrics`, for a Prometheus that comes for them again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path

from starlette.responses import Response

from dagsched.api.answers import Turned
from dagsched.api.table import Visit
from dagsched.errors import StoreMissing, UsageError
from dagsched.metrics import CONTENT_TYPE
from dagsched.stores.notices import Notices


async def metrics(visit: Visit) -> Response:
    """All figures in the text format; counters go on from the answer before."""
    desk = visit.desk
    status = await desk.status()
    notices = await asyncio.to_thread(_notices, desk.home)
    async with desk.exporting:  # two at once would count the same events twice
        try:
            text = await desk.exporter.text(status, desk.clock.now(), notices)
        except UsageError as error:  # the library is missing, which is no fault of the request
            raise Turned(503, "unavailable", str(error)) from None
    return Response(text, headers={"Content-Type": CONTENT_TYPE})


def _notices(home: Path) -> Mapping[str, int]:
    with suppress(StoreMissing), closing(Notices(home, write=False)) as notices:
        return dict(notices.counts())
    return {}
