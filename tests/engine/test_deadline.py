"""Deadlines: who was not over in time, told once."""

from __future__ import annotations

from datetime import timedelta

from tests.engine.bench_of_one import Bench, job, plan_of

HOUR = timedelta(hours=1)


def lates(bench: Bench) -> list[str]:
    """Return when and of which tick lateness was told."""
    return [f"{e.time:%H:%M} {e.tick:%H:%M} {e.reason}" for e in bench.log if e.type == "run.late" and e.tick]


def test_a_run_that_is_not_over_at_its_deadline_is_late_at_that_instant():
    bench = plan_of(job("a at 0 1 * * *", deadline=2 * HOUR))
    bench.to("01:30")
    assert bench.plan.wake_at() == bench.now.replace(hour=3, minute=0)
    bench.to("04:00")
    assert lates(bench) == ["03:00 01:00 running 2h after its tick"]
    assert bench.row("a").late
    bench.finish("a")
    assert (bench.state("a"), bench.row("a").late) == ("success", True)


def test_a_run_that_is_over_in_time_is_never_late():
    bench = plan_of(job("a at 0 1 * * *", deadline=2 * HOUR))
    bench.to("01:30")
    bench.finish("a")
    bench.to("05:00")
    assert (lates(bench), bench.row("a").late) == ([], False)


def test_a_run_that_waits_is_late_too():
    bench = plan_of("u at 0 1 * * *", job("a after u", deadline=HOUR))
    bench.to("02:00")
    assert lates(bench) == ["02:00 01:00 waiting 1h after its tick"]


def test_a_run_that_ends_at_the_very_deadline_is_in_time():
    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.to("01:30")
    bench.now = bench.now.replace(hour=2, minute=0)
    bench.finish("a")
    assert lates(bench) == []


def test_a_manual_tick_has_a_deadline_of_its_own():
    bench = plan_of(job("a", deadline=HOUR))
    bench.to("06:00")
    bench.trigger("a")
    bench.to("08:00")
    assert lates(bench) == ["07:00 06:00 running 1h after its tick"]


def test_lateness_is_told_once_over_restarts_and_edits():
    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.to("02:30")
    name = bench.row("a").name
    bench.restart(after=HOUR, living=[(name, 1)])
    bench.configure(job("a at 0 1 * * *", deadline=5 * HOUR))
    bench.to("09:00")
    assert len(lates(bench)) == 1
    assert bench.row("a").late


def test_a_deadline_that_passed_while_nobody_watched_is_told_at_the_start():
    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.to("01:00")
    bench.restart(after=3 * HOUR, living=[(bench.row("a").name, 1)])
    assert lates(bench) == ["04:00 01:00 running 1h after its tick"]


def test_a_caught_up_run_past_its_deadline_is_late_at_once():
    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.restart(after=8 * HOUR)
    assert lates(bench) == ["08:00 01:00 running 1h after its tick"]


def test_an_edit_moves_the_deadline_of_runs_that_are_not_over():
    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.to("01:30")
    bench.configure(job("a at 0 1 * * *", deadline=4 * HOUR))
    bench.to("04:59")
    assert lates(bench) == []
    bench.configure(job("a at 0 1 * * *", deadline=2 * HOUR))
    assert lates(bench) == ["04:59 01:00 running 2h after its tick"]


def test_a_deadline_that_an_edit_removes_is_not_told():
    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.to("01:30")
    bench.configure("a at 0 1 * * *")
    bench.to("05:00")
    assert lates(bench) == []


def test_a_run_that_is_left_out_is_never_late():
    bench = plan_of(job("a at 0 * * * *", deadline=timedelta(minutes=30), overlap="skip"))
    bench.to("03:00")
    assert lates(bench) == ["01:30 01:00 running 30m after its tick"]


def test_a_run_that_is_opened_again_past_its_deadline_is_late():
    from dagsched.engine import events

    bench = plan_of(job("a at 0 1 * * *", deadline=HOUR))
    bench.to("01:00")
    bench.fail("a")
    bench.to("05:00")
    bench.apply(events.RerunRequested(bench.now, bench.row("a").name))
    assert lates(bench) == ["05:00 01:00 running 1h after its tick"]
