"""Remarks on schedules that are correct and surprise all the same."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from dagsched.errors import InvalidSchedule, UnknownTimezone
from dagsched.model import Schedule, utc
from dagsched.triggers import Remark, lint

NOW = utc(2026, 11, 21, 4, 5, 6)
NEW_YORK = "America/New_York"


def remarks(*cron: str, now: datetime = NOW, months: int = 24, **more: Any) -> tuple[Remark, ...]:
    return lint(Schedule(cron=cron, **more), now, months)


def codes(*cron: str, **more: Any) -> list[str]:
    return [remark.code for remark in remarks(*cron, **more)]


@pytest.mark.parametrize(
    ("expression", "zone", "code", "dates"),
    [
        pytest.param(
            "30 2 * * *", NEW_YORK, "W301", "2027-03-14 02:30 to 03:00; 2028-03-12 02:30 to 03:00", id="moved"
        ),
        pytest.param(
            "*/15 2 * * *",
            NEW_YORK,
            "W302",
            "2027-03-14 02:00 and 3 more; 2028-03-12 02:00 and 3 more",
            id="dropped",
        ),
        pytest.param(
            "*/30 1 * * *",
            NEW_YORK,
            "W303",
            "2027-11-07 01:00 and 1 more; 2028-11-05 01:00 and 1 more",
            id="doubled",
        ),
        pytest.param(
            "0 */2 * * *",
            NEW_YORK,
            "W302",
            "2027-03-14 02:00; 2028-03-12 02:00",
            id="every second hour dropped",
        ),
        pytest.param(
            "0 * * * *",
            "Australia/Lord_Howe",
            "W302",
            "2027-10-03 02:00; 2028-10-01 02:00",
            id="hourly across half an hour",
        ),
        pytest.param(
            "0 0 * * fri",
            "Africa/Cairo",
            "W301",
            "2027-04-30 00:00 to 01:00; 2028-04-28 00:00 to 01:00",
            id="moved at midnight",
        ),
    ],
)
def test_clock_change_is_told_with_its_dates(expression: str, zone: str, code: str, dates: str) -> None:
    (remark,) = (remark for remark in remarks(expression, timezone=zone) if remark.code == code)
    assert remark.message.endswith(": " + dates)
    assert f"'{expression}' in {zone}" in remark.message
    assert "DST" in remark.message
    assert remark.why
    assert remark.fix


def test_lost_day_is_told_without_calling_it_dst() -> None:
    (remark,) = remarks("0 9 * * *", timezone="Pacific/Apia", now=utc(2011, 12, 1), months=2)
    assert remark.message.endswith("moved by a zone change: 2011-12-30 09:00 to 2011-12-31 00:00")


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        pytest.param("30 2 * * *", "UTC", id="no DST"),
        pytest.param("30 9 * * *", NEW_YORK, id="away from the change"),
        pytest.param("30 1 * * *", NEW_YORK, id="fixed time in the fold runs once"),
        pytest.param("*/5 * * * *", NEW_YORK, id="even in real time right through the change"),
        pytest.param("0 * * * *", NEW_YORK, id="hourly in real time"),
        pytest.param("*/30 * * * *", "Australia/Lord_Howe", id="half-hourly across half an hour"),
        pytest.param("30 2 * * mon", NEW_YORK, id="another weekday than the change"),
    ],
)
def test_schedule_that_no_clock_change_disturbs_has_no_remark(expression: str, zone: str) -> None:
    assert codes(expression, timezone=zone) == []


@pytest.mark.parametrize(
    ("expression", "reading"),
    [
        ("30 2 * * *", {"gap": "run"}),
        ("30 2 * * *", {"gap": "skip"}),
        ("*/15 2 * * *", {"gap": "skip"}),
        ("*/30 1 * * *", {"fold": "both"}),
        ("*/30 1 * * *", {"fold": "first"}),
    ],
)
def test_reading_of_clock_changes_that_is_said_outright_has_no_remark(
    expression: str, reading: dict[str, str]
) -> None:
    assert codes(expression, timezone=NEW_YORK, **reading) == []


def test_fixed_time_told_to_run_in_both_passes_has_no_remark() -> None:
    assert codes("30 1 * * *", timezone=NEW_YORK, fold="both") == []


def test_only_the_coming_months_are_looked_at() -> None:
    assert codes("30 2 * * *", timezone=NEW_YORK, months=3) == []
    assert codes("30 2 * * *", timezone=NEW_YORK, months=4) == ["W301"]


def test_only_changes_between_start_and_end_are_told() -> None:
    assert codes("30 2 * * *", timezone=NEW_YORK, end=utc(2027, 3, 14, 6)) == []
    (remark,) = remarks("30 2 * * *", timezone=NEW_YORK, start=utc(2027, 6, 1))
    assert remark.message.endswith(": 2028-03-12 02:30 to 03:00")


def test_dates_beyond_the_fourth_are_counted() -> None:
    (remark,) = remarks("30 2 * * *", timezone=NEW_YORK, months=96)
    assert remark.message.endswith("; 4 more")
    assert remark.message.count(" to ") == 4


@pytest.mark.parametrize(
    ("expression", "offset", "part"),
    [
        ("*/45 * * * *", 0, "minute 0, 45"),
        ("5/25 * * * *", 0, "minute 5, 30, 55"),
        ("0 */5 * * *", 2, "hour 0, 5, 10, 15, 20"),
        ("0 0 1 */5 *", 6, "month 1, 6, 11"),
        ("*/90 * * * *", 0, "the step does nothing"),
    ],
)
def test_step_that_does_not_divide_its_field_is_told(expression: str, offset: int, part: str) -> None:
    (remark,) = remarks(expression)
    assert (remark.code, remark.offset) == ("W305", offset)
    assert part in remark.why


@pytest.mark.parametrize("expression", ["0 0 */10 * *", "0 0 2/2 * *", "0 0 * * */2", "0 0 * * 1/2", "0 0 ? * ?/3"])
def test_step_of_days_is_fine_because_none_divides_them(expression: str) -> None:
    assert "W305" not in codes(expression)


@pytest.mark.parametrize(
    "expression", ["*/15 * * * *", "0 */6 * * *", "0 0 1 */3 *", "10-50/7 * * * *", "*/1 * * * *"]
)
def test_step_that_divides_its_field_or_has_an_end_of_its_own_is_fine(expression: str) -> None:
    assert codes(expression) == []


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("0 0 31 * *", "day 31 of '0 0 31 * *' does not come in every month: Feb Apr Jun Sep Nov"),
        ("0 0 29 * *", "day 29 of '0 0 29 * *' does not come in every month: Feb"),
        (
            "0 0 29-31 * *",
            "day 29, 30, 31 of '0 0 29-31 * *' does not come in every month: Feb Apr Jun Sep Nov",
        ),
        ("0 0 1,30 * *", "day 30 of '0 0 1,30 * *' does not come in every month: Feb"),
        ("0 0 29 2 *", "day 29 of '0 0 29 2 *' does not come in every year: Feb"),
    ],
)
def test_day_that_some_month_lacks_is_told(expression: str, message: str) -> None:
    assert [(remark.code, remark.message, remark.offset) for remark in remarks(expression)] == [
        ("W306", message, 4)
    ]


@pytest.mark.parametrize(
    "expression", ["0 0 31 1,3 *", "0 0 28 * *", "0 0 L * *", "0 0 1-31 * *", "0 0 15-31 * *"]
)
def test_day_that_every_named_month_has_or_a_wide_range_is_fine(expression: str) -> None:
    assert codes(expression) == []


@pytest.mark.parametrize(("expression", "offset"), [("0 0 */3 * mon", 4), ("0 0 13 * */7", 9)])
def test_starred_step_beside_a_weekday_is_told_unless_days_says_which(expression: str, offset: int) -> None:
    (remark,) = (remark for remark in remarks(expression) if remark.code == "W308")
    assert remark.offset == offset
    assert "W308" not in codes(expression, days="any")
    assert "W308" not in codes(expression, days="all")


@pytest.mark.parametrize("expression", ["0 0 */1 * mon", "0 0 */31 * *", "0 0 13 * fri", "0 0 * * mon"])
def test_day_fields_that_all_crons_read_alike_are_fine(expression: str) -> None:
    assert codes(expression) == []


def test_old_zone_name_is_told_for_every_kind_of_schedule() -> None:
    for schedule in (
        Schedule(cron=("0 12 * * *",), timezone="US/Eastern"),
        Schedule(every=timedelta(hours=1), timezone="US/Eastern"),
        Schedule(at=datetime(2027, 1, 1), timezone="US/Eastern"),
    ):
        (remark,) = lint(schedule, NOW)
        assert (remark.code, remark.fix) == ("W307", "write 'America/New_York'")


@pytest.mark.parametrize(
    ("length", "expected"),
    [(timedelta(days=1), ["W309"]), (timedelta(days=8, hours=2), ["W309"]), (timedelta(hours=23), [])],
)
def test_period_of_a_day_and_more_is_told(length: timedelta, expected: list[str]) -> None:
    assert [remark.code for remark in lint(Schedule(every=length), NOW)] == expected


@pytest.mark.parametrize(
    ("schedule", "part"),
    [
        pytest.param(Schedule(cron=("0 0 30 2 *",)), "'0 0 30 2 *' never fires", id="no such date"),
        pytest.param(
            Schedule(at=datetime(2026, 11, 20)), "2026-11-20T00:00:00 (UTC) is already past", id="at is past"
        ),
        pytest.param(
            Schedule(cron=("0 0 * * *",), end=utc(2026, 1, 1)), "never fires again", id="end is past"
        ),
        pytest.param(
            Schedule(every=timedelta(hours=9), start=utc(2027, 1, 1, 1), end=utc(2027, 1, 1, 0, 59)),
            "",
            id="refused",
        ),
        pytest.param(
            Schedule(cron=("0 0 1 1 *",), start=utc(2027, 2, 1), end=utc(2027, 3, 1)),
            "never fires again",
            id="bounds without a tick",
        ),
    ],
)
def test_schedule_that_never_fires_is_told(schedule: Schedule, part: str) -> None:
    if not part:
        with pytest.raises(InvalidSchedule):
            lint(schedule, NOW)
        return
    (remark,) = lint(schedule, NOW)
    assert remark.code == "W304"
    assert part in remark.message


def test_impossible_expression_is_told_once_beside_what_is_said_of_the_others() -> None:
    assert codes("0 0 30 2 *") == ["W304"]
    assert codes("0 0 30 2 *", end=utc(2020, 1, 1)) == ["W304"]
    assert codes("0 0 30 2 *", "*/45 * * * *") == ["W304", "W305"]
    (remark,) = remarks("0 0 * * *", "0 0 30 2 *")
    assert remark.message.startswith("'0 0 30 2 *' never fires")


def test_at_in_a_gap_is_told_and_a_real_time_is_not() -> None:
    (remark,) = lint(Schedule(at=datetime(2027, 3, 14, 2, 30), timezone=NEW_YORK), NOW)
    assert remark.code == "W301"
    assert "2027-03-14T07:00:00Z" in remark.why
    assert lint(Schedule(at=datetime(2027, 3, 14, 3, 30), timezone=NEW_YORK), NOW) == ()
    assert lint(Schedule(at=utc(2027, 3, 14, 2, 30), timezone=NEW_YORK), NOW) == ()


def test_several_findings_come_together_in_the_order_of_their_codes() -> None:
    assert codes("*/45 2 31 * *", "30 2 * * *", timezone="US/Eastern") == ["W301", "W305", "W306", "W307"]


def test_unusable_schedule_is_refused_as_by_its_trigger() -> None:
    with pytest.raises(InvalidSchedule):
        remarks("61 * * * *")
    with pytest.raises(UnknownTimezone):
        remarks("0 0 * * *", timezone="Mars/Base")
