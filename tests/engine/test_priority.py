"""Who starts first when slots are short, and for how long at most anybody waits behind others."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagsched.engine.verdicts import blocking
from tests.engine.bench_of_one import job, plan_of

MINUTE = timedelta(minutes=1)


def test_a_higher_priority_starts_first():
    bench = plan_of(job("busy", pool="p"), job("low", pool="p"), job("high", pool="p", priority=5), pools={"p": 1})
    for name in ("busy", "low", "high"):
        bench.trigger(name)
    bench.finish("busy")
    bench.finish("high")
    assert bench.started() == ["busy", "high", "low"]


def test_one_point_is_worth_one_minute_of_waiting():
    bench = plan_of(job("busy", pool="p"), job("old", pool="p"), job("new", pool="p", priority=5), pools={"p": 1})
    bench.trigger("busy")
    bench.trigger("old")
    bench.to(timedelta(minutes=5, seconds=1))
    bench.trigger("new")
    bench.finish("busy")
    assert bench.started() == ["busy", "old"]


def test_priority_counts_across_pools_where_the_daemon_is_full():
    bench = plan_of(
        job("busy"), job("low", pool="p", priority=-1), job("plain"), job("high", pool="q", priority=1),
        pools={"p": 1, "q": 1}, slots_max=1,
    )  # fmt: skip
    for name in ("busy", "low", "plain", "high"):
        bench.trigger(name)
    for name in ("busy", "high", "plain"):
        bench.finish(name)
    assert bench.started() == ["busy", "high", "plain", "low"]


def test_a_flood_of_high_priority_in_a_full_pool_holds_up_no_other_pool():
    flood = [job(f"f{n}", pool="p", priority=100) for n in range(20)]
    bench = plan_of(*flood, job("other", pool="q", priority=-100), pools={"p": 1, "q": 1}, slots_max=2)
    for each in flood:
        bench.trigger(each.id)
    bench.trigger("other")
    assert bench.started() == ["f0", "other"]


def test_a_retry_stands_in_line_from_the_end_of_its_delay_with_its_priority():
    bench = plan_of(job("a", pool="p", retry=2, priority=2), job("b", pool="p"), job("c", pool="p"), pools={"p": 1})
    for name in ("a", "b", "c"):
        bench.trigger(name)
    bench.fail("a")
    bench.to(timedelta(seconds=20))
    bench.finish("b")
    assert bench.started() == ["a", "b", "a"]


def test_waiting_runs_take_a_new_priority_from_the_file():
    jobs = [job("busy", pool="p"), job("a", pool="p"), job("b", pool="p")]
    bench = plan_of(*jobs, pools={"p": 1})
    for each in jobs:
        bench.trigger(each.id)
    bench.configure(*jobs[:2], jobs[2]._replace(priority=1), pools={"p": 1})
    bench.finish("busy")
    assert bench.started() == ["busy", "b"]


def test_why_names_the_run_that_is_served_first():
    bench = plan_of(
        job("busy", pool="p"), job("big", pool="p", slots=2, priority=3), job("a", pool="p"), pools={"p": 2}
    )
    for name in ("busy", "big", "a"):
        bench.trigger(name)
    words = blocking(bench.plan, bench.row("a"))
    assert words.startswith("pool p serves job:big:2026-03-02T00:00:00.")
    assert words.endswith("Z first (priority 3)")


ARRIVAL = st.tuples(st.integers(0, 5), st.integers(-10, 10), st.sampled_from(["p", "q", None]))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ARRIVAL, min_size=1, max_size=25), st.sampled_from([None, 1, 2, 3]), st.integers(1, 2))
def test_nobody_is_overtaken_by_a_run_that_came_later_than_priority_allows(arrivals, slots_max, slots):
    jobs = [job(f"j{n}", pool=pool, priority=points) for n, (_, points, pool) in enumerate(arrivals)]
    bench = plan_of(*jobs, pools={"p": slots, "q": slots}, slots_max=slots_max)
    ready = {}
    for each, (wait, _, _) in zip(jobs, arrivals, strict=True):
        bench.to(wait * MINUTE)
        bench.trigger(each.id)
        ready[each.id] = bench.now
        if wait % 2 and bench.plan.running():
            bench.finish(bench.plan.running()[0].job)
    while bench.plan.running():
        bench.to(MINUTE)
        bench.finish(bench.plan.running()[0].job)
    started = {each.id: bench.row(each.id).started for each in jobs}
    assert started.keys() == ready.keys()
    for old in jobs:
        for new in jobs:
            # Only where both wait for the same: a slot of one pool, or of the daemon with no pool in between.
            if old.pool == new.pool and ready[new.id] > ready[old.id] + (new.priority - old.priority) * MINUTE:
                assert started[new.id] >= started[old.id] or started[new.id] <= ready[old.id], (old, new)
