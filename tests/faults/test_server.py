"""Faults of a PostgreSQL server and of the way to it, under a real daemon.

Each message of one run's life is the one at which its session breaks, before the server has heard of it or after the
server has done it. In the second case nobody knows whether the commit was made, and it is made once all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.injecting import TAKES_ALL
from tests.faults.lives import Lives
from tests.faults.sessions import Fragile, nothing
from tests.postgres import new_address


@pytest.mark.parametrize("after", [False, True], ids=["before it", "after it"])
def test_a_session_that_breaks_at_any_message_of_a_runs_life_loses_nothing_and_repeats_nothing(
    tmp_path: Path, after: bool
) -> None:
    there = new_address()
    with Fragile(there, "writer", parts=TAKES_ALL) as wire:
        lives = Lives(tmp_path, 5, there, wire.address)
        try:
            lives.trigger("long")
            for message in messages_of_a_life(lives, wire):
                live_through(lives, wire, message, after)
            lives.stop()
        finally:
            lives.close()
        assert wire.breaks >= (16 if TAKES_ALL else 3)
        assert_nothing_is_wrong(lives)


def messages_of_a_life(lives: Lives, wire: Fragile) -> Iterator[int]:
    """Yield the numbers of the messages at which to break: the ends of requests, in the long version all."""
    most = 0
    for _ in range(4):
        wire.break_at(0, after=False)
        lives.trigger("work")
        lives.come_to_rest()
        most = max(most, wire.messages)
    print(f"at most {most} messages of a life")
    yield from range(1, most + 1)


def live_through(lives: Lives, wire: Fragile, message: int, after: bool, then: Callable[[], None] = nothing) -> None:
    """Have a run live while the wire breaks at that message, if there are so many."""
    wire.break_at(message, after=after, then=then)
    lives.trigger("work")
    lives.come_to_rest()


def assert_nothing_is_wrong(lives: Lives) -> None:
    """Require a true record in which each run has exactly one attempt: nobody but the way to the server has failed."""
    assert lives.verdict() == []
    ran = [row for row in lives.evidence().history if row["job"] in ("work", "after")]
    assert {(row["state"], row["attempts"]) for row in ran} == {("success", 1)}
    assert len(ran) >= 2 * sum(verb["args"] == ["trigger", "work"] and bool(verb["out"]) for verb in lives.verbs)
