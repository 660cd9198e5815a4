"""Fields in which croniter has a part: the values are checked against arithmetic of our own, never against it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from croniter import croniter

from dagsched.triggers import expand as expansion
from dagsched.triggers.fields import DAY, HOUR, KINDS, MINUTE, MONTH, WEEKDAY, FieldKind, read_field
from dagsched.triggers.grammar import parse

STEPS = (1, 2, 3, 5, 7, 13, 29, 60, 10**30)


def meanings(kind: FieldKind) -> Iterator[tuple[str, set[int]]]:
    """Yield every value, range, start with a step and range with a step of the field, and what each means."""
    top = kind.low + kind.size - 1
    for low in range(kind.low, kind.high + 1):
        yield f"{low}", {low}
        for step in STEPS:
            yield f"{low}/{step}", set(range(low, max(low, top) + 1, step))
        for high in range(low, kind.high + 1):
            yield f"{low}-{high}", set(range(low, high + 1))
            for step in STEPS if kind.size < 60 else (7, 60):
                yield f"{low}-{high}/{step}", set(range(low, high + 1, step))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_plain_item_means_what_counting_says(kind: FieldKind) -> None:
    for text, values in meanings(kind):
        expected = {value % 7 for value in values} if kind is WEEKDAY else values
        assert read_field(kind, text).values == expected, text


@pytest.mark.parametrize(
    ("kind", "text", "values"),
    [
        pytest.param(HOUR, "9-9", {9}, id="range of one"),
        pytest.param(HOUR, "9-9/2", {9}, id="range of one with a step"),
        pytest.param(DAY, "9-9,20-22", {9, 20, 21, 22}, id="range of one in a list"),
        pytest.param(MINUTE, "59/5", {59}, id="last value with a step"),
        pytest.param(MONTH, "dec/3", {12}, id="last name with a step"),
        pytest.param(WEEKDAY, "6/2", {6}, id="Saturday with a step"),
        pytest.param(WEEKDAY, "7/2", {0}, id="7 with a step"),
        pytest.param(HOUR, "0-23", set(range(24)), id="whole range"),
        pytest.param(DAY, "1-31", set(range(1, 32)), id="whole month"),
        pytest.param(WEEKDAY, "0-7", set(range(7)), id="whole week, Sunday twice"),
        pytest.param(WEEKDAY, "0,1-6", set(range(7)), id="list that makes a whole week"),
        pytest.param(DAY, "?/10", {1, 11, 21, 31}, id="question mark with a step, day"),
        pytest.param(WEEKDAY, "?/3", {0, 3, 6}, id="question mark with a step, weekday"),
        pytest.param(DAY, "3-5,L,15W", {3, 4, 5}, id="special days apart"),
        pytest.param(WEEKDAY, "mon-tue,fri#2,Lsat", {1, 2}, id="special weekdays apart"),
        pytest.param(MONTH, "JAN-mar,Nov", {1, 2, 3, 11}, id="names in any case"),
        pytest.param(HOUR, "08-010", {8, 9, 10}, id="leading zeros are no octal"),
    ],
)
def test_field_that_croniter_could_misread_is_read_right(kind: FieldKind, text: str, values: set[int]) -> None:
    assert read_field(kind, text).values == values


@pytest.mark.parametrize("hours", ["0-23", "0,1-23", "0/1"])
def test_whole_range_of_hours_stays_a_fixed_time_though_croniter_sees_a_star(hours: str) -> None:
    assert croniter.expand(f"0 {hours} * * *")[0][1] == ["*"]
    assert parse(f"0 {hours} * * *").hours == tuple(range(24))
    assert not parse(f"0 {hours} * * *").is_wildcard


def test_whole_range_of_days_still_restricts_days_beside_a_weekday() -> None:
    assert not read_field(DAY, "1-31").is_unrestricted
    assert read_field(DAY, "*").is_unrestricted


def test_each_distinct_field_is_expanded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, tuple[str, ...]]] = []
    monkeypatch.setattr("dagsched.triggers.fields.expand", lambda *args: asked.append(args) or {1})
    read_field.cache_clear()
    parse.cache_clear()
    try:
        for minute in range(60):
            parse(f"{minute} 9-17,20-21 * * mon-fri")
        assert [(position, items) for position, items, _ in asked] == [(1, ["9-17", "20-21"]), (4, ["mon-fri"])]
    finally:
        read_field.cache_clear()
        parse.cache_clear()


def test_stars_single_values_and_ranges_of_hours_do_not_load_croniter() -> None:
    code = (
        "import sys\nfrom dagsched.triggers import Cron\n"
        "Cron('0 9 * * mon'); Cron('* * 1,L * fri#2'); Cron('0 9-16 * * *')\nassert 'croniter' not in sys.modules\n"
        "Cron('0 9-16/3 * * *')\nassert 'croniter' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_only_plain_items_of_several_values_reach_croniter(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    monkeypatch.setattr(croniter, "expand", lambda text: seen.append(text) or [[[1]] * 5])
    expansion.expand(4, ["mon-fri", "?/2"], range(7))
    read_field.__wrapped__(WEEKDAY, "1-1,7/2,mon#2,L5,tue-wed")
    assert seen == ["* * * * mon-fri,*/2", "* * * * tue-wed"]


@pytest.mark.parametrize(("position", "item"), expansion.WELL_KNOWN, ids=lambda part: str(part))
def test_what_is_known_without_croniter_is_what_croniter_says(position: int, item: str) -> None:
    fields = ["*"] * 5
    fields[position] = item
    values = croniter.expand(" ".join(fields))[0][position]
    assert set(expansion.WELL_KNOWN[position, item]) == set(KINDS[position].full() if values == ["*"] else values)
