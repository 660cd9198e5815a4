"""Clock changes, one by one: which instants belong to wall times that are skipped or repeated."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.model import parse_instant
from dagsched.triggers import Cron

NEW_YORK = "America/New_York"


def ticks(expression: str, zone: str, day: str, hours: int = 24, **reading: str) -> list[str]:
    """Return the ticks of `hours` hours from that instant (included) on, as `DDTHH:MM` of UTC."""
    start = parse_instant(day)
    cron = Cron(expression, zone, **reading)  # type: ignore[arg-type]
    found = cron.ticks(start - timedelta(seconds=1), start + timedelta(hours=hours, seconds=-1))
    return [f"{tick:%dT%H:%M}" for tick in found]


@pytest.mark.parametrize(
    ("expression", "zone", "day", "expected"),
    [
        pytest.param(
            "30 2 * * *",
            NEW_YORK,
            "2026-03-08T05:00Z",
            "08T07:00",
            id="fixed time moves to the end of the gap",
        ),
        pytest.param(
            "0,15,30 2 * * *", NEW_YORK, "2026-03-08T05:00Z", "08T07:00", id="several collapse to one"
        ),
        pytest.param(
            "0 2,3 * * *", NEW_YORK, "2026-03-08T05:00Z", "08T07:00", id="and with a tick of that instant"
        ),
        pytest.param(
            "*/15 2 * * *", NEW_YORK, "2026-03-08T05:00Z", "", id="wildcard minutes in the gap do not exist"
        ),
        pytest.param(
            "30 */2 * * *",
            NEW_YORK,
            "2026-03-08T05:00Z",
            "08T05:30 08T08:30 08T10:30 08T12:30",
            id="wildcard hours in the gap do not exist",
        ),
        pytest.param(
            "30 1 * * *", NEW_YORK, "2026-11-01T04:00Z", "01T05:30", id="fixed time runs in the first pass"
        ),
        pytest.param(
            "*/30 1 * * *",
            NEW_YORK,
            "2026-11-01T04:00Z",
            "01T05:00 01T05:30 01T06:00 01T06:30",
            id="wildcard runs in both",
        ),
        pytest.param(
            "0 2 * * *",
            NEW_YORK,
            "2026-11-01T04:00Z",
            "01T07:00",
            id="the hour after the fold is no part of it",
        ),
        pytest.param(
            "15 2 * * *", "Australia/Lord_Howe", "2026-10-03T13:30Z", "03T15:30", id="half-hour gap"
        ),
        pytest.param(
            "45 1 * * *", "Australia/Lord_Howe", "2026-04-04T13:00Z", "04T14:45", id="half-hour fold"
        ),
        pytest.param(
            "*/15 1 * * *",
            "Australia/Lord_Howe",
            "2026-04-04T13:00Z",
            "04T14:00 04T14:15 04T14:30 04T14:45 04T15:00 04T15:15",
            id="half-hour fold, wildcard",
        ),
        pytest.param(
            "30 1,2 * * *",
            "Antarctica/Troll",
            "2026-03-29T00:00Z",
            "29T01:00",
            id="two-hour gap collapses two hours",
        ),
        pytest.param("30 1 * * *", "Antarctica/Troll", "2026-10-24T22:00Z", "24T23:30", id="two-hour fold"),
        pytest.param(
            "30 1 * * *",
            "Europe/Dublin",
            "2026-03-28T23:00Z",
            "29T01:00",
            id="negative DST: the gap is in spring",
        ),
        pytest.param(
            "30 1 * * *",
            "Europe/Dublin",
            "2026-10-24T23:00Z",
            "25T00:30",
            id="negative DST: the fold is in autumn",
        ),
        pytest.param("0 0 * * *", "America/Havana", "2026-03-08T04:00Z", "08T05:00", id="gap at midnight"),
        pytest.param(
            "30 0 8 3 *",
            "America/Havana",
            "2026-03-08T04:00Z",
            "08T05:00",
            id="gap at midnight of a named day",
        ),
        pytest.param(
            "0 0 * * fri", "Africa/Cairo", "2026-04-23T20:00Z", "23T22:00", id="gap at midnight of a weekday"
        ),
        pytest.param(
            "30 23 * * thu",
            "Africa/Cairo",
            "2026-10-29T12:00Z",
            "29T20:30",
            id="fold across midnight, day before",
        ),
        pytest.param(
            "5 0 * * *",
            "America/St_Johns",
            "2011-03-13T03:00Z",
            "13T03:31",
            id="St John's: gap at one past midnight",
        ),
        pytest.param(
            "0 9 * * *",
            "Pacific/Apia",
            "2011-12-29T00:00Z",
            "29T19:00 30T10:00",
            id="a lost day: its tick at the first instant after",
        ),
        pytest.param(
            "0 * * * *",
            "Pacific/Apia",
            "2011-12-30T08:00Z",
            "30T08:00 30T09:00 30T10:00",
            id="a lost day: wildcard ticks do not exist",
        ),
        pytest.param(
            "0 0 30 12 *",
            "Pacific/Apia",
            "2011-12-29T00:00Z",
            "30T10:00",
            id="a lost day that was the only one named",
        ),
        pytest.param(
            "0 12 * * *",
            "Pacific/Kwajalein",
            "1993-08-20T00:00Z",
            "20T00:00 21T00:00 21T12:00",
            id="Kwajalein's lost day",
        ),
        pytest.param(
            "30 2 * * *", "Africa/Casablanca", "2026-02-15T00:00Z", "15T01:30", id="Ramadan begins: a fold"
        ),
        pytest.param(
            "30 2 * * *", "Africa/Casablanca", "2026-03-22T00:00Z", "22T02:00", id="Ramadan is over: a gap"
        ),
        pytest.param(
            "45 2 * * *", "Pacific/Chatham", "2026-09-26T12:00Z", "26T14:00", id="Chatham: gap at 02:45"
        ),
        pytest.param(
            "30 2 * * *",
            "Europe/Volgograd",
            "2018-10-27T12:00Z",
            "27T23:00",
            id="a change of standard time alone",
        ),
        pytest.param(
            "10 23 * * *",
            "Asia/Pyongyang",
            "2018-05-04T12:00Z",
            "04T14:40",
            id="day of a change of standard time",
        ),
        pytest.param(
            "40 23 * * *",
            "Asia/Pyongyang",
            "2018-05-04T12:00Z",
            "04T15:00",
            id="gap of half an hour without DST",
        ),
    ],
)
def test_expression_fires_at_these_instants_around_a_clock_change(
    expression: str, zone: str, day: str, expected: str
) -> None:
    hours = {"0 * * * *": 3, "30 */2 * * *": 8, "0 12 * * *": 48, "0 9 * * *": 36, "0 0 30 12 *": 36}.get(
        expression, 22
    )
    assert ticks(expression, zone, day, hours) == expected.split()


@pytest.mark.parametrize(
    ("expression", "reading", "expected"),
    [
        pytest.param("*/15 2 * * *", {"gap": "run"}, "08T07:00", id="wildcard made up for, once"),
        pytest.param("30 2 * * *", {"gap": "skip"}, "", id="fixed time left out"),
        pytest.param(
            "0 2,3 * * *", {"gap": "skip"}, "08T07:00", id="the real tick at the end of the gap stays"
        ),
    ],
)
def test_gap_overrides_the_class(expression: str, reading: dict[str, str], expected: str) -> None:
    assert ticks(expression, NEW_YORK, "2026-03-08T05:00Z", 20, **reading) == expected.split()


@pytest.mark.parametrize(
    ("expression", "reading", "expected"),
    [
        pytest.param("30 1 * * *", {"fold": "both"}, "01T05:30 01T06:30", id="fixed time in both passes"),
        pytest.param(
            "*/30 1 * * *", {"fold": "first"}, "01T05:00 01T05:30", id="wildcard in the first alone"
        ),
    ],
)
def test_fold_overrides_the_class(expression: str, reading: dict[str, str], expected: str) -> None:
    assert ticks(expression, NEW_YORK, "2026-11-01T04:00Z", 20, **reading) == expected.split()


@pytest.mark.parametrize(
    ("expression", "wildcard"),
    [
        ("* * * * *", True),
        ("*/5 2 * * *", True),
        ("0 */3 * * *", True),
        ("*,5 2 * * *", True),
        ("0 2-4 * * *", False),
        ("0/5 2 * * *", False),
        ("5,* 2 * * *", False),
        ("0 2 */2 * *", False),
        ("@hourly", True),
        ("@daily", False),
    ],
)
def test_class_is_read_off_the_start_of_the_minute_and_hour_fields(expression: str, wildcard: bool) -> None:
    assert Cron(expression).is_wildcard is wildcard


def test_tick_moved_by_a_gap_is_not_given_again_after_it() -> None:
    cron = Cron("30 2 * * *", NEW_YORK)
    assert cron.next(parse_instant("2026-03-08T06:59:59Z")) == parse_instant("2026-03-08T07:00:00Z")
    assert cron.next(parse_instant("2026-03-08T07:00:00Z")) == parse_instant("2026-03-09T06:30:00Z")


def test_offsets_with_seconds_give_whole_second_ticks() -> None:
    assert Cron("0 0 * * *", "Africa/Monrovia").next(parse_instant("1971-06-01T00:00Z")) == parse_instant(
        "1971-06-01T00:44:30Z"
    )
