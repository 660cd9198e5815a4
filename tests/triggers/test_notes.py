"""The wall time of a tick, and the note beside it when a clock change touched it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from dagsched.errors import UnknownTimezone
from dagsched.model import Schedule, parse_instant, utc
from dagsched.triggers import dst_note, local, trigger_of

NEW_YORK = "America/New_York"


def test_local_is_the_wall_clock_of_the_zone() -> None:
    assert local(utc(2026, 7, 1, 12), "Asia/Kolkata").isoformat() == "2026-07-01T17:30:00+05:30"
    assert local(utc(2026, 11, 1, 6, 30), NEW_YORK).fold == 1
    with pytest.raises(UnknownTimezone):
        local(utc(2026, 7, 1), "Mars/Base")


@pytest.mark.parametrize(
    ("schedule", "tick", "note"),
    [
        pytest.param({"cron": ("30 2 * * *",)}, "2026-03-08T07:00Z", "moved from 02:30 by DST", id="moved"),
        pytest.param(
            {"cron": ("0 2,3 * * *",)}, "2026-03-08T07:00Z", "moved from 02:00 by DST", id="moved onto a tick"
        ),
        pytest.param(
            {"cron": ("0-40/10 2 * * *",)},
            "2026-03-08T07:00Z",
            "moved from 02:00, 02:10, 02:20 and 2 more by DST",
            id="many",
        ),
        pytest.param(
            {"cron": ("30 2 * * *", "15 2 * * *")},
            "2026-03-08T07:00Z",
            "moved from 02:15, 02:30 by DST",
            id="two expressions",
        ),
        pytest.param(
            {"cron": ("*/15 2 * * *",), "gap": "run"},
            "2026-03-08T07:00Z",
            "moved from 02:00, 02:15, 02:30 and 1 more by DST",
            id="gap: run",
        ),
        pytest.param({"cron": ("0 3 * * *",)}, "2026-03-08T07:00Z", "", id="a tick of that instant alone"),
        pytest.param({"cron": ("0 2,3 * * *",), "gap": "skip"}, "2026-03-08T07:00Z", "", id="gap: skip"),
        pytest.param({"cron": ("30 2 * * *",)}, "2026-03-09T06:30Z", "", id="the day after"),
        pytest.param(
            {"cron": ("30 1 * * *",)}, "2026-11-01T05:30Z", "first of two 01:30 by DST", id="first pass"
        ),
        pytest.param(
            {"cron": ("*/30 1 * * *",)}, "2026-11-01T06:30Z", "second of two 01:30 by DST", id="second pass"
        ),
        pytest.param({"cron": ("0 2 * * *",)}, "2026-11-01T07:00Z", "", id="after the fold"),
        pytest.param(
            {"at": datetime(2026, 3, 8, 2, 30)},
            "2026-03-08T07:00Z",
            "moved from 02:30 by DST",
            id="at in a gap",
        ),
        pytest.param(
            {"at": datetime(2026, 11, 1, 1, 30)},
            "2026-11-01T05:30Z",
            "first of two 01:30 by DST",
            id="at in a fold",
        ),
        pytest.param({"at": utc(2026, 3, 8, 7)}, "2026-03-08T07:00Z", "", id="an instant"),
        pytest.param({"every": timedelta(minutes=30)}, "2026-11-01T05:30Z", "", id="elapsed time"),
    ],
)
def test_note_says_what_the_clock_change_did(schedule: dict[str, Any], tick: str, note: str) -> None:
    declared = Schedule(timezone=NEW_YORK, **schedule)
    instant = parse_instant(tick)
    assert trigger_of(declared).next(instant - timedelta(seconds=1)) == instant
    assert dst_note(declared, instant) == note


@pytest.mark.parametrize(
    ("zone", "cron", "tick", "note"),
    [
        ("Pacific/Apia", "0 9 * * *", "2011-12-30T10:00Z", "moved from 2011-12-30 09:00 by a zone change"),
        ("Europe/Volgograd", "30 1 * * *", "2018-10-27T21:30Z", ""),
        ("Europe/Volgograd", "30 2 * * *", "2018-10-27T23:00Z", "moved from 02:30 by a zone change"),
    ],
)
def test_change_that_is_not_dst_is_not_called_so(zone: str, cron: str, tick: str, note: str) -> None:
    assert dst_note(Schedule(cron=(cron,), timezone=zone), parse_instant(tick)) == note
