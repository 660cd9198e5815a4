"""What becomes of a run that is ready while its job is still active."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused
from dagsched.model import Schedule, TriggerRule, utc
from tests.engine.bench_of_one import job, plan_of


def hourly(overlap, **fields):
    return plan_of(job("u at 0 * * * *", overlap=overlap, **fields))


def test_skip_leaves_the_newcomer_out_and_names_the_active_run():
    bench = hourly("skip")
    bench.to("02:00")
    assert bench.rows("u") == ["01:00 running", "02:00 skipped"]
    assert bench.row("u").reason == "overlap: job:u:2026-03-02T01:00:00Z was active"


def test_successive_ticks_skipped_behind_one_run_share_a_row():
    bench = hourly("skip")
    bench.to("05:00")
    assert bench.rows("u") == ["01:00 running", "02:00-05:00 skipped"]


def test_skip_counts_a_retrying_run_as_active():
    bench = hourly("skip", retry=2)
    bench.to("01:00")
    bench.apply(events.StartsHeld(bench.now, True))
    bench.fail("u")
    bench.to("02:00")
    assert bench.rows("u") == ["01:00 retrying", "02:00 skipped"]


def test_skip_counts_a_queued_run_as_active():
    bench = plan_of(job("u at 0 * * * *", pool="p"), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("02:00")
    assert bench.rows("u") == ["01:00 queued", "02:00 skipped"]


def test_a_waiting_run_is_not_active():
    bench = plan_of("slow at 0 1 * * *", "u after slow at 0 1,2 * * *")
    bench.to("02:00")
    assert bench.rows("u") == ["01:00 waiting", "02:00 waiting"]


def test_of_several_live_runs_that_become_ready_together_the_newest_stays():
    bench = plan_of("slow at 0 1 * * *", "u after slow at 0 1,2,3 * * *")
    bench.to("03:00")
    bench.finish("slow")
    assert bench.rows("u") == ["01:00 skipped", "02:00 skipped", "03:00 running"]
    assert bench.row("u", "01:00").stand_in == utc(2026, 3, 2, 3)


def test_skip_leaves_as_many_active_as_max_active_runs_says():
    bench = hourly("skip", max_active_runs=2)
    bench.to("03:00")
    assert bench.rows("u") == ["01:00 running", "02:00 running", "03:00 skipped"]


def test_queue_runs_oldest_first():
    bench = hourly("queue")
    bench.to("04:00")
    assert bench.rows("u") == ["01:00 running", "02:00 queued", "03:00 queued", "04:00 queued"]
    bench.run_to_end()
    assert [name[-9:-7] for name, _ in bench.starts] == ["01", "02", "03", "04"]


def test_replace_cancels_the_active_run_first():
    bench = hourly("replace")
    bench.to("02:00")
    assert bench.rows("u") == ["01:00 running", "02:00 queued"]
    assert bench.stops == [("job:u:2026-03-02T01:00:00Z", 1, "cancel")]
    bench.end("job:u:2026-03-02T01:00:00Z", 1, "cancelled")
    assert bench.rows("u") == ["01:00 cancelled", "02:00 running"]
    assert bench.row("u", "01:00").reason == "replaced by 2026-03-02T02:00:00Z"


def test_replace_ends_a_retrying_run_at_once():
    bench = hourly("replace", retry=2)
    bench.to("01:00")
    bench.apply(events.StartsHeld(bench.now, True))
    bench.fail("u")
    bench.to("02:00")
    assert bench.rows("u") == ["01:00 cancelled", "02:00 queued"]


def test_replace_while_the_replaced_run_is_still_stopping_keeps_only_the_newest():
    bench = hourly("replace")
    bench.to("04:00")
    assert bench.rows("u") == ["01:00 running", "02:00 cancelled", "03:00 cancelled", "04:00 queued"]
    assert len(bench.stops) == 1
    bench.end("job:u:2026-03-02T01:00:00Z", 1, "cancelled")
    assert bench.rows("u")[-1] == "04:00 running"


def test_a_run_that_succeeded_before_the_signal_came_stays_a_success():
    bench = hourly("replace")
    bench.to("02:00")
    bench.finish("u")
    assert bench.rows("u") == ["01:00 success", "02:00 running"]
    assert bench.row("u", "01:00").stand_in is None


def test_allow_has_no_limit():
    bench = hourly("allow")
    bench.to("05:00")
    assert bench.started() == ["u"] * 5


def test_allow_queues_beyond_max_active_runs():
    bench = hourly("allow", max_active_runs=2)
    bench.to("03:00")
    assert bench.rows("u") == ["01:00 running", "02:00 running", "03:00 queued"]


def test_at_most_max_queued_runs_are_non_terminal_and_more_are_skipped_queue_full():
    bench = hourly("queue", max_queued=2)
    bench.to("05:00")
    assert bench.rows("u") == ["01:00 running", "02:00 queued", "03:00-05:00 skipped"]
    assert bench.row("u").reason == "queue full: 2 runs are not over yet"


def test_waiting_runs_count_towards_max_queued():
    bench = plan_of("slow at 0 1 * * *", job("u after slow at 0 * * * *", max_queued=2))
    bench.to("03:00")
    assert bench.rows("u") == ["01:00 waiting", "02:00 waiting", "03:00 skipped"]


def test_a_trigger_beyond_max_queued_is_refused():
    bench = plan_of(job("u", max_queued=1))
    bench.trigger("u")
    with pytest.raises(Refused, match="max_queued"):
        bench.trigger("u")


def test_an_upstream_whose_queue_is_full_is_skipped_in_a_trigger_with_upstream():
    bench = plan_of(job("u", max_queued=1), "d after u")
    bench.trigger("u")
    bench.trigger("d", with_upstream=True)
    assert bench.row("u").reason == "queue full: 1 run is not over yet"
    assert bench.state("d") == "skipped"


def test_manual_runs_are_never_skipped_by_overlap_they_queue():
    bench = hourly("skip")
    bench.to("01:30")
    bench.trigger("u")
    assert [row[6:] for row in bench.rows("u")] == ["running", "queued"]


def test_a_live_newcomer_queues_behind_a_manual_run_instead_of_being_skipped():
    bench = hourly("skip")
    bench.to("00:30")
    bench.trigger("u")
    bench.to("01:00")
    assert [row[6:] for row in bench.rows("u")] == ["running", "queued"]


def test_a_manual_run_is_never_replaced():
    bench = hourly("replace")
    bench.to("00:30")
    bench.trigger("u")
    bench.to("01:00")
    assert bench.stops == []
    assert [row[6:] for row in bench.rows("u")] == ["running", "queued"]


def test_a_manual_run_goes_before_a_live_one_that_has_not_started():
    bench = plan_of(job("u at 0 * * * *", pool="p"), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:30")
    tick = bench.trigger("u")
    bench.finish("v")
    assert bench.starts[-1] == (bench.row("u", tick).name, 1)
    assert bench.state("u", "01:00") == "queued"


def test_overlap_is_judged_before_attempt_1_alone():
    bench = hourly("skip", retry=3)
    bench.to("01:00")
    bench.fail("u")
    bench.to(timedelta(seconds=10))
    assert bench.starts[-1] == ("job:u:2026-03-02T01:00:00Z", 2)


def test_an_attempt_frees_its_overlap_only_when_it_has_ended():
    bench = hourly("queue")
    bench.to("02:00")
    bench.apply(events.CancelRequested(bench.now, bench.row("u", "01:00").name))
    assert bench.started() == ["u"]
    bench.end("job:u:2026-03-02T01:00:00Z", 1, "cancelled")
    assert bench.started() == ["u", "u"]


def test_never_more_runs_are_active_than_the_policy_says():
    for overlap, limit in (("skip", 1), ("queue", 2), ("replace", 1)):
        bench = plan_of(job("u", schedule=Schedule(every=timedelta(minutes=7)), overlap=overlap, max_active_runs=limit,
                            trigger_rule=TriggerRule.ALWAYS))  # fmt: skip
        for step in range(1, 60):
            bench.to(timedelta(minutes=3))
            assert len(bench.plan.running()) <= limit
            if step % 4 == 0 and bench.plan.running():
                bench.finish("u")
