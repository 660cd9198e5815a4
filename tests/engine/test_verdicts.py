"""The gates of a tick: where it stands, since when, and what would open the one that blocks."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest

from dagsched.engine import events
from dagsched.engine.verdicts import GATES, Verdict, gate_of, hold_of, verdicts
from dagsched.model import LIVE, Job, RateLimit, Run, RunState, Window, utc
from dagsched.reasons import At
from dagsched.virtual import End, Virtual
from tests.engine.bench_of_one import Bench, job, plan_of
from tests.simulation.files import Files


def told(bench: Bench, id: str, held: str = "") -> dict[str, Verdict]:
    found = verdicts(bench.plan, bench.row(id), bench.plan.book.jobs[id], held)
    assert [verdict.gate for verdict in found] == [gate.name for gate in GATES]
    return {verdict.gate: verdict for verdict in found}


def of(kind: str, found: dict[str, Verdict]) -> list[str]:
    return [name for name, verdict in found.items() if verdict.verdict == kind]


def test_a_waiting_run_stands_at_its_upstreams_and_has_passed_what_comes_before_them():
    bench = plan_of("a at 0 1 * * *", job("b after a", pool="p"), pools={"p": 1})
    bench.to("01:00")
    found = told(bench, "b")
    assert of("blocks", found) == ["upstreams"]
    assert of("passed", found) == ["enabled", "paused", "catch-up", "queue"]
    assert of("not_reached", found) == ["overlap", "seat", "rate", "pool", "daemon"]
    assert of("not_asked", found) == ["calendar", "condition", "delay", "window"]
    assert found["upstreams"].since == utc(2026, 3, 2, 1)
    assert found["upstreams"].unblock == "a ends"


def test_an_upstream_that_never_had_a_tick_is_said_to_be_waited_for_with_its_next_one():
    bench = plan_of("a at 0 5 * * *", "b after a at 0 1 * * *")
    bench.to("01:00")
    assert told(bench, "b")["upstreams"].unblock == "a has a tick (its next one is 2026-03-02T05:00:00Z)"


def test_a_paused_jobs_queued_run_stands_at_its_pause_since_the_pause():
    bench = plan_of(job("a at 0 1 * * *", pool="p"), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    bench.to("01:30")
    bench.apply(events.PauseRequested(bench.now, "a"))
    found = told(bench, "a")
    assert of("blocks", found) == ["paused"]
    assert (found["paused"].since, found["paused"].unblock) == (bench.now, "dagsched resume a")


def test_a_full_pool_is_named_with_the_run_whose_end_would_make_room():
    bench = plan_of(job("a at 0 1 * * *", pool="p"), job("v", pool="p"), pools={"p": 1})
    bench.trigger("v")
    bench.to("01:00")
    found = told(bench, "a")
    assert of("blocks", found) == ["pool"]
    assert found["pool"].unblock.startswith("job:v:2026-03-02T00:00:00.001Z ends, or pool p gets more slots")


def test_a_run_between_two_attempts_stands_at_its_delay_since_the_last_one():
    bench = plan_of(job("a at 0 1 * * *", retry=2))
    bench.to("01:00")
    bench.fail("a")
    found = told(bench, "a")
    assert of("blocks", found) == ["delay"]
    assert (found["delay"].since, found["delay"].unblock) == (utc(2026, 3, 2, 1), "it is 2026-03-02T01:00:10Z")


def test_a_run_whose_rate_is_used_up_stands_there_until_it_allows_another_start():
    bench = plan_of(job("a at */10 * * * *", rate_limit=RateLimit(1, timedelta(hours=1))))
    bench.to("00:10")
    bench.finish("a")
    bench.to("00:20")
    found = told(bench, "a")
    assert of("blocks", found) == ["rate"]
    assert found["rate"].unblock == "it is 2026-03-02T01:10:00Z"


def test_a_run_outside_its_window_stands_there_until_it_opens():
    bench = plan_of(job("a at 0 1 * * *", window=(Window("06:00", "08:00"),)))
    bench.to("01:00")
    found = told(bench, "a")
    assert of("blocks", found) == ["window"]
    assert found["window"].unblock == "it is 2026-03-02T06:00:00Z"


def test_a_third_run_of_a_job_stands_at_its_seat():
    bench = plan_of(job("a at 0 * * * *", overlap="queue"))
    bench.to("02:00")
    assert of("blocks", told(bench, "a")) == ["seat"]


def test_without_a_daemon_everything_that_could_start_stands_there():
    bench = plan_of(job("a at 0 * * * *", overlap="queue"), slots_max=1)
    bench.to("02:00")
    assert of("blocks", told(bench, "a", held="no daemon is running")) == ["daemon"]


def test_a_run_under_way_has_passed_every_gate():
    bench = plan_of("a at 0 1 * * *")
    bench.to("01:00")
    asked = {"enabled", "paused", "catch-up", "queue", "overlap", "seat", "daemon"}
    assert set(of("passed", told(bench, "a"))) == asked


@pytest.mark.parametrize(
    ("jobs", "gate"),
    [
        ([job("a at 0 * * * *", enabled=False)], "enabled"),
        (["b at 0 1 * * *", "a after b:same at 0 2 * * *"], "upstreams"),
        (["a at 0 1,2 * * *"], "overlap"),
        ([job("a at 0 1 * * *", when="local.day == 31")], "condition"),
        ([job("a at 0 1 * * *", window=(Window("06:00", "08:00", outside="skip"),))], "window"),
    ],
    ids=["disabled", "no tick of an upstream", "overlap", "condition", "window"],
)
def test_a_tick_that_was_left_out_ended_at_this_gate(jobs, gate):
    bench = plan_of(*jobs)
    bench.to("03:00")
    assert of("left_out", told(bench, "a")) == [gate]


def takes_its_time(job: Job, run: Run, attempt: int) -> End:
    return End(timedelta(minutes=Random(f"{run.name}{attempt}").choice((0, 1, 50, 200))))


@pytest.mark.parametrize("seed", range(15))
def test_every_reason_and_every_block_of_random_lives_belongs_to_a_gate(seed: int) -> None:
    """So that no words of the engine are unknown to the table."""
    rng, start = Random(seed), utc(2026, 3, 27, 4)
    files = Files(rng, start, start + timedelta(days=2))
    life = Virtual(files.read(), start, behave=takes_its_time, slots_max=rng.choice((None, 2)))
    for _ in range(12):
        life.run_until(life.now + timedelta(minutes=rng.randint(1, 300)))
        if rng.random() < 0.3:
            life.pause(rng.choice(list(life.config.jobs)))
        elif rng.random() < 0.3:
            life.down(life.now + timedelta(minutes=rng.randint(1, 900)))
        elif rng.random() < 0.5:
            files.edit()
            life.apply_config(files.read())
        _all_are_known(life)


def _all_are_known(life: Virtual) -> None:
    for run in life.rows():
        if run.state in LIVE:
            hold = hold_of(life.plan, run) if run.job in life.plan.book.jobs else None
            assert hold is None or gate_of(run, hold) is not None or hold.at is At.TURN, hold
        elif not run.attempts and run.state not in (RunState.CANCELLED, RunState.FAILED):
            assert gate_of(run, None) is not None, run
