"""Properties of cron ticks, against a scan of every minute around the clock changes of awkward zones."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dagsched.errors import NeverFires
from dagsched.model import utc
from dagsched.triggers import Cron
from tests.triggers.oracle import AWKWARD_ZONES, Case, changes, scan
from tests.triggers.strategies import cases

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
READINGS = st.fixed_dictionaries(
    {
        "gap": st.sampled_from([None, None, "run", "skip"]),
        "fold": st.sampled_from([None, None, "first", "both"]),
        "days": st.sampled_from([None, "any", "all"]),
    }
)


NEW_YEARS = tuple(utc(year, 12, 31) for year in range(2010, 2031, 5))


@st.composite
def windows(draw: st.DrawFn, zone: str) -> tuple[datetime, datetime]:
    """Draw (after, until] with a clock change inside or near it, or the turn of a year."""
    day = draw(st.sampled_from(changes(zone) + NEW_YEARS))
    after = day - timedelta(days=1, minutes=15 * draw(st.integers(0, 4)))
    return after, after + timedelta(hours=draw(st.sampled_from([30, 54, 72])))


def cron_of(case: Case, zone: str, reading: dict[str, str | None]) -> Cron:
    try:
        return Cron(case.text, zone, **reading)  # type: ignore[arg-type]
    except NeverFires:
        assume(False)
        raise


@pytest.mark.parametrize("zone", AWKWARD_ZONES)
@SETTINGS
@given(data=st.data(), case=cases(), reading=READINGS)
def test_ticks_equal_a_scan_of_every_minute_of_the_local_calendar(
    zone: str, data: st.DataObject, case: Case, reading: dict[str, str | None]
) -> None:
    after, until = data.draw(windows(zone))
    cron = cron_of(case, zone, reading)
    expected = list(
        scan(
            case,
            zone,
            after,
            until,
            gap=reading["gap"],
            fold=reading["fold"],
            both_days=reading["days"] == "all",
        )
    )
    assert list(cron.ticks(after, until)) == expected


@SETTINGS
@given(data=st.data(), zone=st.sampled_from(AWKWARD_ZONES), case=cases(), reading=READINGS)
def test_ticks_increase_strictly_and_lie_inside_the_window(
    data: st.DataObject, zone: str, case: Case, reading: dict[str, str | None]
) -> None:
    after, until = data.draw(windows(zone))
    ticks = list(cron_of(case, zone, reading).ticks(after, until))
    assert all(earlier < later for earlier, later in pairwise(ticks))
    assert all(after < tick <= until and tick.microsecond == 0 for tick in ticks)


@SETTINGS
@given(data=st.data(), zone=st.sampled_from(AWKWARD_ZONES), case=cases(), reading=READINGS)
def test_ticks_are_the_same_when_the_window_is_split_anywhere(
    data: st.DataObject, zone: str, case: Case, reading: dict[str, str | None]
) -> None:
    after, until = data.draw(windows(zone))
    middle = after + timedelta(
        milliseconds=data.draw(st.integers(0, int((until - after) / timedelta(milliseconds=1))))
    )
    cron = cron_of(case, zone, reading)
    assert [*cron.ticks(after, middle), *cron.ticks(middle, until)] == list(cron.ticks(after, until))


@SETTINGS
@given(data=st.data(), zone=st.sampled_from(AWKWARD_ZONES), case=cases(), reading=READINGS)
def test_next_walks_the_same_ticks_one_by_one(
    data: st.DataObject, zone: str, case: Case, reading: dict[str, str | None]
) -> None:
    after, until = data.draw(windows(zone))
    cron = cron_of(case, zone, reading)
    expected = list(cron.ticks(after, until))[:40]
    walked, tick = [], cron.next(after)
    while tick is not None and tick <= until and len(walked) < 40:
        walked.append(tick)
        tick = cron.next(tick)
    assert walked == expected
