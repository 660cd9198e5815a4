"""Workflows: a run that is a step of another lives no longer than who waits for it, and is never made twice."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused
from dagsched.model import Origin
from tests.engine.bench_of_one import Bench, job, plan_of


def call(bench: Bench, caller: str = "flow", id: str = "load", **fields) -> None:
    bench.apply(events.RunCalled(bench.now, id, bench.row(caller).name, rows=tuple(bench.kept.values()), **fields))


def calling(*jobs, **fields) -> Bench:
    bench = plan_of(job("flow", **fields), "load", "below after load", *jobs)
    bench.trigger("flow")
    call(bench)
    return bench


def test_a_called_run_is_made_with_what_is_below_it_and_both_name_each_other():
    bench = plan_of("flow", "load", "below after load")
    bench.trigger("flow")
    call(bench, params={"day": "monday"})
    load, flow = bench.row("load"), bench.row("flow")
    assert (load.origin, load.state, load.params["day"]) == (Origin.WORKFLOW, "running", "monday")
    assert load.params["DAGSCHED_CALLER"] == flow.name
    assert flow.params["DAGSCHED_CALLED"] == [load.name]
    assert bench.row("below").tick == load.tick
    assert [(row.type, row.reason) for row in bench.log if row.type == "run.called"] == [("run.called", load.name)]


def test_a_second_call_joins_the_run_that_lives():
    bench = calling()
    call(bench)
    assert len(bench.rows("load")) == 1


def test_an_attempt_after_a_lost_one_takes_the_success_and_one_after_a_failure_begins_anew():
    bench = calling(retry=3)
    bench.finish("load")
    call(bench)
    assert len(bench.rows("load")) == 1
    bench = calling(retry=3)
    bench.fail("load")
    bench.fail("flow")
    bench.to(timedelta(seconds=10))
    call(bench)
    assert [run.state for run in bench.kept.values() if run.job == "load"] == ["failed", "running"]


def test_a_persons_rerun_begins_anew_also_after_a_success():
    bench = calling()
    bench.finish("load")
    bench.finish("flow")
    bench.apply(events.RerunRequested(bench.now, bench.row("flow").name, rows=tuple(bench.kept.values())))
    call(bench)
    assert len(bench.rows("load")) == 2


@pytest.mark.parametrize("how", ["cancel", "fail", "time out"])
def test_a_caller_that_ends_badly_cancels_what_it_waits_for(how):
    bench = calling()
    flow, load = bench.row("flow"), bench.row("load")
    if how == "cancel":
        bench.apply(events.CancelRequested(bench.now, flow.name))
        assert bench.stops == [(flow.name, 1, "cancel")], "its attempt ends first"
        bench.finish("flow", "cancelled", cause="cancel")
    elif how == "fail":
        bench.fail("flow")
    else:
        bench.finish("flow", "timed_out", cause="timeout")
    assert bench.stops[-1] == (load.name, 1, "cancel")
    bench.finish("load", "cancelled", cause="cancel")
    assert (bench.state("load"), bench.reasons("load")) == ("cancelled", [f"cancelled with {flow.name}"])
    assert bench.state("below") == "upstream_failed"


def test_a_timed_out_caller_that_is_not_tried_again_cancels_a_waiting_step_once():
    bench = plan_of("flow", "extract", "load after extract at 0 3 * * *")
    bench.trigger("extract")
    bench.trigger("flow")
    call(bench)
    bench.finish("flow", "timed_out", cause="timeout")
    assert [row.type for row in bench.log if row.job == "load"] == ["run.created", "run.cancelled"]


def test_a_timed_out_caller_that_is_tried_again_waits_for_the_end_of_the_first_run():
    bench = calling(retry=2)
    bench.finish("flow", "timed_out", cause="timeout")
    assert bench.stops[-1][0] == bench.row("load").name
    bench.to(timedelta(seconds=10))
    call(bench)
    assert len(bench.rows("load")) == 1, "it is being ended, and lives"
    bench.finish("load", "cancelled", cause="cancel")
    call(bench)
    assert len(bench.rows("load")) == 2


def test_a_caller_between_attempts_that_is_cancelled_cancels_its_run_too():
    bench = calling(retry=2)
    bench.fail("flow")
    assert bench.state("load") == "running"
    bench.apply(events.CancelRequested(bench.now, bench.row("flow").name))
    assert bench.stops[-1][0] == bench.row("load").name


def test_cancelling_goes_down_through_workflows_of_workflows():
    bench = plan_of("outer", "flow", "load")
    bench.trigger("outer")
    call(bench, "outer", "flow")
    call(bench, "flow", "load")
    bench.fail("outer")
    assert bench.stops == [(bench.row("flow").name, 1, "cancel")]
    bench.finish("flow", "cancelled", cause="cancel")
    assert bench.stops[-1] == (bench.row("load").name, 1, "cancel")


def test_a_queued_step_of_a_caller_that_ended_never_starts():
    bench = plan_of("flow", job("load", pool="p"), job("other", pool="p"), pools={"p": 1})
    bench.trigger("other")
    bench.trigger("flow")
    call(bench)
    assert bench.state("load") == "queued"
    bench.fail("flow")
    assert bench.state("load") == "cancelled"


def test_a_restart_remembers_who_waits_for_whom():
    bench = calling()
    bench.restart(living=[(run.name, 1) for run in bench.plan.running()])
    call(bench)
    assert len(bench.rows("load")) == 1
    bench.fail("flow")
    assert bench.stops[-1][0] == bench.row("load").name


def test_a_run_that_nobody_waits_for_outlives_its_caller():
    bench = plan_of("flow", "load")
    bench.trigger("flow")
    call(bench, waits=False)
    bench.fail("flow")
    assert (bench.state("load"), bench.stops) == ("running", [])


def test_a_paused_job_is_skipped_also_as_a_step_and_a_disabled_one_is_refused():
    bench = plan_of("flow", "load", job("off", enabled=False))
    bench.apply(events.PauseRequested(bench.now, "load"))
    bench.trigger("flow")
    call(bench)
    assert (bench.state("load"), bench.reasons("load")) == ("skipped", ["paused"])
    with pytest.raises(Refused, match="off is disabled"):
        call(bench, id="off")


def test_only_a_run_under_way_calls_another():
    bench = plan_of("flow", "load")
    bench.trigger("flow")
    bench.finish("flow")
    with pytest.raises(Refused, match="is success: only a run under way calls another"):
        call(bench)
