"""Spans to an OpenTelemetry collector, over OTLP/HTTP. Imported only where traces are wanted.

Where to and with which headers is read by the library from the usual variables (OTEL_EXPORTER_OTLP_…), the name of
the service from OTEL_SERVICE_NAME.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import dagsched
from dagsched.errors import UsageError
from dagsched.tracing.spans import Span

try:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace.export import SpanExportResult
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
except ImportError as error:
    raise UsageError(f"traces need the OpenTelemetry SDK ({error}); fix: pip install 'dagsched[otel]'") from None


class Sender:
    """Sends spans, one request at a time; blocks while it does."""

    def __init__(self, source: str, exporter: Any = None) -> None:
        self._exporter = exporter or OTLPSpanExporter()
        named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": "dagsched"}
        self._resource = Resource.create({**named, "service.version": dagsched.__version__, "dagsched.source": source})
        self._scope = InstrumentationScope("dagsched", dagsched.__version__)

    def send(self, spans: Iterable[Span]) -> bool:
        """Return whether the collector has them."""
        made: Sequence[ReadableSpan] = [self._made(span) for span in spans]
        return bool(self._exporter.export(made) is SpanExportResult.SUCCESS)

    def close(self) -> None:
        """Let go of the connection."""
        self._exporter.shutdown()

    def _made(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=_context(span.trace, span.span),
            parent=_context(span.trace, span.parent) if span.parent else None,
            resource=self._resource,
            attributes=dict(span.attributes),
            links=[Link(_context(trace, id)) for trace, id in span.links],
            kind=SpanKind.INTERNAL,
            status=Status(StatusCode.OK) if span.error is None else Status(StatusCode.ERROR, span.error),
            start_time=_ns(span.start),
            end_time=_ns(span.end),
            instrumentation_scope=self._scope,
        )


def _context(trace: str, span: str) -> SpanContext:
    return SpanContext(int(trace, 16), int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _ns(moment: datetime) -> int:
    return round(moment.timestamp() * 1000) * 1_000_000
