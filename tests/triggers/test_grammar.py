"""What the cron language takes, what it means, and what it refuses and where."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from croniter import croniter
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.errors import InvalidSchedule, NeverFires
from dagsched.model import utc
from dagsched.triggers import Cron
from dagsched.triggers.grammar import LENGTH_MAX, MACROS, parse
from tests.triggers.oracle import Case
from tests.triggers.strategies import cases


def dates(
    expression: str, year: int = 2026, months: Iterable[int] = range(1, 13), days: str | None = None
) -> list[str]:
    """Return `month-day` of the ticks in those months of that year."""
    cron = Cron(expression, days=days)  # type: ignore[arg-type]
    ticks = cron.ticks(utc(year - 1, 12, 31, 23, 59, 59), utc(year, 12, 31, 23, 59))
    return [f"{tick.month}-{tick.day}" for tick in ticks if tick.month in set(months)]


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        pytest.param("5", (5,), id="value"),
        pytest.param("05", (5,), id="leading zero"),
        pytest.param("9-9", (9,), id="range of one"),
        pytest.param("1,3,1", (1, 3), id="list, doubled value"),
        pytest.param("10-20/5", (10, 15, 20), id="range with step"),
        pytest.param("*/25", (0, 25, 50), id="starred step"),
        pytest.param("40/10", (40, 50), id="start with step"),
        pytest.param("0-59", tuple(range(60)), id="whole range"),
        pytest.param("*/90", (0,), id="step beyond the field"),
        pytest.param("58-59,*/30", (0, 30, 58, 59), id="mixed list"),
    ],
)
def test_minute_field_means_these_minutes(field: str, minutes: tuple[int, ...]) -> None:
    assert parse(f"{field} * * * *").minutes == minutes


def test_whole_hour_range_names_every_hour() -> None:
    assert parse("0 0-23 * * *").hours == tuple(range(24))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("0 0 L * *", "1-31 2-28 3-31 4-30", id="last day"),
        pytest.param("0 0 15,L * *", "1-15 1-31 2-15 2-28 3-15 3-31 4-15 4-30", id="a day and the last"),
        pytest.param("0 0 * * fri#2", "1-9 2-13 3-13 4-10", id="second Friday"),
        pytest.param("0 0 * * 5#5", "1-30", id="fifth Friday, where there is one"),
        pytest.param("0 0 * * L5", "1-30 2-27 3-27 4-24", id="last Friday"),
        pytest.param("0 0 * * Lfri", "1-30 2-27 3-27 4-24", id="last Friday by name"),
        pytest.param(
            "0 0 * * mon#1,L0", "1-5 1-25 2-2 2-22 3-2 3-29 4-6 4-26", id="first Monday, last Sunday"
        ),
        pytest.param("0 0 15W * *", "1-15 2-16 3-16 4-15", id="weekday nearest to the 15th, a Sunday twice"),
        pytest.param("0 0 1W * *", "1-1 2-2 3-2 4-1", id="nearest to a Sunday the 1st"),
        pytest.param("0 0 31W * *", "1-30 3-31", id="31st: a Saturday, none, a Tuesday, none"),
        pytest.param("0 0 28W 2 *", "2-27", id="nearest to Saturday the 28th"),
        pytest.param("0 0 13 * fri#2", "1-9 1-13 2-13 3-13 4-10 4-13", id="# beside a day: either"),
        pytest.param("0 0 7 jan-feb ?", "1-7 2-7", id="names of months, question mark"),
        pytest.param("0 0 ? 1 SUN", "1-4 1-11 1-18 1-25", id="upper case"),
        pytest.param("0 0 * 1 7", "1-4 1-11 1-18 1-25", id="7 is Sunday"),
        pytest.param("0 0 * 1 6-7", "1-3 1-4 1-10 1-11 1-17 1-18 1-24 1-25 1-31", id="range up to 7"),
        pytest.param("0 0 */1 1 sun", "1-4 1-11 1-18 1-25", id="a step of one restricts nothing"),
        pytest.param(
            "0 0 */10 1 sun", "1-1 1-4 1-11 1-18 1-21 1-25 1-31", id="starred step beside a weekday"
        ),
    ],
)
def test_expression_names_these_days_of_early_2026(expression: str, expected: str) -> None:
    assert dates(expression, months=range(1, 5)) == expected.split()


def test_weekday_nearest_to_saturday_the_first_is_monday_the_third() -> None:
    assert dates("0 0 1W 8 *") == ["8-3"]


def test_weekday_nearest_to_sunday_the_last_stays_in_its_month() -> None:
    assert dates("0 0 31W 5 *") == ["5-29"]


@pytest.mark.parametrize(
    ("days", "expected"), [(None, "2-6 2-13 2-20 2-27"), ("any", "2-6 2-13 2-20 2-27"), ("all", "2-13")]
)
def test_day_and_weekday_match_either_unless_all_is_said(days: str | None, expected: str) -> None:
    assert dates("0 0 13 2 fri", days=days) == expected.split()


def test_starred_step_beside_weekday_needs_both_when_all_is_said() -> None:
    assert dates("0 0 */10 1 sun", days="all") == ["1-11"]


@pytest.mark.parametrize("name", MACROS)
def test_macro_fires_as_its_five_fields_do(name: str) -> None:
    window = (utc(2026, 1, 1), utc(2028, 1, 2))
    assert list(Cron(name).ticks(*window)) == list(Cron(MACROS[name]).ticks(*window))
    assert list(Cron(name.upper()).ticks(*window))[:1] == list(Cron(name).ticks(*window))[:1]


@pytest.mark.parametrize(
    ("expression", "marked", "message", "fix"),
    [
        ("0 0 0 * * *", "0 0 0 * * *", "6 fields", "'0 0 * * *'"),
        ("0 0 0 1 1 * 2026", "0 0 0 1 1 * 2026", "7 fields", "leave the seconds out"),
        ("  0 0 * *  ", "0 0 * *", "4 fields", "five"),
        ("0 22-2 * * *", "22-2", "backwards", "'22-23,0-2'"),
        ("0 22-2/2 * * *", "22-2/2", "backwards", "'22,0,2'"),
        ("0 0 * nov-feb *", "nov-feb", "backwards", "'11-12,1-2'"),
        ("0 0 * * sat-mon", "sat-mon", "backwards", "'6,0-1'"),
        ("0 0 * * 7-2", "7-2", "backwards", "'0-2'"),
        ("*/0 * * * *", "*/0", "step 0", "at least 1"),
        ("*/ * * * *", "*/", "no step", "'*/5'"),
        ("*/x * * * *", "*/x", "no step", "'*/5'"),
        ("1-5/2/2 * * * *", "1-5/2/2", "no step", "step"),
        ("R * * * *", "R", "unknown value 'R'", "jitter"),
        ("R(0-30) * * * *", "R(0-30)", "unknown value", "jitter"),
        ("H 3 * * *", "H", "unknown value 'H'", "jitter"),
        ("? * * * *", "?", "'?' in the minute field", "'*'"),
        ("0 0 * ? *", "?", "'?' in the month field", "'*'"),
        ("0 0 * * monday", "monday", "unknown value 'monday'", "'mon'"),
        ("0 0 * Januar *", "Januar", "unknown value 'Januar'", "'jan'"),
        ("0 mon * * *", "mon", "unknown value 'mon'", "number"),
        ("60 * * * *", "60", "minute 60 is out of range", "range"),
        ("0 24 * * *", "24", "hour 24 is out of range", "range"),
        ("0 0 0 * *", "0", "day of month 0 is out of range", "range"),
        ("0 0 * 13 *", "13", "month 13 is out of range", "range"),
        ("0 0 * * 8", "8", "weekday 8 is out of range", "range"),
        ("0 0 1-32 * *", "32", "day of month 32 is out of range", "range"),
        ("0 0 * * mon#6", "mon#6", "'mon#6'", "1 to 5"),
        ("0 0 * * mon#1#2", "mon#1#2", "'mon#1#2'", "1 to 5"),
        ("0 0 * * 5L", "5L", "'5L'", "'L5'"),
        ("0 0 * * L", "L", "names no weekday", "'L5'"),
        ("0 0 LW * *", "LW", "'LW'", "'L'"),
        ("0 0 L-3 * *", "L-3", "'L-3'", "'L'"),
        ("0 0 W15 * *", "W15", "'W15'", "'15W'"),
        ("0 0 32W * *", "32", "out of range", "range"),
        ("L * * * *", "L", "unknown value 'L'", "day fields"),
        ("1,,2 * * * *", "1,,2", "empty item", "comma"),
        ("1- * * * *", "1-", "no range", "0-59"),
        ("1-2-3 * * * *", "1-2-3", "no range", "0-59"),
        ("-5 * * * *", "-5", "no range", "0-59"),
        ("+5 * * * *", "+5", "unknown value", "number"),
        ("1.5 * * * *", "1.5", "unknown value", "number"),
        ("@reboot", "@reboot", "@reboot", "trigger it"),
        ("@dayly", "@dayly", "@dayly", "'@daily'"),
        ("@every 5m", "@every 5m", "@every", "every: 5m"),
        ("@daily 5", "@daily 5", "more text", "'@daily'"),
        ("daily", "daily", "1 field ", "'@daily'"),
        ("every 5 minutes", "every 5 minutes", "3 fields", "every: 15m"),
        ("CRON_TZ=Asia/Tokyo 0 2 * * *", "CRON_TZ=Asia/Tokyo 0 2 * * *", "6 fields", "timezone: Asia/Tokyo"),
        ("0 2 * * ٣", "٣", "not ASCII", "plain"),
        ("0 2 * * \x00", "\x00", "unknown value", "one of them"),
    ],
)
def test_bad_expression_is_refused_with_its_place_and_a_fix(
    expression: str, marked: str, message: str, fix: str
) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        Cron(expression)
    error = caught.value
    assert error.offset is not None
    assert error.length is not None
    assert expression[error.offset : error.offset + error.length] == marked
    assert message in error.message
    assert error.why
    assert fix in error.fix


@pytest.mark.parametrize("expression", ["", "   ", "\n"])
def test_empty_expression_is_refused_as_a_whole(expression: str) -> None:
    with pytest.raises(InvalidSchedule, match="empty") as caught:
        Cron(expression)
    assert caught.value.offset is None


@pytest.mark.parametrize("hours", ["22-2", "23-0", "20-4"])
def test_suggested_fix_of_a_backward_range_is_accepted(hours: str) -> None:
    with pytest.raises(InvalidSchedule) as caught:
        Cron(f"0 {hours} * * *")
    suggestion = caught.value.fix.split("'")[1]
    first, last = map(int, hours.split("-"))
    assert set(parse(f"0 {suggestion} * * *").hours) == {hour % 24 for hour in range(first, last + 25)}


def test_expression_of_256_characters_is_read_and_a_longer_one_is_not() -> None:
    longest = "0 0 * * 0" + ",0" * ((LENGTH_MAX - 9) // 2) + " "
    assert len(longest) == LENGTH_MAX
    assert Cron(longest).next(utc(2026, 1, 1)) == utc(2026, 1, 4)
    with pytest.raises(InvalidSchedule, match="257 characters"):
        Cron(longest + " ")


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("0 0 30 2 *", None),
        ("0 0 31 4,6,9,11 *", None),
        ("0 0 31W 2 *", None),
        ("0 0 1 1 mon#5", "all"),
        ("0 0 8 * mon#1", "all"),
    ],
)
def test_impossible_date_never_fires(expression: str, days: str | None) -> None:
    with pytest.raises(NeverFires, match="never fires"):
        Cron(expression, days=days)  # type: ignore[arg-type]


def test_rare_date_is_found_across_a_century_without_leap_day() -> None:
    cron = Cron("0 0 29 2 mon", days="all")
    assert [tick.year for tick in cron.ticks(utc(2026, 1, 1), utc(2140, 1, 1))] == [2044, 2072, 2112]


@pytest.mark.parametrize("key", ["gap", "fold", "days"])
def test_unknown_choice_is_refused(key: str) -> None:
    with pytest.raises(InvalidSchedule, match=key):
        Cron("0 0 * * *", **{key: "perhaps"})  # type: ignore[arg-type]


def test_distinct_text_is_parsed_once() -> None:
    assert parse("1 2 3 4 5") is parse("1 2 3 4 5")


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789*/-,?#LWRH @monfrijan", max_size=30))
def test_any_text_is_either_read_or_refused_with_a_place_inside_it(text: str) -> None:
    place = place_of_refusal(text)
    assert place is None or 0 <= place[0] < sum(place) <= len(text)


def place_of_refusal(text: str) -> tuple[int, int] | None:
    """Return (offset, length) of what is refused; None when nothing is, or the text as a whole."""
    try:
        Cron(text)
    except NeverFires:
        return None
    except InvalidSchedule as error:
        return None if error.offset is None else (error.offset, error.length or 0)
    return None


def croniter_reads_alike(case: Case) -> bool:
    """Leave out what croniter misreads: ranges of one value, and whole ranges, a star to it."""
    one_value = re.search(r"\b(\w+)-\1\b", case.text)
    return not one_value and len(case.days or ()) < 31 and len(case.weekdays or ()) < 7


@settings(max_examples=80, deadline=None)
@given(
    case=cases().filter(croniter_reads_alike), start=st.datetimes(datetime(2010, 1, 1), datetime(2030, 1, 1))
)
def test_croniter_finds_the_same_naive_times(case: Case, start: datetime) -> None:
    try:
        cron = Cron(case.text)
    except NeverFires:
        return
    start = start.replace(microsecond=0)
    theirs = croniter(case.text, start, ret_type=datetime, max_years_between_matches=60)
    ours = start.replace(tzinfo=UTC)
    for _ in range(5):
        found = cron.next(ours)
        assert found is not None
        assert found.replace(tzinfo=None) == theirs.get_next()
        ours = found


def test_calendar_ends_with_the_year_9998() -> None:
    last = utc(9998, 12, 31)
    assert Cron("0 0 * * *").next(last - timedelta(days=1)) == last
    assert Cron("0 0 * * *").next(last) is None
