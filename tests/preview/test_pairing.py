"""Which fire times are taken to have moved."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from dagsched.model import utc
from dagsched.preview.pairing import paired

NOW = utc(2026, 11, 23, 9, 30)


def at(day: int, hour: int, minute: int = 0):
    return utc(2026, 11, day, hour, minute)


def pairs(gone, come, old_zone="UTC", new_zone="UTC"):
    return paired(gone, come, old_zone, new_zone, NOW)


def test_on_a_date_with_as_many_gone_as_come_the_first_moved_to_the_first():
    found = pairs([at(24, 1), at(24, 5)], [at(24, 2), at(24, 7)])
    assert [tuple(pair) for pair in found.moved] == [(at(24, 1), at(24, 2)), (at(24, 5), at(24, 7))]


def test_on_a_date_with_more_of_one_kind_nothing_is_taken_to_have_moved():
    found = pairs([at(24, 1)], [at(24, 2), at(24, 7)])
    assert (found.added, found.moved, found.dropped) == ([at(24, 2), at(24, 7)], [], [at(24, 1)])


def test_dates_are_those_of_each_sides_own_zone():
    # 09:00 of the 24th in New York and in Tokyo.
    found = pairs([at(24, 14)], [at(24, 0)], "America/New_York", "Asia/Tokyo")
    assert [tuple(pair) for pair in found.moved] == [(at(24, 14), at(24, 0))]


def test_the_first_date_is_paired_from_its_end_if_the_next_one_has_pairs_only():
    # From the full hour to half past, at 09:30: 09:30 has passed on one side only.
    found = pairs([at(23, 22), at(23, 23), at(24, 0)], [at(23, 21, 30), at(23, 22, 30), at(23, 23, 30), at(24, 0, 30)])
    assert found.added == [at(23, 21, 30)]
    assert found.dropped == []
    assert len(found.moved) == 3


TICKS = st.sets(st.integers(1, 24 * 12).map(lambda n: NOW + timedelta(minutes=30 * n)))
ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Tokyo", "Pacific/Apia"])


@given(TICKS, TICKS, ZONES, ZONES)
def test_every_fire_time_is_told_once(old, new, old_zone, new_zone):
    gone, come = old - new, new - old
    found = pairs(sorted(gone), sorted(come), old_zone, new_zone)
    assert sorted([*found.dropped, *(pair.old for pair in found.moved)]) == sorted(gone)
    assert sorted([*found.added, *(pair.new for pair in found.moved)]) == sorted(come)
