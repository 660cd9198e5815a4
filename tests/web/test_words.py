"""Times and lengths as pages say them."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from dagsched.model import utc
from dagsched.web import words

NOW = utc(2026, 11, 26, 9, 30)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "–"),
        (0, "0 ms"),
        (0.0153, "15 ms"),
        (0.9999, "1.0 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (61, "1 min 1 s"),
        (120, "2 min"),
        (599.4, "9 min 59 s"),
        (600, "10 min"),
        (3661, "1 h 1 min"),
        (86400, "1 d"),
        (90000, "1 d 1 h"),
        (timedelta(days=40, hours=3, minutes=2), "40 d 3 h"),
    ],
)
def test_a_length_has_at_most_two_units(seconds, text: str) -> None:
    assert words.length(seconds) == text


@pytest.mark.parametrize(
    ("ago_s", "text"),
    [(0.4, "just now"), (-5, "just now"), (59, "59 s ago"), (61, "1 min ago"), (4000, "1 h 6 min ago")],
)
def test_what_was_is_told_to_the_minute(ago_s: float, text: str) -> None:
    assert words.ago(NOW - timedelta(seconds=ago_s), NOW) == text


def test_what_will_be_is_told_until_it_is_due() -> None:
    assert words.ahead(NOW + timedelta(minutes=2, seconds=5), NOW) == "in 2 min 5 s"
    assert words.ahead(NOW + timedelta(milliseconds=300), NOW) == "due"
    assert words.ahead(NOW - timedelta(minutes=3), NOW) == "due"


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (utc(2026, 11, 26, 2), "02:00"),
        (utc(2026, 11, 26, 2, 0, 7), "02:00:07"),
        (utc(2026, 11, 25, 2), "25 Nov 02:00"),
        (utc(2025, 1, 2, 3, 4), "2025-01-02 03:04"),
    ],
)
def test_an_instant_leaves_out_what_goes_without_saying(moment, text: str) -> None:
    assert words.moment(moment, NOW) == text


@pytest.mark.parametrize(
    ("moment", "zone", "text"),
    [
        (utc(2026, 11, 26, 2), "Europe/Berlin", "03:00 CET"),
        (utc(2026, 11, 26, 2, 0, 7), "Europe/Berlin", "03:00:07 CET"),
        (utc(2026, 11, 25, 2), "Europe/Berlin", "03:00 CET"),
        (utc(2026, 11, 26, 2), "America/New_York", "25 Nov 21:00 EST"),
        (utc(2026, 11, 26, 2), "Europe/London", ""),
        (utc(2026, 7, 26, 2), "Europe/London", "03:00 BST"),
        (utc(2026, 11, 26, 2), "UTC", ""),
    ],
)
def test_the_clock_of_a_zone_leaves_out_what_stands_beside_it(moment, zone: str, text: str) -> None:
    assert words.here(moment, NOW, zone) == text


def test_an_instant_in_full_names_its_zone() -> None:
    assert words.stamp(NOW) == "2026-11-26 09:30:00 UTC"
    assert words.stamp(NOW.astimezone(ZoneInfo("Europe/Berlin"))) == "2026-11-26 10:30:00 CET"
    assert words.stamp(NOW.astimezone(ZoneInfo("Europe/London"))) == "2026-11-26 09:30:00 GMT"


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (2_500_000, "2.5 MB"), (7 * 10**12, "7000.0 GB")]
)
def test_a_size_is_in_thousands(count: int, text: str) -> None:
    assert words.size(count) == text
