"""Which upstream runs a run is judged against: latest, same, all, stand-ins, inheritance, never-ticked upstreams."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.model import Catchup, Overlap, Schedule, TriggerRule, utc
from tests.engine.bench_of_one import copy_of, job, plan_of


def hour(value: int, minute: int = 0, day: int = 2):
    return utc(2026, 3, day, value, minute)


def links(bench, id, tick=None):
    """The (job, hour) pairs a run is linked to."""
    return [(link.job, link.tick.hour if link.tick else None) for link in bench.row(id, tick).links]


# ---------------------------------------------------------------- whose ticks


def test_a_scheduled_job_has_its_own_ticks_alone():
    bench = plan_of("a at 0 * * * *", "b after a at 0 12 * * *")
    bench.to("03:00")
    assert bench.rows("b") == []


def test_an_unscheduled_job_has_the_union_of_its_upstreams_ticks():
    bench = plan_of("a at 0 1 * * *", "b at 0 1,2 * * *", "c after a b")
    bench.to("02:00")
    assert [row[:5] for row in bench.rows("c")] == ["01:00", "02:00"]


def test_ticks_reach_through_a_chain_of_unscheduled_jobs():
    bench = plan_of("a at 0 1 * * *", "b after a", "c after b")
    bench.to("01:00")
    bench.run_to_end()
    assert bench.states() == {"a": "success", "b": "success", "c": "success"}
    assert {run.tick for run in bench.kept.values()} == {hour(1)}


def test_an_upstreams_tick_by_a_person_is_a_tick_of_an_unscheduled_job_too():
    bench = plan_of("a at 0 1 * * *", "b after a")
    tick = bench.trigger("a")
    assert bench.row("b").tick == tick


def test_ticks_of_an_upstream_are_those_in_its_ledger_never_computed_from_before_it_was_loaded():
    bench = plan_of("a at 0 1 * * *", now=hour(3))
    bench.configure("a at 0 1 * * *", "b after a at 0 4 * * *")
    bench.to("04:00")
    assert links(bench, "b") == [("a", None)]


# ---------------------------------------------------------------- latest


def test_latest_waits_for_this_mornings_refresh_and_not_for_yesterdays():
    bench = plan_of("refresh at 0 2 * * *", "report after refresh at 0 9 * * *", now=hour(0, day=1))
    bench.to("2026-03-01T09:00:00Z")
    bench.run_to_end()
    bench.to("2026-03-02T09:00:00Z")
    assert bench.state("report") == "waiting"
    bench.finish("refresh")
    assert bench.state("report") == "running"


def test_latest_takes_the_upstreams_newest_tick_up_to_its_own():
    bench = plan_of(job("u at 0 * * * *", overlap="allow"), "d after u at 30 2 * * *")
    bench.to("02:30")
    assert links(bench, "d") == [("u", 2)]


def test_latest_takes_an_upstream_tick_at_exactly_its_own():
    bench = plan_of("u at 0 2 * * *", "d after u at 0 2 * * *")
    bench.to("02:00")
    assert links(bench, "d") == [("u", 2)]


def test_an_hourly_job_below_a_weekly_one_goes_on_using_mondays_success():
    bench = plan_of("weekly at 0 1 * * mon", job("hourly after weekly at 30 * * * *", overlap="allow"))
    bench.to("01:00")
    bench.finish("weekly")
    for when in (hour(1, 30), hour(5, 30), hour(23, 30, day=4)):
        bench.to(when)
        bench.run_to_end()
    assert bench.state("hourly") == "success"
    assert bench.row("hourly").links[0].tick == hour(1)


def test_latest_sees_manual_runs_like_any_other():
    bench = plan_of("u at 0 1 * * *", "d after u at 0 3 * * *")
    bench.to("01:00")
    bench.run_to_end()
    bench.to("02:00")
    tick = bench.trigger("u")
    bench.to("03:00")
    assert bench.row("d").links[0].tick == tick


def test_a_match_is_fixed_when_the_run_is_made():
    bench = plan_of("u at 0 1 * * *", "d after u at 0 2 * * *")
    bench.to("02:00")
    bench.trigger("u")
    assert bench.row("d").links[0].tick == hour(1)


# ---------------------------------------------------------------- same


def test_same_takes_the_upstreams_tick_at_exactly_its_own():
    bench = plan_of("u at 0 * * * *", "d after u:same at 0 */2 * * *")
    bench.to("02:00")
    assert links(bench, "d") == [("u", 2)]


def test_same_without_a_tick_there_is_skipped_at_once():
    bench = plan_of("u at 0 * * * *", "d after u:same at 30 2 * * *")
    bench.to("02:30")
    assert bench.rows("d") == ["02:30 skipped"]
    assert bench.reasons("d") == ["upstream u has no tick at this one"]


def test_same_without_a_tick_there_counts_as_left_out_for_the_trigger_rule():
    bench = plan_of("u at 0 * * * *", job("d after u:same at 30 2 * * *", trigger_rule=TriggerRule.ALL_DONE))
    bench.to("02:30")
    assert bench.state("d") == "running"


def test_same_does_not_see_manual_runs():
    bench = plan_of("u", "d after u:same at 30 2 * * *", now=hour(2, 29))
    bench.trigger("u")
    bench.to("02:30")
    assert bench.reasons("d") == ["upstream u has no tick at this one"]


def test_same_at_a_manual_tick_sees_that_tick_itself():
    bench = plan_of("u at 0 1 * * *", "d after u:same at 0 1 * * *")
    tick = bench.trigger("d", with_upstream=True)
    assert bench.row("d").links[0].tick == tick
    bench.run_to_end()
    assert bench.state("d") == "success"


def test_same_at_a_manual_tick_that_the_upstream_has_not_is_skipped():
    bench = plan_of("u at 0 1 * * *", "d after u:same at 0 1 * * *")
    bench.trigger("d")
    assert bench.state("d") == "skipped"


# ---------------------------------------------------------------- all


def test_all_makes_a_daily_job_wait_for_its_24_hourly_ticks():
    bench = plan_of(job("hourly at 0 * * * *", overlap="queue"), "daily after hourly:all at 0 0 * * *")
    bench.to(hour(0, day=3))
    bench.run_to_end()
    for step in range(1, 25):
        bench.to(hour(0, day=3) + timedelta(hours=step))
        if step < 24:
            bench.run_to_end()
    run = bench.row("daily", hour(0, day=4))
    assert [link.tick for link in run.links] == [hour(0, day=3) + timedelta(hours=n) for n in range(1, 25)]
    assert run.state == "waiting"
    bench.run_to_end()
    assert bench.state("daily") == "success"


def test_all_is_upstream_failed_as_soon_as_one_of_them_failed():
    bench = plan_of(job("u at 0 * * * *", overlap="allow"), "d after u:all at 0 */3 * * *")
    bench.to("03:00")
    bench.fail("u")
    assert bench.state("d") == "upstream_failed"
    assert len(bench.plan.running()) == 2


def test_the_window_of_all_opens_at_the_previous_schedule_tick_whatever_became_of_that():
    bench = plan_of(job("u at 0 * * * *", overlap="allow"), "d after u:all at 0 */2 * * *")
    bench.to("01:00")
    bench.apply(events.PauseRequested(bench.now, "d"))
    bench.to("02:00")
    bench.apply(events.ResumeRequested(bench.now, "d"))
    bench.to("04:00")
    assert bench.state("d", "02:00") == "skipped"
    assert links(bench, "d", "04:00") == [("u", 3), ("u", 4)]


def test_manual_ticks_move_no_window_of_all():
    bench = plan_of(job("u at 0 * * * *", overlap="allow"), job("d after u:all at 0 */2 * * *", overlap="queue"))
    bench.to("02:00")
    bench.to("03:30")
    bench.trigger("d")
    bench.to("04:00")
    assert links(bench, "d", "04:00") == [("u", 3), ("u", 4)]


def test_all_at_a_manual_tick_sees_the_schedule_ticks_since_and_that_tick_itself():
    bench = plan_of(job("u at 0 * * * *", overlap="allow"), job("d after u:all at 0 */2 * * *", overlap="queue"))
    bench.to("03:30")
    bench.trigger("u")
    tick = bench.trigger("d", with_upstream=True)
    assert [link.tick for link in bench.row("d", tick).links] == [hour(3), tick]


def test_an_empty_window_of_all_is_satisfied():
    bench = plan_of("u at 0 5 * * *", "d after u:all at 0 2 * * *")
    bench.to("02:00")
    assert bench.state("d") == "running"


def test_a_tick_left_out_inside_the_window_skips_the_run():
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup.NONE), "d after u:all at 0 4 * * *")
    bench.sleep_to("03:00")
    bench.run_to_end()
    bench.to("04:00")
    bench.run_to_end()
    assert bench.rows("u") == ["01:00-02:00 missed", "03:00 success", "04:00 success"]
    assert (bench.state("d"), bench.row("d").reason) == ("skipped", "upstream u missed")


def test_the_window_of_all_is_whole_after_hundreds_of_ticks():
    bench = plan_of(job("u", schedule=Schedule(every=timedelta(minutes=1))), "d after u:all at 0 */12 * * *")
    while bench.now < hour(12):
        bench.to(timedelta(minutes=1))
        if bench.now != hour(12):
            bench.run_to_end()
    assert len(bench.row("d").links) == 720
    bench.run_to_end()
    assert bench.state("d") == "success"
    assert len(list(bench.plan.book.ledger.between("u", None, bench.now))) <= 721


# ---------------------------------------------------------------- unscheduled jobs


def test_an_unscheduled_job_matches_a_tick_exactly_at_its_own_whatever_became_of_it():
    bench = plan_of("u at 0 * * * *", "d after u")
    bench.to("01:00")
    bench.to("02:00")  # left out by overlap: 01:00 still runs
    assert bench.rows("d") == ["01:00 waiting", "02:00 skipped"]
    assert bench.row("d", "02:00").reason == "upstream u skipped"


def test_an_unscheduled_job_matches_the_others_by_latest():
    bench = plan_of("a at 0 1 * * *", "b at 0 2 * * *", "c after a b")
    bench.to("01:00")
    bench.run_to_end()
    bench.to("02:00")
    assert links(bench, "c", "02:00") == [("a", 1), ("b", 2)]


@pytest.mark.parametrize("cause", ["paused", "disabled", "missed"])
def test_an_unscheduled_job_inherits_what_its_upstreams_left_out_range_included(cause):
    upstream = job("u at 0 * * * *", enabled=cause != "disabled", catchup=Catchup.NONE)
    bench = plan_of(upstream, job("d after u", trigger_rule=TriggerRule.ALWAYS))
    if cause == "paused":
        bench.apply(events.PauseRequested(bench.now, "u"))
    (bench.sleep_to if cause == "missed" else bench.to)(hour(3, 30))
    assert bench.rows("d") == bench.rows("u") == [f"01:00-03:00 {'missed' if cause == 'missed' else 'skipped'}"]
    assert bench.reasons("d") == bench.reasons("u")


def test_an_unscheduled_job_inherits_only_if_every_upstream_of_that_tick_left_it_out():
    bench = plan_of("a at 0 * * * *", "b at 0 * * * *", job("c after a b", trigger_rule=TriggerRule.ONE_SUCCESS))
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("01:00")
    bench.run_to_end()
    assert (bench.state("a"), bench.state("c")) == ("skipped", "success")


def test_an_unscheduled_job_has_no_catch_up_of_its_own():
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup.LATEST), job("d after u", catchup=Catchup.ALL))
    bench.sleep_to(hour(4, 30))
    bench.run_to_end()
    assert bench.rows("d") == ["01:00-03:00 missed", "04:00 success"]


# ---------------------------------------------------------------- stand-ins


def test_a_tick_left_out_by_overlap_points_to_the_run_that_stands_in_for_it():
    bench = plan_of("u at 0 * * * *", "d after u at 30 2 * * *")
    bench.to("02:30")
    assert bench.rows("u") == ["01:00 running", "02:00 skipped"]
    assert (links(bench, "d"), bench.state("d")) == ([("u", 2)], "waiting")
    bench.finish("u")
    assert bench.state("d") == "running"


def test_a_replaced_run_points_to_the_one_that_replaced_it():
    bench = plan_of(job("u at 0 * * * *", overlap=Overlap.REPLACE), "d after u at 30 1 * * *")
    bench.to("01:30")
    bench.to("02:00")
    bench.end(bench.row("u", "01:00").name, 1, "cancelled")
    assert (bench.state("u", "01:00"), bench.state("d")) == ("cancelled", "waiting")
    bench.finish("u")
    assert bench.state("d") == "running"


def test_a_chain_of_replaced_runs_leads_to_the_last_one():
    bench = plan_of(job("u at 0 * * * *", overlap=Overlap.REPLACE), "d after u at 30 1 * * *")
    for when in ("01:00", "01:30", "02:00", "03:00", "04:00"):
        bench.to(when)
    bench.end(bench.row("u", "01:00").name, 1, "cancelled")
    assert bench.rows("u") == ["01:00 cancelled", "02:00 cancelled", "03:00 cancelled", "04:00 running"]
    bench.finish("u")
    assert bench.state("d") == "running"


def test_a_coalesced_tick_points_to_the_tick_it_was_coalesced_into():
    bench = plan_of("u at 0 1,3 * * *", "d after u at 0 2 * * *")
    bench.sleep_to("03:30")
    assert (bench.rows("u"), bench.state("d")) == (["01:00 missed", "03:00 running"], "waiting")
    bench.finish("u")
    assert bench.state("d") == "running"


def test_a_stand_in_that_failed_fails_those_it_stands_in_for():
    bench = plan_of("u at 0 * * * *", "d after u at 30 2 * * *")
    bench.to("02:30")
    bench.fail("u")
    assert bench.state("d") == "upstream_failed"


@pytest.mark.parametrize("cause", ["paused", "disabled"])
def test_a_tick_left_out_for_any_other_reason_counts_as_skipped_never_as_yesterdays_success(cause):
    first = job("u at 0 1 * * *")
    bench = plan_of(first, "d after u at 0 2 * * *")
    bench.to("02:00")
    bench.run_to_end()
    if cause == "paused":
        bench.apply(events.PauseRequested(bench.now, "u"))
    else:
        bench.configure(copy_of(first, enabled=False), "d after u at 0 2 * * *")
    bench.to(hour(2, day=3))
    assert (bench.state("d"), bench.row("d").reason) == ("skipped", "upstream u skipped")


def test_a_stand_in_stays_known_after_hundreds_of_ticks():
    bench = plan_of(job("u", schedule=Schedule(every=timedelta(minutes=1))), "d after u at 30 2 * * *")
    for _ in range(140):  # many rows end before ...
        bench.to(timedelta(minutes=1))
        bench.run_to_end()
    bench.to(hour(2, 30))  # ... one run goes on for ten minutes, and is stood in for by itself
    assert bench.state("d") == "waiting"
    bench.finish("u")
    assert bench.state("d") == "running"


def test_a_row_that_stands_in_for_the_newest_one_is_never_forgotten():
    bench = plan_of(job("u at * * * * *", overlap="skip", retry=1), "d after u at 10 2 * * *")
    for _ in range(80):
        bench.to(timedelta(minutes=1))
        bench.run_to_end()
    bench.to(timedelta(minutes=1))
    bench.to(timedelta(minutes=1))  # left out: the one before still runs
    bench.run_to_end()
    ledger = bench.plan.book.ledger
    ledger.forget("u", before=None, keep=())
    newest = ledger.newest("u")
    assert newest.stand_in is not None
    assert ledger.covering("u", newest.stand_in).state == "success"


# ---------------------------------------------------------------- never-ticked upstreams


def test_a_run_waits_for_an_upstream_that_has_never_had_a_tick():
    bench = plan_of("u at 0 12 * * *", "d after u at 0 9 * * *")
    bench.to("11:00")
    assert (links(bench, "d"), bench.state("d")) == ([("u", None)], "waiting")


def test_such_a_run_is_superseded_when_the_jobs_next_tick_arrives():
    bench = plan_of("u at 0 12 4 * *", "d after u at 0 9 * * *")
    bench.to("09:00")
    bench.to(hour(9, day=3))
    assert bench.rows("d") == ["09:00 skipped", "09:00 waiting"]
    assert bench.reasons("d")[0] == "superseded: u has never had a tick"


@pytest.mark.parametrize("cause", ["paused", "disabled"])
def test_such_a_run_is_superseded_by_a_tick_that_is_left_out_too(cause):
    below = job("d after u at 0 9 * * *")
    bench = plan_of("u at 0 12 4 * *", below)
    bench.to("10:00")
    if cause == "paused":
        bench.apply(events.PauseRequested(bench.now, "d"))
    else:
        bench.configure("u at 0 12 4 * *", copy_of(below, enabled=False))
    bench.to(hour(9, day=3))
    assert bench.live() == []


def test_superseded_ticks_of_one_catch_up_share_a_row():
    bench = plan_of("u at 0 12 9 * *", job("d after u at 0 * * * *", catchup=Catchup.ALL))
    bench.sleep_to("06:30")
    assert bench.rows("d") == ["01:00-05:00 skipped", "06:00 waiting"]


def test_a_run_that_no_schedule_can_ever_supersede_is_skipped_at_once():
    bench = plan_of("u", "d after u")
    bench.trigger("d")
    assert bench.reasons("d") == ["u has never had a tick, and no schedule will make one"]


def test_a_one_time_job_does_not_wait_for_ever_for_an_upstream_whose_first_tick_comes_later():
    bench = plan_of("u at 0 12 * * *", job("d after u", schedule=Schedule(at=hour(9))))
    bench.to("09:00")
    assert bench.live() == []
    assert bench.state("d") == "skipped"


def test_the_first_window_of_all_opens_at_the_tick_the_schedule_would_have_had_before():
    bench = plan_of("hourly at 0 * * * *")
    for hour in range(72):
        if hour == 60:
            bench.configure("hourly at 0 * * * *", "daily after hourly:all at 0 0 * * *")
        bench.to(timedelta(hours=1))
        bench.run_to_end()
    assert bench.row("daily").tick == utc(2026, 3, 5)
    # Counted is this day, and not what went before: the 3rd of March is nobody's business here.
    assert {link.tick.day for link in bench.row("daily").links} == {4, 5}
