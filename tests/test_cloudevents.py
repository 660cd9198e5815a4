"""CloudEvents: the envelope of every line, stable ids, and the table of types."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path

import pytest

from dagsched.cloudevents import PREFIX, TYPES, cloud_events, source_of
from dagsched.handlers import traceparent
from dagsched.model import EventRow, utc

ROOT = Path(__file__).parent.parent
TICK = utc(2026, 11, 23, 14)
FAILED = EventRow(12, TICK + timedelta(seconds=7), "run.failed", "load", TICK, 3, "running", "failed", "exit 3")
SOURCE = "//etl1/srv/etl/.dagsched"


def test_an_envelope_has_what_the_line_says_under_the_names_of_the_standard():
    [event] = cloud_events(FAILED, SOURCE)
    name = "job:load:2026-11-23T14:00:00Z"
    assert event == {
        "specversion": "1.0",
        "id": "12-1795442407000",
        "source": SOURCE,
        "type": "dev.dagsched.run.failed",
        "subject": name,
        "time": "2026-11-23T14:00:07Z",
        "datacontenttype": "application/json",
        "sequence": "000000000012",
        "traceparent": traceparent(name, 3),
        "data": {
            "seq": 12, "job": "load", "run": name, "tick": "2026-11-23T14:00:00Z", "attempt": 3,
            "from": "running", "to": "failed", "reason": "exit 3",
        },
    }  # fmt: skip
    assert json.loads(json.dumps(event)) == event


def test_an_edit_has_an_event_of_its_own_for_each_job():
    detail = {"number": 4, "added": ["a", "b"], "changed": ["c"], "removed": ["d"]}
    row = EventRow(9, TICK, "config.applied", reason="configuration 4: …", detail=detail)
    events = cloud_events(row, SOURCE)
    assert [(event["type"].removeprefix(PREFIX), event.get("subject")) for event in events] == [
        ("config.applied", None),
        ("job.created", "a"),
        ("job.created", "b"),
        ("job.updated", "c"),
        ("job.deleted", "d"),
    ]
    assert len({event["id"] for event in events}) == 5
    assert events[1]["data"] == {"seq": 9, "job": "a", "config": 4}


def test_an_edit_that_names_only_some_of_its_jobs_says_so():
    detail = {"number": 4, "added": ["a"], "changed": [], "removed": [], "truncated": {"added": 7}}
    applied, created = cloud_events(EventRow(9, TICK, "config.applied", detail=detail), SOURCE)
    assert applied["data"]["detail"]["truncated"] == {"added": 7}
    assert created["subject"] == "a"


def test_two_lines_never_have_one_id_even_of_a_state_made_anew():
    later = FAILED._replace(time=FAILED.time + timedelta(days=1))
    others = [FAILED._replace(seq=13), later]
    assert len({cloud_events(row, SOURCE)[0]["id"] for row in (FAILED, *others)}) == 3
    assert cloud_events(FAILED, SOURCE) == cloud_events(FAILED, SOURCE)


@pytest.mark.parametrize("attribute", ["id", "source", "type", "subject", "time", "sequence"])
def test_attributes_are_text_that_is_not_empty(attribute):
    assert cloud_events(FAILED, source_of("h", "/s"))[0][attribute].strip()


def recorded() -> set[str]:
    """Return every type of event that the program's text names."""
    found = set()
    kinds = r'"((?:run|attempt|job|config|daemon|clock|executor|request|event)\.[a-z_]+)"'
    for path in [*(ROOT / "dagsched" / "engine").glob("*.py"), *(ROOT / "dagsched" / "daemon").glob("*.py")]:
        found |= set(re.findall(kinds, path.read_text()))
    found |= set(re.findall(kinds, (ROOT / "dagsched" / "control.py").read_text()))
    return found | {"run.skipped", "run.missed", "run.upstream_failed"}


def test_every_type_that_is_recorded_is_in_the_table():
    assert recorded() - TYPES.keys() == set()
    assert len(recorded()) > 20


def test_the_page_has_the_same_table():
    page = (ROOT / "docs" / "cloudevents.md").read_text()
    assert dict(re.findall(r"^\| `dev\.dagsched\.([a-z_.]+)` \| (.+) \|$", page, re.MULTILINE)) == dict(TYPES)
