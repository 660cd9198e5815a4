"""What a start leaves over is given back, and what is at hand of past runs has a bound."""

from __future__ import annotations

import gc
import tracemalloc
import weakref
from collections.abc import Callable
from datetime import timedelta

import pytest

from dagsched.daemon.memory import settle
from dagsched.handlers.shell import words
from dagsched.model import Link, format_instant, utc
from dagsched.stores.codec import json_of_links, links_of

START = utc(2026, 3, 2)
SECOND = timedelta(seconds=1)


class Ring:
    """Garbage that only the cyclic collector finds."""

    def __init__(self):
        self.own = self


def test_garbage_is_freed_and_what_stays_is_looked_at_no_more():
    garbage = weakref.ref(Ring())
    try:
        settle()
        assert garbage() is None
        assert gc.get_freeze_count() > 1000
    finally:
        gc.unfreeze()


def narrow_join(number: int) -> tuple[Link, ...]:
    return (Link("upstream", START + number * SECOND),)


def wide_join(number: int) -> tuple[Link, ...]:
    return tuple(Link(f"upstream-{place}", START + number * SECOND) for place in range(100))


@pytest.mark.parametrize(
    ("use", "times"),
    [
        (lambda number: format_instant(START + number * SECOND), 5000),
        (lambda number: json_of_links(narrow_join(number)), 5000),
        (lambda number: json_of_links(wide_join(number)), 500),
        (lambda number: words(f"do --something-with {number}"), 5000),
    ],
    ids=["instants", "links", "links of wide joins", "commands"],
)
def test_what_is_at_hand_of_past_runs_stays_below_250_kb(use: Callable[[int], object], times: int):
    for cache in (format_instant, words):
        cache.cache_clear()
    tracemalloc.start()
    try:
        for number in range(times):
            use(number)
        kept_bytes, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept_bytes < 250_000


@pytest.mark.parametrize("links", [(), narrow_join(1), wide_join(1)], ids=["none", "few", "many"])
def test_links_are_read_as_they_were_written_however_many(links: tuple[Link, ...]):
    assert links_of(json_of_links(links)) == links
