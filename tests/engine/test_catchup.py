"""What becomes of ticks that nobody saw in time."""

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.model import Catchup, RunState, Schedule, utc
from tests.engine.bench_of_one import START, job, plan_of


def after_downtime(catchup, until="05:30", **fields):
    """Hourly `u`, nobody watching from 00:00 until then."""
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup(catchup), **fields))
    bench.sleep_to(until)
    return bench


def test_none_leaves_missed_ticks_out_as_down_from_to():
    bench = after_downtime("none")
    assert bench.rows("u") == ["01:00-05:00 missed"]
    assert bench.reasons("u") == ["down from 2026-03-02T00:00:00Z to 2026-03-02T05:30:00Z"]


def test_none_still_runs_the_tick_that_is_on_time():
    assert after_downtime("none", "05:00").rows("u") == ["01:00-04:00 missed", "05:00 running"]


def test_latest_runs_the_newest_missed_tick_and_coalesces_the_others_into_it():
    bench = after_downtime("latest")
    assert bench.rows("u") == ["01:00-04:00 missed", "05:00 running"]
    assert bench.reasons("u")[0] == "coalesced into 2026-03-02T05:00:00Z"
    assert bench.row("u", "02:00").stand_in == utc(2026, 3, 2, 5)


def test_latest_makes_one_run_and_not_two_when_the_newest_tick_is_on_time():
    bench = after_downtime("latest", "05:00")
    assert bench.rows("u") == ["01:00-04:00 missed", "05:00 running"]
    assert (bench.row("u").origin, bench.row("u").patient) == ("schedule", False)


def test_latest_has_no_age_limit():
    bench = plan_of("u at 0 1 1 * *")
    bench.sleep_to(utc(2026, 4, 20))
    assert bench.state("u") == "running"


def test_latest_leaves_out_what_is_older_than_a_given_catchup_window():
    bench = after_downtime("latest", catchup_window=timedelta(minutes=20))
    assert bench.rows("u") == ["01:00-05:00 missed"]
    assert bench.reasons("u")[0].startswith("too old")


def test_all_runs_each_missed_tick_oldest_first():
    bench = after_downtime("all")
    bench.run_to_end()
    assert [name[-9:] for name, _ in bench.starts] == [f"0{n}:00:00Z" for n in (1, 2, 3, 4, 5)]


def test_all_leaves_out_what_is_older_than_its_window():
    bench = after_downtime("all", catchup_window=timedelta(hours=2))
    assert bench.rows("u") == ["01:00-03:00 missed", "04:00 running", "05:00 queued"]


def test_all_is_bounded_by_max_queued():
    bench = after_downtime("all", max_queued=2)
    assert bench.rows("u") == ["01:00 running", "02:00 queued", "03:00-05:00 skipped"]
    assert bench.reasons("u")[-1] == "queue full: 2 runs are not over yet"


def test_caught_up_runs_are_never_skipped_by_overlap_they_queue():
    bench = after_downtime("all")
    assert [row[6:] for row in bench.rows("u")] == ["running", *["queued"] * 4]


def test_live_ticks_queue_behind_caught_up_ones():
    bench = after_downtime("all", "03:30")
    bench.to("04:00")
    assert bench.rows("u")[-1] == "04:00 queued"
    bench.run_to_end()
    assert [name[-9:-4] for name, _ in bench.starts] == ["01:00", "02:00", "03:00", "04:00"]


def test_the_same_ticks_are_decided_when_the_daemon_was_down():
    bench = plan_of("u at 0 * * * *")
    bench.restart(after=timedelta(hours=5, minutes=30))
    assert bench.rows("u") == ["01:00-04:00 missed", "05:00 running"]


def test_a_tick_missed_while_down_is_decided_by_the_new_catch_up():
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup.NONE))
    bench.restart(job("u at 0 * * * *", catchup=Catchup.ALL), after=timedelta(hours=2, minutes=30))
    assert bench.rows("u") == ["01:00 running", "02:00 queued"]


def test_a_missed_tick_that_the_new_schedule_no_longer_has_is_missed_schedule_changed():
    bench = plan_of("u at 0 * * * *")
    bench.restart("u at 0 */2 * * *", after=timedelta(hours=3, minutes=30))
    assert bench.rows("u") == ["01:00 missed", "02:00 running", "03:00 missed"]
    assert bench.reasons("u") == ["schedule changed", "", "schedule changed"]


def test_missed_ticks_of_a_job_that_was_removed_while_down_are_missed_job_removed():
    bench = plan_of("u at 0 * * * *", "v")
    bench.restart("v", after=timedelta(hours=3, minutes=30))
    assert bench.rows("u") == ["01:00-03:00 missed"]
    assert bench.reasons("u") == ["job removed"]


def test_ticks_while_paused_are_not_caught_up_after_downtime():
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup.ALL))
    bench.to("00:30")
    bench.apply(events.PauseRequested(bench.now, "u"))
    bench.restart(after=timedelta(hours=3))
    assert bench.rows("u") == ["01:00-03:00 skipped"]


def test_a_range_row_goes_on_over_later_downtimes_only_for_the_same_reason():
    bench = plan_of(job("u at 0 * * * *", catchup=Catchup.NONE))
    bench.restart(after=timedelta(hours=2, minutes=30))
    bench.restart(after=timedelta(hours=2))
    assert bench.rows("u") == ["01:00-02:00 missed", "03:00-04:00 missed"]


@pytest.mark.parametrize("catchup", ["none", "latest"])
def test_a_year_of_missed_seconds_is_one_row_for_a_job_and_for_what_hangs_on_it_alone(catchup):
    b = plan_of(job("a", schedule=Schedule(every=timedelta(seconds=1)), catchup=Catchup(catchup)), "b after a")
    b.to(START + timedelta(seconds=1))
    b.run_to_end()
    b.sleep_to(START + timedelta(days=365))
    missed = [run for run in b.kept.values() if run.state is RunState.MISSED]
    assert [(run.job, run.tick, run.until) for run in missed] == [
        (id, START + timedelta(seconds=2), START + timedelta(days=365, seconds=-1)) for id in ("a", "b")
    ]
    assert b.state("a", START + timedelta(days=365)) == "running"


def test_ranges_are_told_tick_by_tick_where_another_schedule_falls_between():
    b = plan_of("a at * * * * *", "c at */2 * * * *", "b after a c")
    b.sleep_to("00:03")
    assert b.rows("a") == ["00:01-00:02 missed", "00:03 running"]
    assert b.rows("b") == ["00:01 missed", "00:02 skipped", "00:03 waiting"]
