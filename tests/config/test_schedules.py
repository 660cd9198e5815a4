"""What a schedule's bounds mean where the wall clock jumps."""

from __future__ import annotations

from datetime import datetime

import pytest

from dagsched.model import Schedule, utc
from dagsched.triggers import trigger_of
from tests.config.texts import job_of

NEW_YORK = "timezone: America/New_York\n"


def schedule_of(lines: str) -> Schedule:
    schedule = job_of(f"run: x\nschedule: {{every: 5m, {lines}}}", top=NEW_YORK).schedule
    assert schedule is not None
    return schedule


@pytest.mark.parametrize(
    ("wall", "instant"),
    [
        pytest.param("2027-03-14T02:30", utc(2027, 3, 14, 7), id="skipped: the end of the gap"),
        pytest.param("2027-03-14T03:30", utc(2027, 3, 14, 7, 30), id="after the gap"),
        pytest.param("2027-11-07T01:30", utc(2027, 11, 7, 5, 30), id="repeated: the first"),
        pytest.param("2027-11-07T01:30:00-05:00", utc(2027, 11, 7, 6, 30), id="an instant is taken as it is"),
        pytest.param("2027-07-01T09:00", utc(2027, 7, 1, 13), id="summer"),
    ],
)
def test_bounds_are_read_as_a_one_time_schedule_is(wall: str, instant: datetime) -> None:
    assert schedule_of(f"start: '{wall}'").start == instant
    assert schedule_of(f"end: '{wall}'").end == instant
    at = job_of(f"run: x\nschedule: {{at: '{wall}'}}", top=NEW_YORK).schedule
    assert at is not None
    assert trigger_of(at).next(utc(2026, 1, 1)) == instant
