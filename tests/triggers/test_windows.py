"""Windows in local time: over midnight, by weekday, and in nights when the clocks change."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.declaration import Schedule, Window, utc
from dagsched.triggers import trigger_of
from dagsched.triggers.windows import first_tick_inside, is_open, opening

BERLIN = "Europe/Berlin"
NIGHT = (Window("22:00", "06:00"),)


def wall(zone: str, *parts: int) -> datetime:
    return datetime(*parts, tzinfo=ZoneInfo(zone))


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        pytest.param((2026, 11, 23, 21, 59), False, id="before it opens"),
        pytest.param((2026, 11, 23, 22, 0), True, id="as it opens"),
        pytest.param((2026, 11, 24, 0, 0), True, id="at midnight"),
        pytest.param((2026, 11, 24, 5, 59), True, id="before it closes"),
        pytest.param((2026, 11, 24, 6, 0), False, id="as it closes"),
    ],
)
def test_a_window_over_midnight_is_open_from_its_beginning_to_before_its_end(at, expected):
    assert is_open(NIGHT, BERLIN, wall(BERLIN, *at)) is expected


def test_a_window_over_midnight_belongs_to_the_day_on_which_it_opens():
    friday = (Window("22:00", "06:00", ("fri",)),)
    assert is_open(friday, "UTC", utc(2026, 11, 28, 5))  # a Saturday
    assert not is_open(friday, "UTC", utc(2026, 11, 27, 5))
    assert opening(friday, "UTC", utc(2026, 11, 28, 7)).opens == utc(2026, 12, 4, 22)


def test_of_several_windows_the_next_one_is_told():
    windows = (Window("14:00", "17:00"), Window("09:00", "12:00"))
    assert opening(windows, "UTC", utc(2026, 11, 23, 12)).opens == utc(2026, 11, 23, 14)
    assert opening(windows, "UTC", utc(2026, 11, 23, 18)).opens == utc(2026, 11, 24, 9)


def test_a_whole_day_ends_at_24():
    sunday = (Window("00:00", "24:00", ("sun",)),)
    assert is_open(sunday, BERLIN, wall(BERLIN, 2026, 11, 29, 23, 59))
    assert not is_open(sunday, BERLIN, wall(BERLIN, 2026, 11, 30, 0, 0))


@pytest.mark.parametrize(
    ("window", "day", "hours"),
    [
        pytest.param(Window("22:00", "06:00"), (2026, 3, 28, 12), 7, id="a night that is an hour short"),
        pytest.param(Window("22:00", "06:00"), (2026, 10, 24, 12), 9, id="a night that is an hour long"),
        pytest.param(Window("02:30", "04:00"), (2026, 3, 29), 1, id="opening inside a gap is the end of it"),
        pytest.param(Window("01:00", "02:30"), (2026, 3, 29), 1, id="closing inside a gap is its beginning"),
        pytest.param(Window("01:00", "02:30"), (2026, 10, 25), 1.5, id="closing at the first of two"),
        pytest.param(Window("02:30", "03:30"), (2026, 10, 25), 2, id="opening at the first of two"),
    ],
)  # fmt: skip
def test_a_clock_change_makes_a_window_longer_or_shorter(window, day, hours):
    found = opening([window], BERLIN, wall(BERLIN, *day))
    assert found.closes - found.opens == timedelta(hours=hours)


def test_a_window_inside_a_gap_does_not_open_that_day():
    found = opening([Window("02:10", "02:50")], BERLIN, wall(BERLIN, 2026, 3, 29))
    assert found.opens == wall(BERLIN, 2026, 3, 30, 2, 10)


def test_the_first_tick_inside_is_found_over_months_of_ticks_outside():
    trigger = trigger_of(Schedule(cron=("30 12 * * *",)))
    sundays = [Window("12:00", "13:00", ("sun",))]
    after, until = utc(2026, 11, 23), utc(2027, 11, 23)
    assert first_tick_inside(sundays, "UTC", trigger, after, until) == utc(2026, 11, 29, 12, 30)
    assert first_tick_inside([Window("13:00", "14:00")], "UTC", trigger, after, until) is None


TIMES = st.integers(0, 47).map(lambda half: f"{half // 2:02}:{half % 2 * 30:02}")
DAYS = st.lists(st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), max_size=3).map(tuple)
ZONES = st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"])


@settings(max_examples=150, deadline=None)
@given(TIMES, TIMES, DAYS, ZONES, st.integers(0, 365 * 48))
def test_a_window_is_open_exactly_when_the_wall_clock_says_so_on_days_without_a_change(opens, closes, days, zone, half):
    if opens == closes:
        return
    at = utc(2026, 1, 1) + half * timedelta(minutes=30)
    shown = at.astimezone(ZoneInfo(zone))
    around = {(at + timedelta(days=d)).astimezone(ZoneInfo(zone)).utcoffset() for d in (-2, -1, 0, 1, 2)}
    if len(around) > 1:
        return
    clock = f"{shown:%H:%M}"
    is_late = closes < opens and clock < closes
    began = shown - timedelta(days=1) if is_late else shown
    inside = opens <= clock < closes if opens < closes else clock >= opens or clock < closes
    on_day = not days or f"{began:%a}".lower() in days
    assert is_open([Window(opens, closes, days)], zone, at) == (inside and on_day)


@settings(max_examples=100, deadline=None)
@given(TIMES, TIMES, DAYS, ZONES, st.integers(0, 365 * 48))
def test_what_is_told_as_the_next_opening_is_open_and_nothing_before_it_is(opens, closes, days, zone, half):
    if opens == closes:
        return
    windows, at = [Window(opens, closes, days)], utc(2026, 1, 1) + half * timedelta(minutes=30)
    found = opening(windows, zone, at)
    assert found.closes > at
    assert is_open(windows, zone, max(at, found.opens))
    assert not is_open(windows, zone, found.opens - timedelta(seconds=1)) or found.opens <= at
    if found.opens > at:
        assert not is_open(windows, zone, at + (found.opens - at) / 2)
