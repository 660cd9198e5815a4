"""Lengths and instants as people type and read them."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from dagsched.cli.times import distance, length_text, parse_length, parse_moment, parse_since, wall
from dagsched.errors import UsageError
from dagsched.model import utc

NOW = utc(2026, 11, 23, 14)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("15m", 900), ("2h", 7200), ("1d", 86400), ("1h30m", 5400),
     ("1.5s", 1.5), ("200ms", 0.2)],
)  # fmt: skip
def test_lengths_carry_units(text, seconds):
    assert parse_length(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["90", "", "m", "2x", "2h3", "-2h", "9" * 30 + "d"])
def test_what_is_no_length_is_refused_with_an_example(text):
    with pytest.raises(UsageError, match="90s"):
        parse_length(text)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        pytest.param("2026-11-20", utc(2026, 11, 20), id="date"),
        pytest.param("2026-11-20T10:00", utc(2026, 11, 20, 10), id="naive is UTC"),
        pytest.param("2026-11-20T10:00-05:00", utc(2026, 11, 20, 15), id="offset"),
        pytest.param("2026-11-20T10:00:00.0079Z", utc(2026, 11, 20, 10, ms=7), id="cut to milliseconds"),
    ],
)
def test_instants_are_iso_8601(text, moment):
    assert parse_moment(text) == moment


def test_since_takes_a_length_or_an_instant():
    assert parse_since("2h", NOW) == utc(2026, 11, 23, 12)
    assert parse_since("2026-11-20", NOW) == utc(2026, 11, 20)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", ""])
def test_what_is_no_instant_is_refused_with_examples(text):
    with pytest.raises(UsageError, match="2026-11-23T14:00"):
        parse_since(text, NOW)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0ms"), (0.42, "420ms"), (1.54, "1.5s"), (59.6, "1m"), (60, "1m"), (192, "3m 12s"), (3600, "1h"),
     (7500, "2h 5m"), (273600, "3d 4h")],
)  # fmt: skip
def test_lengths_are_read_in_two_units_at_most(seconds, text):
    assert length_text(timedelta(seconds=seconds)) == text


def test_no_length_is_no_text():
    assert length_text(None) == ""


def test_distance_says_which_way():
    assert distance(utc(2026, 11, 23, 14, 5), NOW) == "in 5m"
    assert distance(utc(2026, 11, 23, 13), NOW) == "1h ago"


def test_wall_time_has_weekday_and_zone_and_seconds_only_if_any():
    assert wall(NOW.astimezone(ZoneInfo("America/New_York"))) == "Mon 2026-11-23 09:00 EST"
    assert wall(utc(2026, 11, 23, 14, 0, 1, 7)) == "Mon 2026-11-23 14:00:01.007 UTC"
