"""Dagu's dialect of cron, and its behaviour on days when the clocks change, beside the schedules of dagsched."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.importers import checked, compare
from dagsched.importers.cronfields import Unreadable
from dagsched.importers.dagu import read_dags, robfig
from dagsched.model import utc

NOW = utc(2026, 11, 26)
YEAR = timedelta(days=365)


def rows_of(schedule: str, timezone: str = "Europe/Berlin", start: datetime = NOW, length: timedelta = YEAR):
    read = read_dags({"/d/a.yaml": f"schedule: {schedule}\nsteps: ['true']\n"}, timezone)
    text, loaded = checked(read, "/d/jobs.yaml", NOW)
    assert loaded.config is not None, text
    return read, compare(read.drafts, loaded.config, start, start + length)


EXPRESSIONS = [
    "0 2 * * *", "30 2 * * *", "*/30 2 * * *", "0 0 * * 0", "0 9 * * 1-5", "0 9 * * MON-FRI", "15,45 */6 * * *",
    "5/20 * * * *", "0 0 1 * 1", "0 0 */2 * 1", "0 0 1-31 * 1", "0 0 ? * 1", "0 0 1 jan,JUL ?", "*/45 * * * *",
    "0 0 29 2 *", "10-50/20 8-18/5 * * *", "0 0 */1 * 5", "0 12 13 * fri,sat", "CRON_TZ=Asia/Tokyo 0 5 * * *",
    "TZ=America/New_York 30 1 * * *", "0 0 * * 0-6", "0 0 * * */2", "0 0 15/5 * *",
]  # fmt: skip


@pytest.mark.parametrize("timezone", ["UTC", "Europe/Berlin", "America/New_York", "Africa/Cairo"])
def test_expressions_verify_to_zero(timezone):
    for text in EXPRESSIONS:
        _, (row,) = rows_of(f'"{text}"', timezone)
        assert row.is_zero, text
        assert (row.explained, row.old) == ((), row.new), text


@pytest.mark.parametrize(
    ("text", "after", "ticks"),
    [
        ("30 2 * * *", utc(2027, 3, 28), []),
        ("0 3 * * *", utc(2027, 3, 28), ["01:00"]),
        ("30 2 * * *", utc(2027, 10, 31), ["00:30", "01:30"]),
        ("*/30 2 * * *", utc(2027, 10, 30, 23, 59), ["00:00", "00:30", "01:00", "01:30"]),
    ],
)
def test_a_skipped_time_never_comes_and_a_repeated_one_comes_twice(text, after, ticks):
    found = robfig.fires([robfig.read_expression(text)], "Europe/Berlin", after, after + timedelta(hours=6))
    assert [f"{fire.tick:%H:%M}" for fire in found] == ticks


@pytest.mark.parametrize(
    ("text", "dates"),
    [
        ("0 0 1 * 1", ["2026-11-30", "2026-12-01", "2026-12-07"]),
        ("0 0 */10 * 1", ["2026-11-30", "2026-12-01", "2026-12-07"]),
        ("0 0 * * 1", ["2026-11-30", "2026-12-07", "2026-12-14"]),
        ("0 0 */1 * 1", ["2026-11-30", "2026-12-07", "2026-12-14"]),
        ("0 0 1-31 * 1", ["2026-11-27", "2026-11-28", "2026-11-29"]),
    ],
)
def test_a_stepped_star_does_not_count_as_a_star(text, dates):
    found = robfig.fires([robfig.read_expression(text)], "UTC", NOW, NOW + timedelta(days=30))
    assert [f"{fire.tick:%Y-%m-%d}" for fire in found][:3] == dates


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("@daily", "five fields"),
        ("* * * *", "these are 4"),
        ("0 0 0 * * *", "these are 6"),
        ("0 0 * * 7", "7 is no weekday"),
        ("60 * * * *", "60 is no minute"),
        ("*/0 * * * *", "is 0"),
        ("0 22-2 * * *", "backward"),
        ("0 0 L * *", "no day of month"),
        ("CRON_TZ=Mars/Base 0 0 * * *", "no time zone"),
        ("", "these are 0"),
        ("0 0 * * -1", "no weekday"),
    ],
)
def test_what_dagu_refuses_is_told(text, why):
    with pytest.raises(Unreadable, match=why):
        robfig.read_expression(text)


def test_a_part_of_the_schedule_that_is_left_out_is_counted():
    read, (row,) = rows_of('["0 2 * * *", "CRON_TZ=Asia/Tokyo 0 7 * * 1"]')
    assert next(each.kind for each in read.verdicts if each.text.startswith("schedule")) == "dropped"
    assert row.is_zero
    assert (row.old - row.new, len(row.explained)) == (52, 52)
    read, (row,) = rows_of('["@daily", "0 2 * * *"]')
    assert (row.is_zero, row.old) == (True, 365)


def test_one_instant():
    read, (row,) = rows_of('[{at: "2026-12-24T18:00:00+01:00"}]')
    assert (row.is_zero, row.old, row.new) == (True, 1, 1)
    read, (row,) = rows_of('{start: "0 8 * * *", stop: "0 18 * * *", restart: "0 12 * * *", pause: "0 1 * * *"}')
    assert row.is_zero
    why = next(each.why for each in read.verdicts if each.text.startswith("schedule"))
    assert "`stop`: nothing stops" in why
    assert "Dagu knows no `pause`" in why


def test_verify_catches_a_wrong_import():
    read, _ = rows_of('"30 2 * * 1"')
    for wrong in ("30 2 * * 2", "31 2 * * 1", {"cron": "30 2 * * 1", "timezone": "UTC"}):
        read.drafts[0].keys["schedule"] = wrong
        _, loaded = checked(read, "/d/jobs.yaml", NOW)
        assert loaded.config is not None
        assert not compare(read.drafts, loaded.config, NOW, NOW + YEAR)[0].is_zero
    read, _ = rows_of('"30 2 * * *"')
    read.drafts[0].keys["dst"] = {"gap": "run", "overlap": "first"}
    _, loaded = checked(read, "/d/jobs.yaml", NOW)
    assert loaded.config is not None
    (row,) = compare(read.drafts, loaded.config, NOW, NOW + YEAR)
    assert (len(row.missing), len(row.extra)) == (1, 1)


def field(low: int, high: int, names: str = "") -> st.SearchStrategy[str]:
    number = st.integers(low, high).map(str)
    ordered = st.tuples(st.integers(low, high), st.integers(low, high)).map(lambda pair: "{}-{}".format(*sorted(pair)))
    step = st.integers(1, high + 1)
    items = [number, ordered, st.tuples(st.one_of(ordered, number), step).map(lambda pair: "{}/{}".format(*pair))]
    items += [st.sampled_from(["*", "?"]), step.map(lambda each: f"*/{each}")]
    if names:
        items.append(st.sampled_from(names.split()))
    return st.one_of(st.just("*"), st.lists(st.one_of(items), min_size=1, max_size=3).map(",".join))


LINES = st.tuples(
    field(0, 59), field(0, 23), field(1, 31), field(1, 12, "jan Feb DEC"), field(0, 6, "sun Mon SAT")
).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(LINES, st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC"]), st.integers(0, 11))
def test_any_expression_verifies_to_zero(line, timezone, month):
    _, rows = rows_of(f'"{line}"', timezone, NOW + timedelta(days=30 * month), timedelta(days=33))
    assert [(row.missing[:3], row.extra[:3], row.explained) for row in rows] == [((), (), ())], line
