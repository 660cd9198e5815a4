"""Figures for Prometheus, made by whoever serves them from the state and from what the daemon says of itself.

The daemon knows nothing of this and loads nothing for it. Names and labels are listed in docs/metrics.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dagsched.metrics.exporter import Exporter
from dagsched.model import EMPTY
from dagsched.stores.contract import Store

__all__ = ["CONTENT_TYPE", "Exporter", "metrics_text"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


async def metrics_text(
    store: Store, status: Mapping[str, Any] | None, now: datetime, notices: Mapping[str, int] = EMPTY
) -> bytes:
    """Return all figures at once; `status`: a running daemon's, None if none; `notices`: messages by state.

    Histograms cover the newest events only: who answers again and again keeps an Exporter, whose counters only grow.
    Raises UsageError when the library for it is not installed.
    """
    return await Exporter(store).text(status, now, notices)
