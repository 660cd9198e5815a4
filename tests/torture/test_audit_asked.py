"""What the auditor finds of events and backfills, in a record that is honest and in ones that are not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.torture.auditor import audit
from tests.torture.evidence import Evidence
from tests.torture.story import Story, at, text

JOBS: dict[str, Any] = {
    "extract": {"schedule": {"every": "10s"}},
    "hears": {"schedule": {"event": "e0"}},
    "below": {"depends_on": [{"job": "hears", "match": "latest"}]},
}
EMITTED = f"job:hears:{text(at(15.001))}"


def honest() -> Evidence:
    """Return a round with three ticks, an event that was said twice, and a backfill of a tick from before."""
    story = Story(JOBS)
    for tick in (10, 20, 30):
        story.ran(story.born("extract", tick), tick + 0.1, tick + 0.5)
    story.event(15.001, "event.emitted", reason="e0")
    hears = story.born("hears", 15.001, trigger="event")
    story.ran(hears, 15.1, 15.3)
    story.ran(story.born("below", 15.001, at=15.001, links=[hears], trigger="upstream"), 15.4, 15.6)
    story.event(25, "backfill.started", reason="3 ticks")
    story.events[-1]["job"] = "extract"
    story.ran(story.born("extract", 0, at=25.1, trigger="backfill"), 25.2, 25.4)
    out = "\n".join((hears, f"job:below:{text(at(15.001))}"))
    emit = {"args": ["emit", "e0", "--id", "x"], "code": 0, "err": "", "done": at(15.5).timestamp()}
    story.verbs = [
        emit | {"out": out + "\n"},
        emit | {"out": ""},
        {"args": ["backfill", "extract"], "code": 0, "out": "backfill 1 of extract: 3 ticks\n", "err": ""}
        | {"done": at(25.5).timestamp()},
    ]
    evidence = story.evidence()
    backfill = {"id": 1, "job": "extract", "first": text(at(-5)), "last": text(at(25)), "state": "done"}
    evidence.backfills = [backfill | {"created": text(at(25)), "ended": text(at(26))}]
    return evidence


def test_an_honest_record_of_events_and_backfills_breaks_no_promise():
    assert audit(honest()) == []


def an_event_that_was_made_twice(evidence: Evidence) -> None:
    again = dict(evidence.verbs[1]) | {"out": f"job:hears:{text(at(16.004))}\n"}
    evidence.verbs = [evidence.verbs[0], again, evidence.verbs[2]]


def an_event_in_the_log_that_nobody_said(evidence: Evidence) -> None:
    said = [dict(event) for event in evidence.events]
    said[0] |= {"type": "event.emitted", "reason": "e1", "run": None, "from": None, "to": None}
    evidence.events = said


def a_listener_without_a_row(evidence: Evidence) -> None:
    gone = f"job:below:{text(at(15.001))}"
    evidence.history = [row for row in evidence.history if row["run"] != gone]


def a_row_of_an_event_that_nobody_said(evidence: Evidence) -> None:
    evidence.verbs = evidence.verbs[2:]


def a_run_that_was_answered_and_is_not_there(evidence: Evidence) -> None:
    evidence.verbs = [dict(evidence.verbs[0]) | {"out": f"job:hears:{text(at(15.002))}\n"}, *evidence.verbs[1:]]


def a_backfill_that_never_ends(evidence: Evidence) -> None:
    evidence.backfills = [dict(evidence.backfills[0]) | {"state": "active", "ended": None}]


def a_backfill_that_left_a_tick_out(evidence: Evidence) -> None:
    evidence.history = [row for row in evidence.history if row["trigger"] != "backfill"]


def a_backfill_that_is_not_in_the_list(evidence: Evidence) -> None:
    evidence.backfills = [dict(evidence.backfills[0]) | {"id": 2}]


def a_backfill_that_left_no_event(evidence: Evidence) -> None:
    evidence.events = [event for event in evidence.events if event["type"] != "backfill.started"]


def a_tick_that_no_backfill_asked_for(evidence: Evidence) -> None:
    evidence.backfills = [dict(evidence.backfills[0]) | {"first": text(at(10))}]


STORIES: list[tuple[str, Callable[[Evidence], None]]] = [
    ("P1", an_event_that_was_made_twice),
    ("P1", an_event_in_the_log_that_nobody_said),
    ("P4", a_listener_without_a_row),
    ("P4", a_run_that_was_answered_and_is_not_there),
    ("P12", a_row_of_an_event_that_nobody_said),
    ("P7", a_backfill_that_never_ends),
    ("P4", a_backfill_that_left_a_tick_out),
    ("P14", a_backfill_that_is_not_in_the_list),
    ("P14", a_backfill_that_left_no_event),
    ("P12", a_tick_that_no_backfill_asked_for),
]


@pytest.mark.parametrize(
    ("promise", "go_wrong"), STORIES, ids=[f"{promise}-{each.__name__}" for promise, each in STORIES]
)
def test_a_breach_is_named_after_its_promise(promise: str, go_wrong: Callable[[Evidence], None]):
    evidence = honest()
    go_wrong(evidence)
    assert promise in {violation.promise for violation in audit(evidence)}
