"""The edit contract: what a reload does to jobs, ticks, and runs in every state."""

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.engine import events
from dagsched.graph import Graph
from dagsched.model import Dependency, Match, Schedule, TriggerRule, utc
from dagsched.triggers import trigger_of
from tests.engine.bench_of_one import copy_of, job, plan_of


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 90), min_size=1, max_size=20))
def test_an_unchanged_job_loses_and_doubles_no_tick(minutes):
    """However often and whenever another job is edited."""
    same = job("a", schedule=Schedule(every=timedelta(minutes=15)), overlap="allow")
    bench = plan_of(same, "b at 0 * * * *")
    for number, length in enumerate(minutes):
        bench.to(timedelta(minutes=length))
        bench.configure(same, f"b at {number} * * * *", *(["c"] if number % 2 else []))
    seen = sorted(run.tick for run in bench.kept.values() if run.job == "a")
    due = [utc(2026, 3, 2) + timedelta(minutes=15 * n) for n in range(1, sum(minutes) // 15 + 1)]
    assert seen == due


def test_a_changed_schedule_speaks_from_the_instant_of_the_swap_on():
    bench = plan_of(job("a at 0 * * * *", overlap="allow"))
    bench.to("01:40")
    bench.configure(job("a at 30 * * * *", overlap="allow"))
    bench.to("03:00")
    assert [row[:5] for row in bench.rows("a")] == ["01:00", "02:30"]


def test_ticks_before_the_swap_belong_to_the_old_schedule():
    bench = plan_of("a at 0 1 * * *")
    bench.now += timedelta(hours=1, seconds=10)
    bench.configure("a at 5 1 * * *")
    assert bench.rows("a") == ["01:00 running"]


def test_a_tick_at_the_instant_of_the_swap_belongs_to_the_old_schedule_alone():
    bench = plan_of(job("a at 0 * * * *", overlap="allow"))
    bench.now = utc(2026, 3, 2, 1)
    bench.configure(job("a at */30 * * * *", overlap="allow"))
    assert bench.rows("a") == ["01:00 running"]


def test_waiting_runs_take_the_new_definition():
    below = job("b after a")
    bench = plan_of("a at 0 1 * * *", below)
    bench.to("01:00")
    bench.configure("a at 0 1 * * *", copy_of(below, trigger_rule=TriggerRule.ALL_FAILED, run="new"))
    bench.fail("a")
    assert bench.start_commands[-1].job.run == "new"


def test_queued_runs_take_the_new_definition():
    first = job("a at 0 1 * * *", pool="p")
    bench = plan_of(first, job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    bench.configure(copy_of(first, pool=None, run="new"), job("v", pool="p"), pools={"p": 1})
    assert (bench.state("a"), bench.start_commands[-1].job.run) == ("running", "new")


def test_waiting_and_queued_runs_take_new_retries():
    bench = plan_of("a at 0 1 * * *", "b after a")
    bench.to("01:00")
    bench.configure("a at 0 1 * * *", job("b after a", retry=4))
    assert bench.row("b").attempt_limit == 4


def test_a_running_runs_attempts_stay_what_they_were():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.configure(job("a at 0 1 * * *", retry=9))
    assert bench.row("a").attempt_limit == 2


def test_a_queued_run_takes_a_new_jitter():
    first = job("a at 0 1 * * *", jitter=timedelta(minutes=30))
    bench = plan_of(first)
    bench.to("01:00")
    assert bench.state("a") == "queued"
    bench.configure(copy_of(first, jitter=timedelta(0)))
    assert bench.state("a") == "running"


def test_a_removed_edge_is_dropped_at_once():
    below = job("c after a b at 0 1 * * *")
    bench = plan_of("a at 0 1 * * *", "b at 0 1 * * *", below)
    bench.to("01:00")
    bench.finish("a")
    bench.configure("a at 0 1 * * *", "b at 0 1 * * *", copy_of(below, depends_on=(Dependency("a"),)))
    assert bench.state("c") == "running"


def test_an_added_edge_binds_waiting_runs_if_that_upstream_has_a_tick_up_to_theirs():
    below = job("c after a at 0 1 * * *")
    bench = plan_of("a at 0 1 * * *", "b at 0 1 * * *", below)
    bench.to("01:00")
    edges = (Dependency("a"), Dependency("b"))
    bench.configure("a at 0 1 * * *", "b at 0 1 * * *", copy_of(below, depends_on=edges))
    bench.finish("a")
    assert bench.state("c") == "waiting"
    bench.finish("b")
    assert bench.state("c") == "running"


def test_an_added_edge_binds_no_waiting_run_if_that_upstream_has_no_tick_up_to_theirs():
    below = job("c after a at 0 1 * * *")
    bench = plan_of("a at 0 1 * * *", below)
    bench.to("01:00")
    bench.configure("a at 0 1 * * *", "b at 0 5 * * *", copy_of(below, depends_on=(Dependency("a"), Dependency("b"))))
    bench.finish("a")
    assert bench.state("c") == "running"


def test_an_added_edge_binds_no_queued_run():
    below = job("c at 0 1 * * *", pool="p")
    bench = plan_of("b at 0 1 * * *", below, job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    bench.configure("b at 0 1 * * *", copy_of(below, depends_on=(Dependency("b"),)), job("v", pool="p"),
                    pools={"p": 1})  # fmt: skip
    bench.finish("v")
    assert bench.state("c") == "running"


def test_a_queued_run_keeps_the_outputs_of_an_edge_whose_match_changed():
    below = job("c after b at 0 1 * * *", pool="p")
    bench = plan_of("b at 0 1 * * *", below, job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    bench.finish("b", outputs={"rows": "3"})
    edited = copy_of(below, depends_on=(Dependency("b", Match.SAME),))
    bench.configure("b at 0 1 * * *", edited, job("v", pool="p"), pools={"p": 1})
    bench.finish("v")
    assert bench.start_commands[-1].outputs == {"b": {"rows": "3"}}


@pytest.mark.parametrize("state", ["waiting", "queued", "retrying"])
def test_a_removed_jobs_runs_are_cancelled_job_removed(state):
    bench = plan_of("u at 0 1 * * *", job("a after u", pool="p", retry=2), job("v", pool="p"), pools={"p": 1})
    if state == "queued":
        bench.trigger("v")
    bench.to("01:00")
    if state != "waiting":
        bench.finish("u")
    if state == "retrying":
        bench.fail("a")
    assert bench.state("a") == state
    bench.configure("u at 0 1 * * *", job("v", pool="p"), pools={"p": 1})
    assert (bench.state("a"), bench.row("a").reason) == ("cancelled", "job removed")
    bench.to("02:00")
    assert bench.started().count("a") == (state == "retrying")


@pytest.mark.parametrize(("outcome", "state"), [("success", "success"), ("failed", "failed")])
def test_a_removed_jobs_running_attempt_finishes_and_gets_no_retry(outcome, state):
    bench = plan_of(job("a at 0 1 * * *", retry=3), "z")
    bench.to("01:00")
    bench.configure("z")
    assert (bench.state("a"), bench.stops) == ("running", [])
    bench.finish("a", outcome, exit_code=0 if outcome == "success" else 1)
    bench.to("02:00")
    assert (bench.state("a"), len(bench.starts)) == (state, 1)


def test_a_job_removed_and_added_again_while_its_attempt_runs_goes_on_as_if_never_removed():
    bench = plan_of(job("a at 0 * * * *", retry=2), "z")
    bench.to("01:00")
    bench.configure("z")
    bench.configure(job("a at 0 * * * *", retry=2), "z")
    bench.to("02:00")
    assert bench.rows("a") == ["01:00 running", "02:00 skipped"]
    bench.fail("a")
    bench.to("02:01")
    assert bench.starts[-1][1] == 2


def test_ticks_while_a_job_was_removed_are_none_of_its_own():
    bench = plan_of("a at 0 * * * *", "z")
    bench.to("01:00")
    bench.run_to_end()
    bench.configure("z")
    bench.to("03:30")
    bench.configure("a at 0 * * * *", "z")
    bench.to("04:00")
    assert bench.rows("a") == ["01:00 success", "04:00 running"]


def test_an_added_job_owes_no_tick_from_before_it_was_added():
    bench = plan_of("z", now=utc(2026, 3, 2, 5))
    bench.configure("z", "a at 0 * * * *")
    bench.to("06:00")
    assert bench.rows("a") == ["06:00 running"]


def test_an_edit_is_one_event_with_its_diff():
    bench = plan_of("a", "b", "c")
    bench.configure("a", job("b", run="new"), "d")
    (applied,) = [event for event in bench.log if event.type == "config.applied"][1:]
    assert applied.detail == {"number": 2, "added": ["d"], "changed": ["b"], "removed": ["c"]}


def test_an_edit_of_very_many_jobs_says_how_many_it_does_not_name(monkeypatch):
    monkeypatch.setattr("dagsched.engine.swap.NAMED_MAX", 2)
    bench = plan_of("a")
    bench.configure("b", "c", "d", "e")
    (applied,) = [event for event in bench.log if event.type == "config.applied"][1:]
    assert (len(applied.detail["added"]), applied.detail["removed"]) == (2, ["a"])
    assert applied.detail["truncated"] == {"added": 2}


def test_an_edit_of_hundreds_of_jobs_names_them_all():
    bench = plan_of("a")
    bench.configure(*(f"j{number}" for number in range(300)))
    (applied,) = [event for event in bench.log if event.type == "config.applied"][1:]
    assert (len(applied.detail["added"]), "truncated" in applied.detail) == (300, False)


def test_moving_a_job_inside_its_file_changes_nothing():
    from dagsched.model import Position

    first = job("a", position=Position("f", 1))
    bench = plan_of(first)
    bench.configure(copy_of(first, position=Position("f", 9)))
    assert bench.log[-1].reason == "configuration 2: nothing changed"


def test_a_retrying_run_goes_on_over_a_reload():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    bench.configure(job("a at 0 1 * * *", retry=2), "b")
    bench.to("01:01")
    assert bench.starts[-1][1] == 2


def test_runs_in_the_line_of_a_pool_keep_their_order_over_a_reload():
    jobs = [job(f"j{n} at {n} 1 * * *", pool="p") for n in range(1, 4)]
    bench = plan_of(*jobs, job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:10")
    bench.configure(*reversed(jobs), job("v", pool="p"), pools={"p": 1})
    bench.run_to_end()
    assert bench.started() == ["v", "j1", "j2", "j3"]


def test_a_disabled_jobs_queued_run_goes_on():
    first = job("a at 0 1 * * *", pool="p")
    bench = plan_of(first, job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    bench.configure(copy_of(first, enabled=False), job("v", pool="p"), pools={"p": 1})
    bench.finish("v")
    assert bench.state("a") == "running"


def test_the_same_configuration_again_is_no_new_version():
    bench = plan_of("a at 0 1 * * *")
    lines = len(bench.log)
    bench.apply(events.ConfigApplied(bench.now, _config(bench), bench.number))
    assert len(bench.log) == lines


def _config(bench):
    from dagsched.model import Config

    return Config(bench.plan.book.jobs, digest=str(bench.number))


CRONS = st.sampled_from(["0 * * * *", "30 2 * * *", "*/20 * * * *"])
VERSIONS = st.lists(
    st.dictionaries(
        st.sampled_from("abcd"), st.tuples(st.none() | CRONS, st.sets(st.sampled_from("abcd")), st.booleans())
    ),
    min_size=2,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(VERSIONS, st.lists(st.integers(1, 200), min_size=5, max_size=5))
def test_after_any_edits_the_plan_stands_where_one_made_anew_would(versions, minutes):
    bench, known = plan_of(), {}
    for version, length in zip(versions, minutes, strict=False):
        # As after a reload: a job of a file that did not change is the very same.
        made = {}
        for id, (cron, above, is_counted) in sorted(version.items()):
            schedule = None if cron is None else Schedule(cron=(cron,), max_runs=2 if is_counted else None)
            edges = tuple(Dependency(name) for name in sorted(above) if name in version and name < id)
            one = job(id, schedule=schedule, depends_on=edges)
            made[id] = known[id] if known.get(id) == one else one
        known = made
        bench.configure(*made.values())
        bench.to(timedelta(minutes=length))
        book = bench.plan.book
        assert book.graph.order == Graph(book.jobs).order
        for each in made.values():
            if each.schedule is not None and each.schedule.max_runs is None:
                due = trigger_of(each.schedule).next(book.marks[each.id].cursor)
                assert bench.plan.ticks.next_of(each.id) == due
        assert bench.plan.wake_at() == min(filter(None, map(bench.plan.ticks.next_of, made)), default=None)


def test_many_edits_of_one_job_leave_nothing_behind():
    bench = plan_of("a at 0 0 1 1 *")
    for number in range(3000):
        bench.configure(f"a at {number % 60} 0 1 1 *")
    assert len(bench.plan.ticks._heap) < 1200
