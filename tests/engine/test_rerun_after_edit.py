"""A rerun of a run whose job was edited since: it is judged by the edges of now."""

from __future__ import annotations

from dagsched.engine import events
from tests.engine.bench_of_one import job, plan_of


def rerun(bench, id):
    bench.apply(events.RerunRequested(bench.now, bench.row(id).name))


def test_a_rerun_forgets_the_edges_that_were_removed():
    load = "load after extract at 0 1 * * *"
    bench = plan_of("extract at 0 1 * * *", load)
    bench.to("01:00")
    bench.finish("extract")
    bench.fail("load")
    bench.configure("extract at 0 1 * * *", "load at 0 1 * * *")
    rerun(bench, "load")
    assert bench.row("load").links == ()
    assert bench.state("load") == "running"


def test_a_rerun_does_not_wait_for_an_added_edge_that_had_no_tick_by_then():
    bench = plan_of("extract at 0 1 * * *", "never", "load after extract at 0 1 * * *")
    bench.to("01:00")
    bench.finish("extract")
    bench.fail("load")
    bench.configure("extract at 0 1 * * *", "never", "load after extract never at 0 1 * * *")
    rerun(bench, "load")
    assert bench.state("load") == "running"


def test_what_a_rerun_reopens_below_is_judged_by_the_edges_of_now_too():
    bench = plan_of("extract at 0 1 * * *", "other at 0 1 * * *", "load after extract other at 0 1 * * *")
    bench.to("01:00")
    bench.finish("other")
    bench.fail("extract")
    assert bench.state("load") == "upstream_failed"
    bench.configure("extract at 0 1 * * *", "other at 0 1 * * *", job("load after extract at 0 1 * * *"))
    rerun(bench, "extract")
    assert [link.job for link in bench.row("load").links] == ["extract"]
    bench.finish("extract")
    assert bench.state("load") == "running"
