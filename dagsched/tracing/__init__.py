"""Traces of runs, told after the fact: one trace a run, one span an attempt.

The ids are those that attempts get as TRACEPARENT, so what a command or a service traces itself hangs below its
attempt. They follow from names alone (`handlers/launch.py`), so nothing has to be remembered or agreed on, and the
daemon traces nothing itself: the courier reads the event log and sends what has ended.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagsched.tracing.spans import Span, spans_of

__all__ = ["Span", "is_traced", "spans_of"]

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def is_traced(environ: Mapping[str, str]) -> bool:
    """Whether somebody wants traces: an endpoint is named, as OpenTelemetry has it, and nothing turns it off."""
    is_off = environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or environ.get("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(environ.get(name) for name in ENDPOINTS)
