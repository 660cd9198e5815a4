"""`when`: a condition that decides, once the trigger rule holds, whether a run runs."""

from __future__ import annotations

from datetime import timedelta
from types import MappingProxyType

import pytest

from dagsched.engine import events
from dagsched.model import Dependency, Match, Param, TriggerRule
from tests.engine.bench_of_one import job, plan_of

ROWS = 'output("u", "rows", "0") > 0'


def test_a_false_condition_skips_the_run_and_says_what_it_was_judged_by():
    bench = plan_of("u", job("a after u", when=ROWS), "b after a")
    bench.trigger("u")
    bench.finish("u", outputs={"rows": "0"})
    assert bench.states() == {"u": "success", "a": "skipped", "b": "skipped"}
    assert bench.row("a").reason == 'when: output("u", "rows", "0") > 0 is false (rows = "0")'
    assert bench.row("b").reason == "upstream a skipped"


def test_a_true_condition_lets_it_run():
    bench = plan_of("u", job("a after u", when=ROWS))
    bench.trigger("u")
    bench.finish("u", outputs={"rows": "12"})
    assert bench.state("a") == "running"


def test_it_is_judged_when_the_trigger_rule_holds_and_not_before():
    bench = plan_of("u", "v", job("a after u v", when='state("u") == "success"'))
    bench.trigger("a", with_upstream=True)
    bench.fail("u")
    assert bench.row("a").reason == "upstream u failed"


def test_a_condition_may_ask_for_a_failure():
    bench = plan_of(
        "u", job("mend after u", trigger_rule=TriggerRule.ALL_DONE, when='state("u") in ["failed", "cancelled"]')
    )
    bench.trigger("u")
    bench.fail("u")
    assert bench.state("mend") == "running"
    bench.trigger("u")
    bench.finish("u")
    assert bench.row("mend").reason.endswith("is false (u is success)")


def test_without_an_output_or_a_default_it_is_false_and_says_so():
    bench = plan_of("u", job("a after u", when='output("u", "rows") > 0'))
    bench.trigger("u")
    bench.finish("u")
    assert bench.row("a").reason == 'when: output("u", "rows") > 0 is false (u wrote no output rows)'


def test_successive_ticks_of_a_schedule_left_out_for_one_reason_are_one_row():
    bench = plan_of(job("a at 0 1-3 * * *", when='local.month == 12'))
    bench.to("04:00")
    assert bench.rows("a") == ["01:00-03:00 skipped"]
    assert bench.reasons("a") == ["when: local.month == 12 is false (local.month = 3)"]


def test_the_tick_is_read_in_the_zone_of_the_job():
    bench = plan_of(job("a at 0 23 * * *", when='local.weekday == "tue"', timezone="Europe/Berlin"))
    bench.to("23:00")
    assert bench.state("a") == "running"


def test_parameters_count_as_given_or_by_default():
    params = MappingProxyType({"full": Param({"type": "boolean"}, default=False)})
    bench = plan_of(job("a", when='param("full")', params=params))
    bench.trigger("a")
    bench.to(timedelta(seconds=1))
    bench.trigger("a", params={"full": True})
    assert sorted(run.state for run in bench.kept.values()) == ["running", "skipped"]


def test_a_retry_is_not_judged_again():
    bench = plan_of(job("a at 59 23 * * *", when='local.day == 2', retry=2))
    bench.to("23:59")
    bench.fail("a")
    bench.to(timedelta(minutes=10))
    assert bench.started() == ["a", "a"]


def test_trigger_only_looks_at_no_upstream_and_asks_no_condition():
    bench = plan_of("u", job("a after u", when='state("u") == "success"'))
    bench.trigger("a", only=True)
    assert bench.state("a") == "running"


def test_run_once_obeys_conditions():
    bench = plan_of("u", job("a after u", when=ROWS), once=True)
    bench.apply(events.OnceRequested(bench.now, ("u", "a")))
    bench.finish("u")
    assert bench.state("a") == "skipped"


def test_a_waiting_run_takes_the_condition_of_an_edit():
    bench = plan_of("u", job("a after u", when="local.hour == 23"))
    bench.trigger("u")
    bench.configure("u", job("a after u", when="local.hour == 0"))
    bench.finish("u")
    assert bench.state("a") == "running"


def test_what_a_condition_had_stopped_is_judged_again_when_its_upstream_is_run_again():
    bench = plan_of("u", job("a after u", trigger_rule=TriggerRule.ALL_DONE, when='state("u") == "success"'))
    bench.trigger("u")
    bench.fail("u")
    assert bench.state("a") == "skipped"
    bench.apply(events.RerunRequested(bench.now, bench.row("u").name))
    bench.finish("u")
    assert bench.state("a") == "running"


def test_of_many_upstream_runs_the_newest_is_asked():
    edge = Dependency("u", Match.ALL)
    bench = plan_of(
        job("u at 0,20,40 * * * *"),
        job("a at 50 * * * *", depends_on=(edge,), when='output("u", "n") == 3'),
    )
    bench.to("00:01")
    for number, minute in enumerate(("00:00", "00:20", "00:40")):
        bench.to(minute)
        if bench.plan.running():
            bench.finish("u", outputs={"n": str(number + 1)})
    bench.to("00:50")
    assert bench.state("a") == "running"


@pytest.mark.parametrize("text", ["local.hour < 1", 'state("u") == "success"'])
def test_a_restart_judges_as_the_daemon_before_it(text):
    bench = plan_of("u", job("a after u", when=text))
    bench.trigger("u")
    bench.restart(living=[(bench.row("u").name, 1)])
    bench.finish("u")
    assert bench.state("a") == "running"
