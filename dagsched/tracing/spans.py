"""A run and its attempts as spans: plain data, before any library comes in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from dagsched.handlers import traceparent
from dagsched.model import Attempt, Outcome, Run, RunState, format_instant, run_name

Value = str | int | float | bool
ROOT = 0
"""The number that stands for the run itself where an attempt has its own."""


class Span(NamedTuple):
    """`trace` and `span`: hex; `parent`: "" for a run. `links`: (trace, span) of upstreams. `error`: None if well."""

    trace: str
    span: str
    parent: str
    name: str
    start: datetime
    end: datetime
    attributes: Mapping[str, Value]
    error: str | None = None
    links: tuple[tuple[str, str], ...] = ()


def spans_of(run: Run, attempts: Sequence[Attempt]) -> list[Span]:
    """Return the spans of a run that is over: its own first, then those of its attempts that ended."""
    trace, root = ids_of(run.name, ROOT)
    ended = [attempt for attempt in attempts if attempt.ended is not None]
    if not ended or run.ended is None:
        return []
    start = min(filter(None, (run.created, ended[0].started)))
    error = (run.reason or str(run.state)) if run.state is not RunState.SUCCESS else None
    links = tuple(ids_of(run_name(link.job, link.tick), ROOT) for link in run.links if link.tick is not None)
    whole = Span(trace, root, "", run.job, start, max(start, run.ended), _of_run(run), error, links)
    return [whole, *(_of_attempt(attempt, trace, root, run.name) for attempt in ended)]


def ids_of(run: str, number: int) -> tuple[str, str]:
    """Return (trace, span) in hex of an attempt, of the run itself for ROOT."""
    _, trace, span, _ = traceparent(run, number).split("-")
    return trace, span


def _of_run(run: Run) -> Mapping[str, Value]:
    found: dict[str, Value | None] = {
        "dagsched.job": run.job,
        "dagsched.run": run.name,
        "dagsched.tick": format_instant(run.tick),
        "dagsched.state": str(run.state),
        "dagsched.trigger": str(run.origin),
        "dagsched.attempts": run.attempts,
        "dagsched.config": run.config,
        "dagsched.ready": format_instant(run.ready) if run.ready else None,
        "dagsched.reason": run.reason or None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _of_attempt(attempt: Attempt, trace: str, root: str, run: str) -> Span:
    assert attempt.ended is not None, "only what ended is told"
    found: dict[str, Value | None] = {
        "dagsched.job": attempt.job,
        "dagsched.run": run,
        "dagsched.attempt": attempt.number,
        "dagsched.outcome": str(attempt.outcome) if attempt.outcome else None,
        "process.exit.code": attempt.exit_code,
        "process.pid": attempt.pid,
        "dagsched.signal": attempt.signal,
        "dagsched.reason": attempt.reason or None,
    }
    is_good = attempt.outcome is Outcome.SUCCESS
    return Span(
        trace,
        ids_of(run, attempt.number)[1],
        root,
        f"{attempt.job} attempt {attempt.number}",
        attempt.started,
        max(attempt.started, attempt.ended),
        {name: value for name, value in found.items() if value is not None},
        None if is_good else attempt.reason or str(attempt.outcome),
    )
