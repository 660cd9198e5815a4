"""Runs as bars over time."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.model import Run, RunState
from dagsched.views.coming import Coming
from dagsched.web.lanes import FINE, LEVELS_MAX, Frame, axis, lane
from dagsched.web.pages.timeline import Expected, together
from tests.web.stored import NOW, ago, ran

HOUR = Frame(ago(hours=1), NOW)


def test_a_bar_has_its_wait_first_and_then_its_length():
    [bar] = lane("a", [ran("a", ago(minutes=30), took_s=360)], HOUR, NOW).bars
    assert (bar.x, bar.wait, bar.width) == (50.0, pytest.approx(0.833), pytest.approx(10.833))


def test_what_goes_on_ends_now_and_what_began_before_the_window_begins_at_its_edge():
    running = Run("a", ago(hours=3), RunState.RUNNING, ready=ago(hours=3), started=ago(hours=2), attempts=1)
    waiting = Run("a", ago(minutes=15), RunState.QUEUED, ready=ago(minutes=15))
    bars = lane("a", [running, waiting], HOUR, NOW).bars
    assert [(bar.x, bar.width, bar.wait) for bar in bars] == [(0.0, 100.0, 0.0), (75.0, 25.0, 25.0)]
    assert [bar.level for bar in bars] == [0, 1]


def test_what_never_ran_is_a_mark_at_its_tick_or_range():
    runs = [
        Run("a", ago(minutes=45), RunState.MISSED, ended=ago(minutes=1)),
        Run("a", ago(minutes=30), RunState.SKIPPED, until=ago(minutes=15), ended=ago(minutes=15)),
    ]
    bars = lane("a", runs, HOUR, NOW).bars
    assert [(bar.x, bar.width, bar.is_mark) for bar in bars] == [(25.0, FINE, True), (50.0, 25.0, True)]


def test_what_does_not_touch_the_window_is_left_out():
    late, early = ran("a", ago(hours=2)), ran("a", NOW + timedelta(minutes=1))
    assert lane("a", [late, early], HOUR, NOW).bars == []


def test_bars_too_fine_to_be_told_apart_are_one_unless_they_ended_differently():
    week = Frame(ago(days=7), NOW)
    runs = [ran("a", ago(minutes=600 - n), "failed" if n == 50 else "success", took_s=5) for n in range(100)]
    bars = lane("a", runs, week, NOW).bars
    assert [(bar.count, str(bar.run.state)) for bar in bars] == [(50, "success"), (1, "failed"), (49, "success")]


def test_runs_at_the_same_time_stand_below_each_other_up_to_a_limit():
    runs = [ran("a", ago(minutes=40 - n), took_s=1200) for n in range(9)]
    found = lane("a", runs, HOUR, NOW)
    assert found.levels == LEVELS_MAX
    assert [bar.level for bar in found.bars][:4] == [0, 1, 2, 3]


def test_the_axis_has_whole_hours_and_names_days():
    marks = axis(Frame(ago(hours=12), NOW), timedelta(hours=3))
    assert [mark.words for mark in marks] == ["21:00", "Thu 26", "03:00", "06:00"]
    assert [mark.is_day for mark in marks] == [False, True, False, False]


def test_ticks_to_come_that_cannot_be_told_apart_are_one_bar():
    def bar(x: float, ticks: int = 1) -> Expected:
        return Expected(Coming("a", NOW, NOW, ""), x, 1.0, ticks)

    assert [(each.x, each.width, each.ticks) for each in together([bar(10), bar(11.1), bar(11.5), bar(20)])] == [
        (10, 2.5, 3),
        (20, 1.0, 1),
    ]
    assert [each.ticks for each in together([bar(10), bar(10.5, 0)])] == [0]
    assert together([]) == []
