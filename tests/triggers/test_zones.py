"""Zone names, old names, and the spans a zone's time line is cut into."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest

from dagsched.errors import UnknownTimezone
from dagsched.triggers import Cron, links
from dagsched.triggers.links import replacement_of
from dagsched.triggers.zones import EPOCH, clock_changes, offset_at, reached, spans_of_year, zone
from tests.triggers.oracle import AWKWARD_ZONES


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        pytest.param("Europe/Berln", "Europe/Berlin", id="misspelt"),
        pytest.param("europe/berlin", "Europe/Berlin", id="lower case"),
        pytest.param("London", "Europe/London", id="a city alone"),
        pytest.param("new york", "America/New_York", id="a city with a blank"),
        pytest.param("Utc", "UTC", id="another case"),
    ],
)
def test_unknown_zone_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(UnknownTimezone) as caught:
        Cron("* * * * *", name)
    assert nearest in caught.value.nearest
    assert caught.value.name == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../etc/passwd",
        "Europe/../Europe/Berlin",
        "/usr/share/zoneinfo/UTC",
        "localtime",
        "posixrules",
        "Factory",
        "right/UTC",
        "posix/UTC",
        "tzdata.zi",
        "zone.tab",
        "leapseconds",
        "Europe",
        "Europe/",
        "Europe/Berlin\x00",
        "Europe/Berlin\n",
        "Európe/Berlin",
        "a" * 100_000,
    ],
    ids=lambda name: repr(name[:25]),
)
def test_name_that_is_no_zone_is_refused(name: str) -> None:
    with pytest.raises(UnknownTimezone):
        zone(name)


def test_every_zone_of_the_database_is_taken() -> None:
    refused = {"Factory", "localtime", "posixrules"}
    names = [name for name in available_timezones() if name not in refused]
    assert len(names) > 400
    assert all(zone(name).key == name for name in names)


@pytest.mark.parametrize(
    ("name", "today"),
    [
        ("US/Eastern", "America/New_York"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Iceland", "Atlantic/Reykjavik"),
        ("Zulu", "UTC"),
        ("Greenwich", "GMT"),
        ("UTC", None),
        ("GMT", None),
        ("Etc/GMT+5", None),
        ("Europe/Oslo", None),
        ("America/New_York", None),
        ("Asia/Kolkata", None),
    ],
)
def test_old_name_is_replaced_and_a_name_in_use_is_not(name: str, today: str | None) -> None:
    assert replacement_of(name) == today


def test_every_replacement_exists_and_is_itself_in_use() -> None:
    replacements = {name: replacement_of(name) for name in available_timezones()}
    found = {today for today in replacements.values() if today}
    assert len(found) > 60
    assert all(zone(today) and replacement_of(today) is None for today in found)


def test_replacement_shows_the_same_time_as_the_old_name() -> None:
    for name in sorted(links._old_names()):
        today = replacement_of(name)
        for month in (1, 7):
            moment = datetime(2026, month, 1, tzinfo=UTC)
            assert (
                today is None
                or moment.astimezone(zone(name)).utcoffset() == moment.astimezone(zone(today)).utcoffset()
            )


@pytest.mark.parametrize("name", AWKWARD_ZONES)
def test_spans_of_a_year_join_and_carry_the_offset_of_every_instant(name: str) -> None:
    for year in range(2009, 2032):
        spans = spans_of_year(name, year)
        assert spans[0].start == (datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()
        assert spans[-1].end == spans_of_year(name, year + 1)[0].start
        assert all(earlier.end == later.start for earlier, later in pairwise(spans))
        for span in spans:
            assert (
                offset_at(ZoneInfo(name), span.start)
                == span.offset
                == offset_at(ZoneInfo(name), span.end - 1)
            )


def seconds(moment: datetime) -> int:
    return int((moment.replace(tzinfo=UTC) - EPOCH).total_seconds())


def test_day_lost_at_the_turn_of_the_year_is_seen() -> None:
    # Kiribati's Line Islands had no 31 December 1994 (or, in older data, no 1 January 1995).
    found = clock_changes(
        "Pacific/Kiritimati", seconds(datetime(1994, 12, 25)), seconds(datetime(1995, 1, 5))
    )
    assert [span.start + span.offset - span.shown for span in found] == [86_400]


def test_clock_change_in_the_first_second_of_a_utc_year_belongs_to_that_year() -> None:
    # Sao Tome jumped from 23:23:15 to midnight at the start of 1912 in UTC.
    first = spans_of_year("Africa/Sao_Tome", 1912)[0]
    assert first.start == seconds(datetime(1912, 1, 1))
    assert first.start + first.offset - first.shown == 36 * 60 + 45
    assert Cron("30 23 31 12 *", "Africa/Sao_Tome").next(datetime(1911, 12, 1, tzinfo=UTC)) == datetime(
        1912, 1, 1, tzinfo=UTC
    )


def test_tick_of_a_local_new_year_is_found_in_a_utc_year_that_names_no_day() -> None:
    # 1 January 2023 was a Sunday; it began in Tokyo while UTC was in 2022, which has no such day.
    cron = Cron("0 0 1 1 sun", "Asia/Tokyo", days="all")
    assert cron.next(datetime(2018, 1, 1, tzinfo=UTC)) == datetime(2022, 12, 31, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "wall", "instant"),
    [
        ("America/New_York", datetime(2026, 3, 8, 2, 59, 59), datetime(2026, 3, 8, 7)),
        ("America/New_York", datetime(2026, 3, 8, 3), datetime(2026, 3, 8, 7)),
        ("America/New_York", datetime(2026, 11, 1, 1, 59, 59), datetime(2026, 11, 1, 5, 59, 59)),
        ("America/New_York", datetime(2026, 11, 1, 2), datetime(2026, 11, 1, 7)),
        ("Pacific/Apia", datetime(2011, 12, 30, 0), datetime(2011, 12, 30, 10)),
    ],
    ids=str,
)
def test_wall_time_is_reached_at_the_first_instant_that_shows_it_or_a_later_one(
    name: str, wall: datetime, instant: datetime
) -> None:
    assert reached(name, seconds(wall)) == seconds(instant)
