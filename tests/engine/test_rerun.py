"""A person's rerun: what it grants, what it refuses, what else it re-opens, and how range rows are split."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Refused, Unknown
from dagsched.model import Catchup, TriggerRule, utc
from tests.engine.bench_of_one import copy_of, job, plan_of


def rerun(bench, id, tick=None, **fields):
    bench.apply(events.RerunRequested(bench.now, bench.row(id, tick).name, **fields))


def rerun_named(bench, name, **fields):
    bench.apply(events.RerunRequested(bench.now, name, **fields))


def test_rerun_continues_the_attempt_numbers_and_grants_max_attempts_more():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    bench.to("01:01")
    bench.fail("a")
    rerun(bench, "a")
    assert bench.row("a").attempt_limit == 4
    bench.fail("a")
    bench.to("01:02")
    assert [attempt for _, attempt in bench.starts] == [1, 2, 3, 4]


def test_rerun_is_refused_if_an_upstream_is_not_ok_and_names_it():
    bench = plan_of("a at 0 1 * * *", "b after a")
    bench.to("01:00")
    bench.fail("a")
    with pytest.raises(Refused, match=r"job:a:2026-03-02T01:00:00Z is failed; run that again first"):
        rerun(bench, "b")
    assert bench.state("b") == "upstream_failed"


def test_rerun_of_a_run_that_is_not_over_is_refused():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    with pytest.raises(Refused, match="is running"):
        rerun(bench, "a")


def test_rerun_of_what_never_was_is_unknown():
    bench = plan_of("a at 0 1 * * *")
    with pytest.raises(Unknown):
        rerun_named(bench, "job:a:2026-03-01T01:00:00Z")
    with pytest.raises(Refused, match="is no run name"):
        rerun_named(bench, "a")


def test_rerun_of_a_removed_job_is_refused():
    bench = plan_of("a at 0 1 * * *", "b")
    bench.to("01:00")
    bench.fail("a")
    bench.configure("b")
    with pytest.raises(Refused, match="no longer in the configuration"):
        rerun(bench, "a")


def test_rerun_reopens_transitively_what_the_failure_had_stopped():
    bench = plan_of("a at 0 1 * * *", "b after a", "c after b")
    bench.to("01:00")
    bench.fail("a")
    assert bench.states() == {"a": "failed", "b": "upstream_failed", "c": "upstream_failed"}
    rerun(bench, "a")
    bench.run_to_end()
    assert bench.states() == {"a": "success", "b": "success", "c": "success"}


def test_rerun_reopens_what_was_skipped_at_once_because_of_it():
    bench = plan_of(job("u at 0 1 * * *", trigger_rule=TriggerRule.ALL_FAILED), "d after u at 0 2 * * *")
    bench.apply(events.StartsHeld(bench.now, True))
    bench.to("01:00")
    bench.apply(events.CancelRequested(bench.now, bench.row("u").name))
    bench.to("02:00")
    assert bench.state("d") == "upstream_failed"
    bench.apply(events.StartsHeld(bench.now, False))
    rerun(bench, "u")
    bench.run_to_end()
    assert bench.state("d") == "success"


def test_a_scheduled_job_with_catchup_latest_reopens_only_its_newest_stopped_tick():
    bench = plan_of("u at 0 1 * * *", "d after u at 0 2,3,4 * * *")
    bench.to("01:00")
    bench.fail("u")
    bench.to("04:00")
    rerun(bench, "u")
    assert bench.rows("d") == ["02:00 upstream_failed", "03:00 upstream_failed", "04:00 waiting"]


def test_a_scheduled_job_with_catchup_all_reopens_each_stopped_tick():
    bench = plan_of("u at 0 1 * * *", job("d after u at 0 2,3,4 * * *", catchup=Catchup.ALL))
    bench.to("01:00")
    bench.fail("u")
    bench.to("04:00")
    rerun(bench, "u")
    assert [row[6:] for row in bench.rows("d")] == ["waiting"] * 3


@pytest.mark.parametrize(("catchup", "rows"), [
    ("latest", ["02:00-03:00 skipped", "04:00 waiting"]),
    ("all", ["02:00 waiting", "03:00 waiting", "04:00 waiting"]),
])  # fmt: skip
def test_ticks_that_one_row_left_out_because_of_an_upstream_are_reopened_one_by_one(catchup, rows):
    bench = plan_of("u at 0 1 * * *", job("d after u at 0 2,3,4 * * *", catchup=Catchup(catchup)))
    bench.apply(events.PauseRequested(bench.now, "u"))
    bench.to("04:00")
    bench.apply(events.ResumeRequested(bench.now, "u"))
    assert bench.rows("d") == ["02:00-04:00 skipped"]
    rerun(bench, "u")
    assert bench.rows("d") == rows
    bench.run_to_end()
    assert bench.state("d") == "success"


def test_a_run_skipped_by_its_own_overlap_is_not_reopened_with_its_upstream():
    bench = plan_of("u at 0 1 * * *", "d after u at 0 1,2 * * *")
    bench.to("01:00")
    bench.finish("u")
    bench.to("02:00")
    assert bench.rows("d") == ["01:00 running", "02:00 skipped"]
    bench.finish("d")
    rerun(bench, "u")
    assert bench.rows("d") == ["01:00 success", "02:00 skipped"]


def test_a_success_is_never_reopened_except_by_name():
    bench = plan_of("a at 0 1 * * *", "b after a")
    bench.to("01:00")
    bench.run_to_end()
    rerun(bench, "a")
    bench.run_to_end()
    assert bench.started() == ["a", "b", "a"]
    rerun(bench, "b")
    assert bench.started() == ["a", "b", "a", "b"]


def test_rerun_with_downstream_reopens_successes_too():
    bench = plan_of("a at 0 1 * * *", "b after a", "c after b")
    bench.to("01:00")
    bench.run_to_end()
    rerun(bench, "a", downstream=True)
    bench.run_to_end()
    assert bench.started() == ["a", "b", "c"] * 2


def test_a_queued_downstream_run_waits_again_for_a_reopened_upstream():
    bench = plan_of("a at 0 1 * * *", job("b after a", pool="p"), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    bench.finish("a")
    assert bench.state("b") == "queued"
    rerun(bench, "a")
    assert bench.state("b") == "waiting"
    bench.finish("v")
    assert "b" not in bench.started()
    bench.finish("a")
    assert bench.state("b") == "running"


def test_a_reopened_run_is_never_skipped_by_overlap_it_queues():
    bench = plan_of("a at 0 * * * *")
    bench.to("01:00")
    bench.fail("a")
    bench.to("02:00")
    rerun(bench, "a", "01:00")
    assert bench.rows("a") == ["01:00 queued", "02:00 running"]


def test_a_reopened_run_starts_under_the_definition_of_now():
    first = job("a at 0 1 * * *", run="old")
    bench = plan_of(first)
    bench.to("01:00")
    bench.fail("a")
    bench.configure(copy_of(first, run="new"))
    rerun(bench, "a")
    assert [command.job.run for command in bench.start_commands] == ["old", "new"]


# ---------------------------------------------------------------- range rows


def missed(**fields):
    bench = plan_of(job("a at 0 * * * *", catchup=Catchup.NONE, **fields))
    bench.sleep_to("05:30")
    assert bench.rows("a") == ["01:00-05:00 missed"]
    return bench


@pytest.mark.parametrize(
    ("hour", "rows"),
    [
        (1, ["01:00 running", "02:00-05:00 missed"]),
        (2, ["01:00 missed", "02:00 running", "03:00-05:00 missed"]),
        (3, ["01:00-02:00 missed", "03:00 running", "04:00-05:00 missed"]),
        (5, ["01:00-04:00 missed", "05:00 running"]),
    ],
)
def test_a_rerun_of_a_tick_inside_a_range_row_splits_the_row_in_the_same_commit(hour, rows):
    bench = missed()
    rerun_named(bench, f"job:a:2026-03-02T0{hour}:00:00Z")
    assert bench.rows("a") == rows


def test_each_part_of_a_split_row_has_one_event_at_its_first_tick():
    bench = missed()
    rerun_named(bench, "job:a:2026-03-02T03:00:00Z")
    firsts = [event.tick for event in bench.log if event.type == "run.missed"]
    assert firsts == [utc(2026, 3, 2, 1), utc(2026, 3, 2, 3), utc(2026, 3, 2, 4)]
    assert {run.tick for run in bench.kept.values()} == set(firsts)


def test_an_instant_inside_a_range_that_is_no_tick_cannot_be_run_again():
    bench = missed()
    with pytest.raises(Unknown):
        rerun_named(bench, "job:a:2026-03-02T03:30:00Z")


def test_a_tick_of_a_range_row_whose_schedule_has_changed_is_refused():
    bench = missed()
    bench.configure("a at 0 */3 * * *")
    with pytest.raises(Refused, match="schedule that has changed"):
        rerun_named(bench, "job:a:2026-03-02T03:00:00Z")


def test_a_row_goes_on_growing_after_it_was_split():
    bench = plan_of("a at 0 * * * *")
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("03:00")
    rerun_named(bench, "job:a:2026-03-02T01:00:00Z")
    bench.to("04:00")
    assert bench.rows("a")[1:] == ["02:00-04:00 skipped"]


def test_a_join_stays_with_its_tick_when_the_range_it_lies_in_is_split():
    bench = plan_of(job("u at 0 1,2,3 * * *"), "v at 0 12 * * *",
                    job("d after u v at 30 3 * * *", trigger_rule=TriggerRule.ALL_DONE))  # fmt: skip
    bench.apply(events.PauseRequested(bench.now, "u"))
    bench.to("03:30")
    assert bench.row("d").links[0].tick == utc(2026, 3, 2, 3)
    bench.apply(events.ResumeRequested(bench.now, "u"))
    rerun_named(bench, "job:u:2026-03-02T01:00:00Z")
    assert bench.row("d").links[0].tick == utc(2026, 3, 2, 3)


def test_a_rerun_inside_an_inherited_range_reopens_the_same_tick_below():
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup.NONE), "d after u")
    bench.sleep_to("04:30")
    rerun_named(bench, "job:u:2026-03-02T02:00:00Z")
    assert bench.rows("d") == ["01:00 missed", "02:00 waiting", "03:00-04:00 missed"]
    bench.run_to_end()
    assert bench.state("d", "02:00") == "success"


def test_several_ticks_inside_one_range_row_can_be_reopened_by_one_rerun():
    bench = plan_of("w at 0 0 * * *", job("u after w at 0 1,2,3 * * *", catchup=Catchup.ALL), "d after u")
    bench.apply(events.PauseRequested(bench.now, "w"))
    bench.to("2026-03-03T04:00:00Z")
    bench.apply(events.ResumeRequested(bench.now, "w"))
    rerun_named(bench, "job:w:2026-03-03T00:00:00Z")
    bench.run_to_end()
    day = [run for run in bench.kept.values() if run.job == "d" and run.tick.day == 3]
    assert [(run.tick.hour, str(run.state)) for run in sorted(day, key=lambda run: run.tick)] == [
        (1, "success"), (2, "success"), (3, "success"),
    ]  # fmt: skip


def test_rerun_takes_rows_that_have_left_memory():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    bench.fail("a")
    row = bench.row("a")
    bench.plan.book.ledger.remove(row.key)
    rerun_named(bench, row.name, rows=(row,))
    assert bench.starts[-1] == (row.name, 2)


def test_terminal_states_change_by_nothing_but_a_rerun():
    bench = plan_of("a at 0 1 * * *", "b after a")
    bench.to("01:00")
    bench.fail("a")
    before = dict(bench.kept)
    bench.restart(after=timedelta(hours=3))
    bench.configure("a at 0 1 * * *", "b after a", "c")
    bench.to("23:00")
    assert bench.kept == before
