"""Instants as people type them for `why`."""

from __future__ import annotations

import pytest

from dagsched.cli.ticks import read_tick
from dagsched.errors import UsageError
from dagsched.model import Job, Schedule, utc

NEW_YORK = "America/New_York"
NIGHTLY = Job("nightly", schedule=Schedule(cron=("30 9 * * *",), timezone=NEW_YORK), timezone=NEW_YORK)


@pytest.mark.parametrize(
    ("text", "instant", "remark"),
    [
        ("2026-11-23T14:30Z", utc(2026, 11, 23, 14, 30), ""),
        ("2026-11-23T09:30-05:00", utc(2026, 11, 23, 14, 30), ""),
        ("2026-11-23T09:30 local", utc(2026, 11, 23, 14, 30), ""),
        ("2026-11-23 14:30", utc(2026, 11, 23, 14, 30), ""),
        ("2026-11-23T09:30", utc(2026, 11, 23, 14, 30), "was read as America/New_York time"),
        ("2026-11-23T10:00", utc(2026, 11, 23, 10), ""),
        ("2026-03-08T02:30 local", utc(2026, 3, 8, 7), "2026-03-08 02:30 does not exist in America/New_York"),
        ("2026-11-01T01:30 local", utc(2026, 11, 1, 5, 30), ""),
    ],
    ids=["Z", "offset", "local", "UTC tick", "local tick", "no tick", "gap", "fold"],
)
def test_an_instant_is_read_as_it_says_or_else_as_the_job_ticks(text, instant, remark):
    found, said = read_tick(text, NIGHTLY)
    assert found == instant
    assert remark in said if remark else said == ""


def test_a_job_without_zone_or_schedule_is_asked_about_in_utc():
    assert read_tick("2026-11-23T09:30", None) == (utc(2026, 11, 23, 9, 30), "")
    assert read_tick("2026-11-23T09:30 local", Job("a")) == (utc(2026, 11, 23, 9, 30), "")


@pytest.mark.parametrize("text", ["local", "soon local", "2026-11-23T09:30Z local"])
def test_what_is_no_instant_is_refused(text):
    with pytest.raises(UsageError):
        read_tick(text, NIGHTLY)
