"""Exit records as the daemon reads them."""

from datetime import UTC, datetime, timedelta

from dagsched.executor.exits import instant


def test_instant_of_whole_milliseconds_is_that_instant_and_what_is_below_is_cut_off():
    start = datetime(2026, 11, 26, 1, 2, 3, tzinfo=UTC)
    first = int(start.timestamp())
    for number in range(1000):
        meant = start + timedelta(milliseconds=number)
        assert instant(float(f"{first}.{number:03d}")) == meant
        assert instant(float(f"{first}.{number:03d}9")) == meant
