"""Drawn cron expressions, each with its meaning."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from tests.triggers.oracle import Case

MONTH_NAMES = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
DAY_NAMES = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]

Meaning = tuple[str, frozenset[int]]


def items(
    low: int, high: int, name: Callable[[int], str] = str, top: int | None = None
) -> st.SearchStrategy[Meaning]:
    """Draw a value, a range, a range with a step or a start with a step, and the values it means.

    `top`: where the field ends, if values are drawn from less than all of it.
    """
    values = st.integers(low, high)

    def span(ends: tuple[int, int], step: int, style: str) -> Meaning:
        first, last = min(ends), max(ends)
        if style == "value":
            return name(first), frozenset({first})
        if style == "range":
            return f"{name(first)}-{name(last)}", frozenset(range(first, last + 1))
        if style == "stepped":
            return f"{first}-{last}/{step}", frozenset(range(first, last + 1, step))
        return f"{first}/{step}", frozenset(range(first, (top or high) + 1, step))

    styles = st.sampled_from(["value", "value", "range", "stepped", "open"])
    return st.builds(span, st.tuples(values, values), st.integers(1, 12), styles)


def lists(low: int, high: int, name: Callable[[int], str] = str) -> st.SearchStrategy[Meaning]:
    def join(parts: list[Meaning]) -> Meaning:
        return ",".join(text for text, _ in parts), frozenset().union(*(values for _, values in parts))

    return st.lists(items(low, high, name), min_size=1, max_size=3).map(join)


def starred(low: int, high: int) -> st.SearchStrategy[Meaning]:
    def step(number: int) -> Meaning:
        return f"*/{number}" if number > 1 else "*", frozenset(range(low, high + 1, number))

    return st.sampled_from([1, 2, 3, 5, 7, 10, 15, 20, 30]).map(step)


def day_fields(
    low: int, high: int, name: Callable[[int], str] = str
) -> st.SearchStrategy[tuple[str, frozenset[int] | None]]:
    star: st.SearchStrategy[tuple[str, frozenset[int] | None]] = st.sampled_from([("*", None), ("?", None)])
    stepped = st.just(("*/3", frozenset(range(low, high + 1, 3))))
    return star | star | lists(low, high, name) | stepped


def cases() -> st.SearchStrategy[Case]:
    def build(
        minute: Meaning,
        hour: Meaning,
        day: tuple[str, frozenset[int] | None],
        month: Meaning,
        weekday: tuple[str, frozenset[int] | None],
    ) -> Case:
        return Case(
            text=" ".join(part[0] for part in (minute, hour, day, month, weekday)),
            minutes=minute[1],
            hours=hour[1],
            days=day[1],
            months=month[1],
            weekdays=weekday[1],
            wildcard=minute[0].startswith("*") or hour[0].startswith("*"),
        )

    every_month = st.just(("*", frozenset(range(1, 13))))
    return st.builds(
        build,
        starred(0, 59) | lists(0, 59),
        starred(0, 23) | lists(0, 23) | items(0, 4, top=23),
        day_fields(1, 31),
        every_month | every_month | lists(1, 12, lambda number: MONTH_NAMES[number - 1]),
        day_fields(0, 6, lambda number: DAY_NAMES[number]),
    )
