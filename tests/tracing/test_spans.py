"""Runs as traces: ids that fit what attempts were told, and a real collector that gets them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

from dagsched.courier.tracer import PAGE
from dagsched.handlers import traceparent
from dagsched.model import Attempt, Link, Outcome, Run, RunState, run_name, utc
from dagsched.tracing import is_traced, spans_of
from tests.daemon.served import Served
from tests.notifiers.receivers import web

TICK = utc(2026, 11, 23, 14)
SECOND = timedelta(seconds=1)
RUN = Run(
    "load", TICK, RunState.FAILED, reason="exit 3", created=TICK, started=TICK + 4 * SECOND, ended=TICK + 9 * SECOND,
    attempts=2, links=(Link("extract", TICK), Link("other", None)),
)  # fmt: skip
ATTEMPTS = [
    Attempt("load", TICK, 1, TICK + SECOND, TICK + 2 * SECOND, Outcome.TIMED_OUT, None, 15, "timeout"),
    Attempt("load", TICK, 2, TICK + 4 * SECOND, TICK + 9 * SECOND, Outcome.FAILED, 3, reason="exit 3", pid=7),
]


def test_a_run_is_a_trace_and_its_attempts_are_spans_with_the_ids_they_were_told():
    whole, first, second = spans_of(RUN, ATTEMPTS)
    assert traceparent(RUN.name, 1) == f"00-{first.trace}-{first.span}-01"
    assert traceparent(RUN.name, 2) == f"00-{second.trace}-{second.span}-01"
    assert {each.trace for each in (whole, first, second)} == {whole.trace}
    assert (whole.parent, first.parent, second.parent) == ("", whole.span, whole.span)
    assert len({whole.span, first.span, second.span}) == 3
    assert (whole.name, whole.start, whole.end, whole.error) == ("load", TICK, TICK + 9 * SECOND, "exit 3")
    assert (first.name, first.start, first.error) == ("load attempt 1", TICK + SECOND, "timeout")
    assert second.attributes["process.exit.code"] == 3


def test_a_run_is_linked_to_the_traces_of_its_upstreams():
    upstream = Run("extract", TICK, RunState.SUCCESS, created=TICK, ended=TICK + SECOND)
    [root, _] = spans_of(upstream, [Attempt("extract", TICK, 1, TICK, TICK + SECOND, Outcome.SUCCESS, 0)])
    assert spans_of(RUN, ATTEMPTS)[0].links == ((root.trace, root.span),)
    assert root.error is None


def test_what_never_ran_or_is_not_over_has_no_trace():
    assert spans_of(RUN, []) == []
    assert spans_of(RUN._replace(ended=None), ATTEMPTS) == []


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c:4318/v1/traces"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_SDK_DISABLED": "true"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318", "OTEL_TRACES_EXPORTER": "none"}, False),
    ],
)
def test_an_endpoint_in_the_environment_turns_it_on(environ, wanted):
    assert is_traced(environ) is wanted


def received(requests) -> dict[str, object]:
    """Return span name → span, of everything a collector got."""
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    found = {}
    for request in requests:
        message = ExportTraceServiceRequest()
        message.ParseFromString(request.body)
        for resource in message.resource_spans:
            names = {each.key: each.value.string_value for each in resource.resource.attributes}
            assert names["service.name"] == "dagsched"
            found.update({span.name: span for scope in resource.scope_spans for span in scope.spans})
    return found


JOBS = """\
jobs:
  a: {run: 'echo $TRACEPARENT > told; [ $DAGSCHED_ATTEMPT = 2 ]', retry: {max_attempts: 2, delay: 10ms}}
  b: {run: 'true', depends_on: [a]}
"""


def test_a_real_collector_gets_the_traces_of_a_real_daemon(tmp_path: Path, monkeypatch):
    with web() as collector:
        # The first answer is a no for good: what was not taken is sent again later, by the next courier if need be.
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.removesuffix("/hook"))
        (tmp_path / "jobs.yaml").write_text(JOBS)
        with Served(tmp_path) as daemon:
            daemon.until_type("daemon.started")
            daemon.ask("trigger", "a")
            daemon.until_type("run.succeeded", "b")
            spans = received(collector.until(1))
            while set(spans) < {"a", "a attempt 1", "a attempt 2", "b", "b attempt 1"}:
                spans = received(collector.until(len(collector.requests) + 1))
    _, trace, span, _ = (tmp_path / "told").read_text().strip().split("-")
    assert (spans["a attempt 2"].trace_id.hex(), spans["a attempt 2"].span_id.hex()) == (trace, span)
    assert spans["a attempt 2"].parent_span_id == spans["a"].span_id
    assert (spans["a attempt 1"].status.code, spans["a attempt 2"].status.code) == (2, 1)
    [link] = spans["b"].links
    assert (link.trace_id, link.span_id) == (spans["a"].trace_id, spans["a"].span_id)


def test_what_a_collector_does_not_take_is_sent_again(tmp_path, monkeypatch):
    import asyncio
    from contextlib import closing

    from dagsched.clock import ManualClock
    from dagsched.courier.tracer import Tracer
    from dagsched.model import EventRow
    from dagsched.stores import MemoryStore
    from dagsched.stores.contract import Batch
    from dagsched.stores.notices import Notices

    class Sender:
        def __init__(self) -> None:
            self.answers, self.names = [True, False, True], []

        def send(self, spans) -> bool:
            self.names.append([span.name for span in spans])
            return self.answers.pop(0)

    async def body(notices: Notices) -> tuple[list, int]:
        store, clock, sender = MemoryStore(), ManualClock(TICK), Sender()
        await store.open(write=True)
        await store.acquire("a test")
        attempts = [each._replace(job="a") for each in ATTEMPTS]
        runs = [RUN._replace(job="a"), RUN._replace(job="b")]
        count = PAGE + 1
        events = [EventRow(n, TICK, "run.failed" if n in (1, count) else "run.acked", "a", TICK) for n in
                  range(1, count + 1)]  # fmt: skip
        await store.commit(Batch(runs=runs, new_attempts=attempts, events=events))
        tracer = Tracer(store, notices, sender, clock.now, 0)
        await tracer.work()
        assert (tracer.cursor, tracer.next_try > clock.now()) == (PAGE, True)
        await Tracer(store, notices, sender, clock.now, 0).work()
        return sender.names, notices.cursor("traces")

    with closing(Notices(tmp_path, write=True)) as notices:
        names, cursor = asyncio.run(body(notices))
    assert (len(names), names[1] == names[2], cursor) == (3, True, PAGE + 1)


def test_a_span_is_named_after_the_run_it_belongs_to():
    assert spans_of(RUN, ATTEMPTS)[0].attributes["dagsched.run"] == run_name("load", TICK)
    assert json.loads(json.dumps(dict(spans_of(RUN, ATTEMPTS)[0].attributes)))["dagsched.state"] == "failed"
