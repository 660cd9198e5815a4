"""How a team tests its jobs: run it with `pytest` in this folder, with dagsched installed beside pytest."""

import pytest


@pytest.fixture
def world(dagsched_world):
    """A week that begins on Monday, 23 November 2026."""
    world = dagsched_world("jobs.yaml", start="2026-11-23")
    world.outputs("a", rows=3)
    return world


def test_a_failed_tuesday_stops_c(world):
    world.fails("b", on="tuesday")
    world.run_until("2026-11-30")  # Monday to Sunday
    assert world.count("c", "success") == 6
    assert world.state("c", "2026-11-24") == "upstream_failed"
    assert world.reason("c", "2026-11-24") == "upstream b failed"


def test_one_failure_of_b_is_made_good_by_its_second_attempt(world):
    world.fails("b", on="2026-11-24", attempt=1)
    world.run_until("2026-11-25")
    assert world.state("c", "2026-11-24") == "success"
    assert [attempt.exit_code for attempt in world.attempts("b", "2026-11-24")] == [1, 0]


def test_a_b_that_hangs_is_ended_by_its_timeout(world):
    world.takes("b", "3h")
    world.run_until("2026-11-24")
    assert world.state("b") == "failed"
    assert [attempt.outcome for attempt in world.attempts("b")] == ["timed_out", "timed_out"]


def test_an_hourly_job_that_takes_too_long_leaves_ticks_out(world):
    world.takes("hourly", "61m")
    world.run_until("2026-11-24")
    assert world.counts("hourly") == {"success": 12, "skipped": 12}
    assert world.reason("hourly", "2026-11-23T01:00") == "overlap: job:hourly:2026-11-22T23:00:00Z was active"


def test_what_was_missed_at_night_is_caught_up_in_the_morning(world):
    world.down("2026-11-24T01:00", "2026-11-24T07:30")
    world.run_until("2026-11-24T12:00")
    assert world.state("c", "2026-11-24T02:00") == "success"
    assert world.state("hourly", "2026-11-24T05:00") == "missed"
    assert "coalesced" in world.reason("hourly", "2026-11-24T05:00")


def test_moving_a_after_it_has_run_does_not_run_it_twice(world):
    world.run_until("2026-11-24T02:30")
    world.edit(world_text().replace("0 2 * * *", "0 3 * * *"))
    world.run_until("2026-11-25")
    assert world.count("a", on="2026-11-24") == 2  # 02:00 under the old schedule, 03:00 under the new one
    assert world.count("a", on="2026-11-23") == 1


def test_a_paused_job_passes_its_ticks_and_a_person_may_run_it_all_the_same(world):
    world.pause("a")
    world.run_until("2026-11-25T12:00")
    assert world.counts("a") == {"skipped": 3}
    world.trigger("a")
    world.run_to_rest()
    assert world.state("c") == "success"


def world_text():
    from pathlib import Path

    return (Path(__file__).parent / "jobs.yaml").read_text()
