"""Defects that the simulation found, each in the fewest events that show it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused
from tests.engine.bench_of_one import job, plan_of, utc


def test_rerun_of_a_run_whose_edge_was_removed_since_is_judged_without_that_edge():
    bench = plan_of("a", "b", "c after a b")
    bench.trigger("c", with_upstream=True)
    bench.run_to_end({"c": "failed"})
    bench.configure("a", "b", "c after b")
    bench.apply(events.RerunRequested(bench.now, bench.row("c").name))
    assert bench.state("c") == "running"


def test_rerun_out_of_a_range_whose_schedule_changed_is_refused_and_loses_no_tick():
    off = job("a at 0 * * * *", enabled=False)
    bench = plan_of(off)
    bench.to("04:30")
    bench.configure(job("a at 30 23 * * *"))
    name = bench.row("a")._replace(tick=utc(2026, 3, 2, 4), until=None).name
    with pytest.raises(Refused, match="schedule that has changed"):
        bench.apply(events.RerunRequested(bench.now, name))
    assert bench.rows("a") == ["01:00-04:00 skipped"]


def test_a_manual_tick_between_the_ends_of_a_range_below_is_not_cut_out_of_it():
    bench = plan_of("a at 0 * * * *", job("b after a", enabled=False))
    bench.to("01:10")
    bench.run_to_end({"a": "failed"})
    bench.to("02:10")
    bench.run_to_end({"a": "failed"})
    bench.to("03:10")
    assert bench.rows("b") == ["01:00-03:00 skipped"]
    bench.now += timedelta(minutes=1)
    tick = bench.trigger("a", only=True)
    bench.run_to_end({"a": "failed"})
    bench.to("04:10")
    bench.run_to_end({"a": "failed"})
    bench.apply(events.RerunRequested(bench.now, bench.row("a", tick).name))
    assert bench.rows("b") == ["01:00-04:00 skipped"]
