"""Days that are rehearsed: what happens in them, what is waited for, and what the report says of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from dagsched.declaration import Window
from dagsched.engine import events
from dagsched.engine.gates import Hold
from dagsched.model import Config, Job, Outcome, RateLimit, Run, RunState, format_instant, utc
from dagsched.reasons import At
from dagsched.rehearsal import Habit, Rehearsed, rehearse, report
from dagsched.rehearsal.habits import habit_of
from dagsched.rehearsal.waits import Cause, cause_of
from dagsched.virtual import Behave, End
from tests.engine.bench_of_one import job, plan_of

MONDAY = utc(2026, 3, 2)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)


def config_of(*jobs: Job | str, **pools: int) -> Config:
    made = [item if isinstance(item, Job) else job(item) for item in jobs]
    return Config({item.id: item for item in made}, pools)


def taking(**minutes: float) -> Behave:
    return lambda job, run, attempt: End(minutes.get(job.id, 1) * MINUTE)


def days(config: Config, behave: Behave, count: float = 1, **options: Any) -> Rehearsed:
    return rehearse(config, MONDAY, MONDAY + count * DAY, behave, **options)


def told(rehearsed: Rehearsed) -> dict[str, Any]:
    habits = {id: habit_of(job, (), length=None, fail_rate=None) for id, job in rehearsed.config.jobs.items()}
    return report(rehearsed, habits, 0)


def counted(rehearsed: Rehearsed) -> Mapping[str, int]:
    return told(rehearsed)["states"]


def test_the_first_instant_is_in_and_the_last_is_not() -> None:
    rehearsed = days(config_of("load at 0 0 * * *"), taking(), 2)
    assert [format_instant(run.tick) for run in rehearsed.rows] == ["2026-03-02T00:00:00Z", "2026-03-03T00:00:00Z"]


def test_what_began_by_the_end_is_seen_to_its_own_end() -> None:
    rehearsed = days(config_of("load at 50 23 * * *", "report after load"), taking(load=60))
    assert rehearsed.is_over
    assert [str(run.state) for run in rehearsed.rows] == ["success", "success"]


def test_what_is_not_over_a_day_after_the_end_is_told_as_it_stands() -> None:
    rehearsed = days(config_of("load at 50 23 * * *"), taking(load=3000))
    assert not rehearsed.is_over
    assert counted(rehearsed) == {"running": 1}
    assert any("not over 24 h after the end" in line for line in told(rehearsed)["assumptions"])


def test_an_hourly_job_below_a_weekly_one_finds_a_success_before_the_first_day() -> None:
    rehearsed = days(config_of("weekly at 0 9 * * sun", "hourly after weekly at 0 * * * *"), taking())
    assert counted(rehearsed) == {"success": 24}


def test_a_plan_of_a_state_is_gone_on_from() -> None:
    bench = plan_of("load at 0 * * * *", now=MONDAY - timedelta(hours=1))
    bench.apply(events.PauseRequested(bench.now, "load"))
    config = Config(bench.plan.book.jobs, digest="1")
    rehearsed = days(config, taking(), plan=bench.plan)
    assert rehearsed.went_on
    # One row holds them all, and each of its ticks counts: the one of midnight was due when it began.
    assert told(rehearsed)["left_out"] == {"paused": 24}


def test_overlaps_are_counted_by_tick() -> None:
    document = told(days(config_of("load at 0 * * * *"), taking(load=61)))
    assert document["states"] == {"success": 12, "skipped": 12}
    assert document["left_out"] == {"overlap": 12}
    assert document["jobs"][0]["overlaps"] == 12


def test_retries_and_timeouts_are_counted() -> None:
    slow = job("slow at 0 8 * * *", timeout=5 * MINUTE, retry=2)

    def behave(job: Job, run: Run, attempt: int) -> End:
        return End(10 * MINUTE) if attempt == 1 else End(MINUTE)

    attempts = told(days(config_of(slow), behave))["attempts"]
    assert attempts == {"started": 2, "retries": 1, "timed_out": 1, "failed": 0, "unfinished": 0}


def test_a_wait_for_a_pool_is_put_to_the_pool() -> None:
    jobs = [job(f"{name} at 0 8 * * *", pool="warehouse") for name in "abc"]
    document = told(days(config_of(*jobs, warehouse=1), taking(a=10, b=10, c=10)))
    assert document["waits"] == {
        "pool": {"runs": 2, "p50_s": 600.0, "p95_s": 1200.0, "max_s": 1200.0, "total_s": 1800.0}
    }
    assert document["pools"] == {
        "warehouse": {"runs": 3, "p50_s": 600.0, "p95_s": 1200.0, "max_s": 1200.0, "waited": 2, "slots": 1}
    }
    assert document["priorities"]["0"]["waited"] == 2


def test_a_wait_for_the_daemons_slots_is_put_to_those() -> None:
    rehearsed = days(config_of("a at 0 8 * * *", "b at 0 8 * * *"), taking(a=10, b=10), slots=1)
    assert told(rehearsed)["waits"]["slots"]["total_s"] == 600.0
    assert told(rehearsed)["slots"] == 1


def test_a_wait_for_ones_own_turn_and_then_for_a_pool_are_told_apart() -> None:
    queued = job("queued at 0,5 8 * * *", overlap="queue", pool="warehouse")
    other = job("other at 7 8 * * *", pool="warehouse")
    config = config_of(queued, other, warehouse=1)
    rehearsed = days(config, taking(queued=10, other=10))
    spent = rehearsed.waits.spent[("queued", utc(2026, 3, 2, 8, 5))]
    # 08:05 to 08:10 for the one before it, then until 08:20 or 08:10 as the pool's line has it.
    assert spent[Cause.TURN] == 5 * MINUTE
    assert sum(rehearsed.waits.spent[("other", utc(2026, 3, 2, 8, 7))].values(), timedelta(0)) == 13 * MINUTE


def test_a_rate_and_a_window_are_told_from_a_pool() -> None:
    limited = job("limited at 0 8 * * *", rate_limit=RateLimit(1, timedelta(hours=2)), overlap="queue")
    often = job("often at 0,1 8 * * *", rate_limit=RateLimit(1, timedelta(minutes=10)), max_active_runs=2)
    nightly = job("nightly at 0 8 * * *", window=(Window(opens="22:00", closes="23:00"),), pool="p")
    other = job("other at 55 21 * * *", pool="p")
    rehearsed = days(config_of(limited, often, nightly, other, p=1), taking(other=10))
    eight = utc(2026, 3, 2, 8)
    assert ("limited", eight) not in rehearsed.waits.spent
    assert rehearsed.waits.spent["often", eight + MINUTE] == {Cause.RATE: 9 * MINUTE}
    # It waits for its window first, and finds the pool full when that opens.
    assert rehearsed.waits.spent["nightly", eight] == {Cause.WINDOW: timedelta(hours=14), Cause.POOL: 5 * MINUTE}


def test_runs_that_are_late_are_told_with_their_deadline() -> None:
    slow = job("slow at 0 8,9 * * *", deadline=timedelta(minutes=30))

    def behave(job: Job, run: Run, attempt: int) -> End:
        return End((31 if run.tick.hour == 8 else 30) * MINUTE)

    document = told(days(config_of(slow), behave))
    assert document["deadlines"]["declared"] == 1
    [late] = document["deadlines"]["late"]
    assert late == {
        "run": "job:slow:2026-03-02T08:00:00Z", "job": "slow", "deadline": "2026-03-02T08:30:00Z",
        "ended": "2026-03-02T08:31:00Z", "late_s": 60.0,
    }  # fmt: skip
    assert document["jobs"][0]["late"] == 1


def flooded(**priorities: int) -> dict[str, Any]:
    """Return what a day of a pool that is asked for more than it has tells: three urgent jobs, and one that is not."""
    urgent = [job(f"urgent{n} at */10 * * * *", pool="p", priority=priorities["urgent"]) for n in range(3)]
    low = job("low at 0 * * * *", pool="p", priority=priorities["low"])
    elsewhere = job("elsewhere at */10 * * * *", pool="q", priority=-100)
    config = config_of(*urgent, low, elsewhere, p=1, q=1)
    return told(days(config, taking(urgent0=5, urgent1=5, urgent2=5, low=5, elsewhere=5), 3))


def test_a_flood_of_urgent_runs_delays_lower_ones_by_no_more_than_their_priorities_are_apart() -> None:
    document = flooded(urgent=10, low=-10)
    waits = document["priorities"]
    assert list(waits) == ["10", "-10", "-100"]
    assert waits["-10"]["p50_s"] > waits["10"]["p50_s"]
    # A point of priority is worth a minute of waiting: after twenty of them nobody who comes later goes first.
    assert 20 * 60 <= waits["-10"]["max_s"] <= (20 + 20) * 60
    assert {row["job"]: row["states"].get("skipped", 0) for row in document["jobs"]}["low"] == 0


def test_a_full_pool_delays_nobody_in_another_one() -> None:
    document = flooded(urgent=100, low=-100)
    assert document["pools"]["p"]["waited"] > 0
    assert document["pools"]["q"] == {
        "runs": 3 * 144, "p50_s": 0.0, "p95_s": 0.0, "max_s": 0.0, "waited": 0, "slots": 1
    }  # fmt: skip


def test_jitter_is_no_wait_for_others() -> None:
    rehearsed = days(config_of(job("load at 0 8 * * *", jitter=10 * MINUTE)), taking())
    assert set(rehearsed.waits.spent[("load", utc(2026, 3, 2, 8))]) == {Cause.JITTER}
    assert told(rehearsed)["priorities"]["0"]["max_s"] == 0.0


def test_every_wait_the_engine_can_name_has_a_cause() -> None:
    bench = plan_of(job("a", pool="p"), job("b", pool="p"), job("c", overlap="queue"), pools={"p": 1})
    bench.trigger("a")
    bench.trigger("b")
    bench.trigger("c")
    bench.trigger("c")
    found = [cause_of(bench.plan.seats.blocks(run), run) for run in bench.live() if run.state is RunState.QUEUED]
    assert sorted(found) == [Cause.POOL, Cause.TURN]
    causes = {at: cause_of(Hold(at, ""), run) for at in At for run in bench.live()}
    assert {at for at, cause in causes.items() if cause is Cause.OTHER} == {
        # What a run meets before it is ready, and what is no wait.
        At.ENABLED, At.PAUSED, At.CALENDAR, At.CATCH_UP, At.QUEUE, At.UPSTREAMS, At.CONDITION, At.OVERLAP, At.TURN,
    }  # fmt: skip


def test_a_day_is_finished_when_the_last_of_its_daily_jobs_is() -> None:
    config = config_of("extract at 0 2 * * *", "load after extract", "hourly at 0 * * * *")
    day = told(days(config, taking(extract=20, load=30)))["days"][0]
    assert (day["date"], day["whole"], day["finish"]) == ("2026-03-02", True, "2026-03-02T02:50:00Z")
    assert [(step["job"], step["because"]) for step in day["critical_path"]] == [
        ("extract", "due"),
        ("load", "upstream"),
    ]


def test_the_chain_leads_through_the_run_that_held_the_pool() -> None:
    config = config_of(job("big at 0 2 * * *", pool="p"), job("small at 5 2 * * *", pool="p"), "after after small", p=1)
    path = told(days(config, taking(big=60, small=10, after=5)))["days"][0]["critical_path"]
    assert [(step["job"], step["because"], step["waited_s"]) for step in path] == [
        ("big", "due", 0.0), ("small", "pool", 3300.0), ("after", "upstream", 0.0),
    ]  # fmt: skip


def test_finishes_have_percentiles_over_whole_days() -> None:
    def behave(job: Job, run: Run, attempt: int) -> End:
        return End(run.tick.day * MINUTE)

    document = told(days(config_of("load at 0 2 * * *"), behave, 10))
    assert document["finish"] == {
        "days": 10, "p50_s": 7200.0 + 6 * 60, "p95_s": 7200.0 + 11 * 60, "max_s": 7200.0 + 11 * 60,
    }  # fmt: skip


def test_the_first_day_is_a_part_when_it_begins_late() -> None:
    start = MONDAY + timedelta(hours=12)
    rehearsed = rehearse(config_of("load at 0 * * * *"), start, MONDAY + 2 * DAY, taking())
    assert [day["whole"] for day in told(rehearsed)["days"]] == [False, True]


def test_the_map_of_hours_holds_attempts_under_way_on_average() -> None:
    heat = told(days(config_of("load at 30 8 * * *"), taking(load=45)))["heat"]
    [row] = heat
    assert row["date"] == "2026-03-02"
    assert (row["hours"][8], row["hours"][9], sum(row["hours"])) == (0.5, 0.25, 0.75)


def test_days_are_those_of_the_zone_of_most_schedules() -> None:
    schedule = job("a at 0 2 * * *").schedule
    assert schedule is not None
    tokyo = [job(name, schedule=schedule._replace(timezone="Asia/Tokyo")) for name in "ab"]
    document = told(days(config_of(*tokyo, "c at 0 2 * * *"), taking()))
    assert document["timezone"] == "Asia/Tokyo"
    assert document["heat"][0]["hours"][9] > 0 or document["heat"][1]["hours"][2] > 0


def test_failures_spread_and_are_told_by_state() -> None:
    def behave(job: Job, run: Run, attempt: int) -> End:
        return End(MINUTE, Outcome.FAILED) if job.id == "load" else End(MINUTE)

    document = told(days(config_of("load at 0 2 * * *", "report after load"), behave))
    assert document["states"] == {"failed": 1, "upstream_failed": 1}
    assert document["left_out"] == {"upstream": 1}


def test_a_workflow_takes_as_long_as_the_run_of_its_step() -> None:
    flow = job("flow at 0 2 * * *", handler="workflow", run=None, with_={"job": "step"})
    forgets = job("forgets at 0 3 * * *", handler="workflow", run=None, with_={"job": "step", "wait": False})
    rehearsed = days(config_of(flow, forgets, "step"), taking(flow=1, forgets=1, step=40))
    rows = {run.job: run for run in rehearsed.rows if run.tick.hour == 2}
    assert rows["flow"].ended == rows["step"].ended == utc(2026, 3, 2, 2, 40)
    [forgotten] = [run for run in rehearsed.rows if run.job == "forgets"]
    assert forgotten.ended == utc(2026, 3, 2, 3)
    assert counted(rehearsed) == {"success": 4}


def test_the_same_rehearsal_twice_gives_the_same_document() -> None:
    config = config_of("load at 0 * * * *", "report after load", job("x at 0 * * * *", pool="p"), p=1)
    assert told(days(config, taking(load=61), 3)) == told(days(config, taking(load=61), 3))


@pytest.mark.parametrize("habit", [Habit((MINUTE,))])
def test_assumptions_name_what_was_assumed(habit: Habit) -> None:
    rehearsed = days(config_of("load at 0 2 * * *"), taking())
    lines = report(rehearsed, {"load": habit}, 0)["assumptions"]
    assert "1 job without a success on record takes 60 s, or half the timeout where that is shorter" in lines
    assert any("counts as a success" in line for line in lines)
