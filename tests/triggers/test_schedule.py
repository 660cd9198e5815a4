"""From a declared schedule to its ticks: every, at, bounds, several expressions."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagsched
from dagsched.errors import InvalidSchedule, NeverFires, UnknownTimezone
from dagsched.model import Schedule, parse_instant, utc
from dagsched.triggers import Cron, Every, jitter, trigger_of

NEW_YORK = "America/New_York"
FIRST = utc(1900, 1, 1)


def first_ticks(schedule: Schedule, after: datetime, count: int = 3) -> list[datetime]:
    return list(islice(trigger_of(schedule).ticks(after), count))


def test_every_counts_from_the_epoch() -> None:
    assert first_ticks(Schedule(every=timedelta(minutes=7)), utc(1970, 1, 1)) == [
        utc(1970, 1, 1, 0, 7),
        utc(1970, 1, 1, 0, 14),
        utc(1970, 1, 1, 0, 21),
    ]


def test_every_with_start_counts_from_it_and_includes_it() -> None:
    start = utc(2026, 5, 5, 10, 3, 20)
    schedule = Schedule(every=timedelta(hours=5), start=start)
    assert first_ticks(schedule, utc(2026, 1, 1), 2) == [start, start + timedelta(hours=5)]


def test_every_ignores_clock_changes_of_its_zone() -> None:
    found = list(
        trigger_of(Schedule(every=timedelta(minutes=30), timezone=NEW_YORK)).ticks(
            utc(2026, 3, 8), utc(2026, 3, 9)
        )
    )
    assert {later - earlier for earlier, later in pairwise(found)} == {timedelta(minutes=30)}
    assert len(found) == 48


@given(
    step=st.integers(1, 400_000),
    after=st.datetimes(datetime(1950, 1, 1), datetime(2100, 1, 1)),
    start=st.none() | st.datetimes(datetime(1960, 1, 1), datetime(2090, 1, 1)),
)
def test_every_next_is_the_first_multiple_after_the_reference(
    step: int, after: datetime, start: datetime | None
) -> None:
    anchor = start.replace(microsecond=0, tzinfo=UTC) if start else None
    reference = after.replace(tzinfo=UTC)
    tick = Every(timedelta(seconds=step), anchor).next(reference)
    assert tick is not None
    assert tick > reference
    assert anchor is None or tick >= anchor
    assert (tick - (anchor or utc(1970, 1, 1))) % timedelta(seconds=step) == timedelta(0)
    earlier = tick - timedelta(seconds=step)
    assert earlier <= reference or (anchor is not None and earlier < anchor)


@pytest.mark.parametrize(
    "length",
    [timedelta(0), timedelta(seconds=-5), timedelta(milliseconds=1500), timedelta(days=40_000)],
    ids=str,
)
def test_every_refuses_lengths_that_make_no_whole_seconds(length: timedelta) -> None:
    with pytest.raises(InvalidSchedule, match="period"):
        trigger_of(Schedule(every=length))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param(datetime(2026, 7, 1, 18), "2026-07-01T22:00Z", id="wall time of the zone"),
        pytest.param(
            datetime(2026, 3, 8, 2, 30), "2026-03-08T07:00Z", id="skipped: the first instant after the gap"
        ),
        pytest.param(datetime(2026, 11, 1, 1, 30), "2026-11-01T05:30Z", id="repeated: the first of two"),
        pytest.param(datetime(2026, 7, 1, 18, tzinfo=UTC), "2026-07-01T18:00Z", id="an instant of UTC"),
        pytest.param(
            datetime(2026, 7, 1, 18, tzinfo=timezone(timedelta(hours=2))),
            "2026-07-01T16:00Z",
            id="an instant with an offset",
        ),
        pytest.param(datetime(2027, 1, 1), "2027-01-01T05:00Z", id="the turn of the year"),
    ],
)
def test_at_is_one_instant(at: datetime, expected: str) -> None:
    trigger = trigger_of(Schedule(at=at, timezone=NEW_YORK))
    tick = parse_instant(expected)
    assert trigger.next(FIRST) == tick
    assert trigger.next(tick) is None
    assert list(trigger.ticks(FIRST, tick)) == [tick]
    assert list(trigger.ticks(FIRST, tick - timedelta(milliseconds=1))) == []
    assert list(trigger.ticks(tick - timedelta(milliseconds=1), None)) == [tick]


def test_at_on_a_lost_day_is_the_first_instant_after_it() -> None:
    assert trigger_of(Schedule(at=datetime(2011, 12, 30, 15), timezone="Pacific/Apia")).next(FIRST) == utc(
        2011, 12, 30, 10
    )


@pytest.mark.parametrize(
    "at", [datetime(2026, 1, 1, 0, 0, 0, 5000), datetime(1850, 1, 1), datetime(9998, 1, 1)], ids=str
)
def test_at_refuses_parts_of_seconds_and_far_years(at: datetime) -> None:
    with pytest.raises(InvalidSchedule):
        trigger_of(Schedule(at=at))


def test_at_in_the_last_hours_of_the_calendar_is_found() -> None:
    last = datetime(9997, 12, 31, 23, 59)
    assert trigger_of(Schedule(at=last, timezone=NEW_YORK)).next(FIRST) == utc(9998, 1, 1, 4, 59)


def test_start_and_end_are_both_included() -> None:
    schedule = Schedule(cron=("0 0 * * *",), start=utc(2026, 1, 2), end=utc(2026, 1, 4))
    assert first_ticks(schedule, FIRST, 9) == [utc(2026, 1, 2), utc(2026, 1, 3), utc(2026, 1, 4)]
    assert trigger_of(schedule).next(utc(2026, 1, 4)) is None


def test_start_and_end_between_seconds_are_read_exactly() -> None:
    schedule = Schedule(
        every=timedelta(seconds=1), start=utc(2026, 1, 1, ms=1), end=utc(2026, 1, 1, 0, 0, 2, ms=999)
    )
    assert first_ticks(schedule, FIRST, 9) == [utc(2026, 1, 1, 0, 0, 1), utc(2026, 1, 1, 0, 0, 2)]


def test_bounds_narrow_the_window_asked_for_and_never_widen_it() -> None:
    trigger = trigger_of(Schedule(cron=("0 * * * *",), start=utc(2026, 1, 1), end=utc(2026, 1, 2)))
    assert list(trigger.ticks(utc(2026, 1, 1, 5), utc(2026, 1, 1, 7))) == [
        utc(2026, 1, 1, 6),
        utc(2026, 1, 1, 7),
    ]


def test_several_expressions_fire_once_where_they_meet() -> None:
    schedule = Schedule(cron=("0 */6 * * *", "0 */4 * * *"))
    assert [tick.hour for tick in first_ticks(schedule, utc(2026, 1, 1), 8)] == [4, 6, 8, 12, 16, 18, 20, 0]
    assert trigger_of(schedule).next(utc(2026, 1, 1, 4)) == utc(2026, 1, 1, 6)


@pytest.mark.parametrize(
    "schedule",
    [
        Schedule(),
        Schedule(cron=("* * * * *",), every=timedelta(hours=1)),
        Schedule(every=timedelta(hours=1), at=utc(2026, 1, 1)),
    ],
    ids=["none", "cron and every", "every and at"],
)
def test_schedule_says_exactly_one_kind(schedule: Schedule) -> None:
    with pytest.raises(InvalidSchedule, match="the schedule has"):
        trigger_of(schedule)


def test_end_before_start_is_refused() -> None:
    with pytest.raises(InvalidSchedule, match="before it starts"):
        trigger_of(Schedule(cron=("* * * * *",), start=utc(2026, 1, 2), end=utc(2026, 1, 1)))


@pytest.mark.parametrize(
    "bounds",
    [{}, {"start": utc(2026, 1, 1)}, {"end": utc(2027, 1, 1)}, {"start": utc(2026, 1, 1), "end": utc(2027, 1, 1)}],
    ids=["unbounded", "start", "end", "both"],
)
@pytest.mark.parametrize("cron", [("0 0 30 2 *",), ("0 0 30 2 *", "0 0 31 4 *")], ids=["one", "two"])
def test_schedule_that_no_date_fits_is_a_trigger_without_ticks(
    cron: tuple[str, ...], bounds: dict[str, datetime]
) -> None:
    trigger = trigger_of(Schedule(cron=cron, timezone="Europe/Berlin", **bounds))  # type: ignore[arg-type]
    assert trigger.next(utc(2026, 1, 1)) is None
    assert list(trigger.ticks(utc(2026, 1, 1))) == []
    assert list(trigger.ticks(utc(2026, 1, 1), utc(2030, 1, 1))) == []
    with pytest.raises(NeverFires):
        Cron(cron[0], "Europe/Berlin")


def test_impossible_expression_beside_others_adds_no_tick() -> None:
    trigger = trigger_of(Schedule(cron=("0 0 30 2 *", "0 0 * * *")))
    assert list(trigger.ticks(utc(2026, 2, 27), utc(2026, 3, 1))) == [utc(2026, 2, 28), utc(2026, 3, 1)]


def test_impossible_date_in_an_unknown_zone_is_refused_for_the_zone() -> None:
    with pytest.raises(UnknownTimezone):
        trigger_of(Schedule(cron=("0 0 30 2 *",), timezone="Mars/Base"))


def test_zone_is_checked_for_every_kind() -> None:
    for schedule in (
        Schedule(every=timedelta(hours=1), timezone="Mars/Base"),
        Schedule(at=utc(2026, 1, 1), timezone="Mars/Base"),
    ):
        with pytest.raises(UnknownTimezone):
            trigger_of(schedule)


def test_same_schedule_gives_the_same_trigger() -> None:
    assert trigger_of(Schedule(cron=("1 2 * * *",))) is trigger_of(Schedule(cron=("1 2 * * *",)))


@pytest.mark.parametrize("trigger", [Cron("* * * * *"), Every(timedelta(minutes=1))], ids=["cron", "every"])
def test_naive_bounds_are_refused(trigger: Cron | Every) -> None:
    with pytest.raises(ValueError, match="aware"):
        trigger.next(datetime(2026, 1, 1))
    with pytest.raises(ValueError, match="aware"):
        list(trigger.ticks(utc(2026, 1, 1), datetime(2026, 1, 2)))


def test_reference_between_seconds_is_read_exactly() -> None:
    cron = Cron("* * * * *")
    assert cron.next(utc(2026, 1, 1) - timedelta(microseconds=1)) == utc(2026, 1, 1)
    assert list(cron.ticks(utc(2026, 1, 1), utc(2026, 1, 1, 0, 1) - timedelta(microseconds=1))) == []


def test_reference_in_another_zone_is_the_same_instant() -> None:
    elsewhere = utc(2026, 1, 1, 12).astimezone(timezone(timedelta(hours=-7)))
    assert Cron("0 * * * *").next(elsewhere) == utc(2026, 1, 1, 13)


def test_package_offers_cron_without_loading_it_on_import() -> None:
    assert dagsched.Cron is Cron
    code = "import sys, dagsched; print(any(name.startswith('dagsched.') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
    with pytest.raises(AttributeError, match="Corn"):
        _ = dagsched.Corn


def test_jitter_is_below_its_length_and_the_same_every_time() -> None:
    length = timedelta(minutes=10)
    shares = [jitter(f"job-{number}", length) for number in range(500)]
    assert shares == [jitter(f"job-{number}", length) for number in range(500)]
    assert all(timedelta(0) <= share < length for share in shares)
    assert all(share % timedelta(milliseconds=1) == timedelta(0) for share in shares)


def test_jitter_spreads_over_its_whole_length() -> None:
    length = timedelta(seconds=10)
    quarters = [int(jitter(f"job-{number}", length) / (length / 4)) for number in range(2000)]
    assert all(400 < quarters.count(quarter) < 600 for quarter in range(4))


def test_jitter_of_an_id_never_changes_between_versions() -> None:
    assert jitter("nightly", timedelta(hours=1)) == timedelta(milliseconds=593_887)


@pytest.mark.parametrize("length", [timedelta(0), timedelta(microseconds=900)], ids=str)
def test_jitter_below_a_millisecond_is_none(length: timedelta) -> None:
    assert jitter("nightly", length) == timedelta(0)


def test_negative_jitter_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        jitter("nightly", timedelta(seconds=-1))
