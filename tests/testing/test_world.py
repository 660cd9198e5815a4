"""What users test their own jobs with: a world of jobs, a clock and outcomes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from dagsched.errors import ConfigInvalid, Refused, Unknown
from dagsched.model import RunState, utc
from dagsched.testing import World

CHAIN = """\
version: 1
timezone: Europe/Berlin
jobs:
  a: {schedule: "0 2 * * *", run: ./a, params: {day: {type: string, default: sun}}}
  b: {depends_on: [a], run: ./b, retry: {max_attempts: 2, delay: 10m}, timeout: 1h}
  c: {depends_on: [a, b], run: ./c, env: {ROWS: {job: a, output: rows}}}
  hourly: {schedule: "0 * * * *", run: ./hourly}
"""


def world_of(text: str = CHAIN, **options: object) -> World:
    return World(text, **{"start": "2026-11-23", **options})  # type: ignore[arg-type]


def test_a_failed_tuesday_stops_c() -> None:
    world = world_of()
    world.fails("b", on="2026-11-24")
    world.run_until("2026-11-30T00:00")
    assert world.count("c", "success") == 6
    assert world.state("c", "2026-11-24") == "upstream_failed"
    assert world.count("c", on="tue") == 1


@pytest.mark.parametrize(
    "tick",
    ["2026-11-24T02:00", "2026-11-24", date(2026, 11, 24), utc(2026, 11, 24, 1), "2026-11-24T01:00Z",
     datetime(2026, 11, 24, 2), datetime(2026, 11, 24, 1, tzinfo=UTC)],
)  # fmt: skip
def test_a_tick_is_named_by_its_day_or_its_instant(tick: object) -> None:
    world = world_of()
    world.fails("a", on=tick)  # type: ignore[arg-type]
    world.run_until("2026-11-26")
    assert world.states("a") == ["success", "failed", "success"]
    assert world.state("a", tick) == "failed"  # type: ignore[arg-type]


@pytest.mark.parametrize("day", ["tue", "Tuesday"])
def test_a_day_of_the_week_means_every_one(day: str) -> None:
    world = world_of()
    world.fails("a", on=day)
    world.run_until("2026-12-07")
    assert world.count("a", "failed") == 2


def test_what_was_said_last_counts_and_by_attempt_or_predicate() -> None:
    world = world_of()
    world.fails("b")
    world.succeeds("b", attempt=2)
    world.fails("b", when=lambda run, attempt: run.tick.day == 24 and attempt == 2, exit_code=9)
    world.run_until("2026-11-26")
    assert world.states("b") == ["success", "failed", "success"]
    assert [attempt.exit_code for attempt in world.attempts("b", "2026-11-24")] == [1, 9]


def test_attempts_take_a_minute_unless_said_otherwise() -> None:
    world = world_of(takes="2m")
    world.takes("b", "5m")
    world.run_until("2026-11-24")
    a, b, c = (world.run(job) for job in "abc")
    assert [run.ended - run.started for run in (a, b, c)] == [timedelta(minutes=n) for n in (2, 5, 2)]  # type: ignore[operator]


def test_outcomes_may_be_named() -> None:
    world = world_of()
    world.fails("a", outcome="lost", reason="the machine was gone")
    world.run_until("2026-11-24")
    assert (world.state("a"), world.reason("a")) == ("failed", "the machine was gone")
    with pytest.raises(ValueError, match="use succeeds"):
        world.fails("a", outcome="success")


def test_an_output_that_is_needed_and_was_not_said_to_be_given_stops_the_attempt() -> None:
    world = world_of()
    world.run_until("2026-11-24")
    assert world.state("c") == "success"  # nobody has said what `a` gives
    world.outputs("a", lines=3)
    world.run_until("2026-11-25")
    assert world.reason("c") == "a gave no output 'rows' for ROWS, and it has no default"
    world.outputs("a", {"rows": 3})
    world.run_until("2026-11-26")
    assert world.state("c") == "success"
    assert world.run("a").outputs == {"rows": "3"}


def test_ticks_of_the_first_instant_are_in_and_of_a_midnight_run_to_are_not() -> None:
    world = world_of()
    assert world.now == utc(2026, 11, 22, 23)
    world.run_until("2026-11-24")
    assert world.count("hourly") == 24
    assert world.run("hourly", "2026-11-23T00:00").state is RunState.SUCCESS
    world.run_until("2026-11-24T00:00")
    assert world.count("hourly") == 25


def test_it_is_down_and_catches_up() -> None:
    world = world_of()
    world.down("2026-11-24T01:30", "2026-11-24T05:30")
    world.run_for("30m")
    assert [world.state("hourly", f"2026-11-24T0{hour}:00") for hour in range(1, 6)] == [
        "success", "missed", "missed", "missed", "success",
    ]  # fmt: skip
    assert world.state("a", "2026-11-24T02:00") == "success"
    # A row of several ticks is every one of them.
    assert world.count("hourly", "missed") == 3


def test_attempts_outlive_a_daemon_and_no_reboot() -> None:
    for reboot, state in ((False, "success"), (True, "failed")):
        world = world_of()
        world.takes("a", "2h")
        world.run_until("2026-11-23T02:30")
        world.down("2026-11-23T02:30", "2026-11-23T05:00", reboot=reboot)
        assert world.state("a") == state
        assert world.run("a").ended == (utc(2026, 11, 23, 3) if not reboot else utc(2026, 11, 23, 4))


def test_an_edit_speaks_from_now_on_and_a_bad_one_changes_nothing() -> None:
    world = world_of()
    world.run_until("2026-11-24T12:00")
    with pytest.raises(ConfigInvalid):
        world.edit(CHAIN.replace("depends_on: [a]", "depends_on: [z]"))
    world.edit(CHAIN.replace("0 2 * * *", "0 13 * * *"))
    world.run_until("2026-11-25")
    assert world.count("a") == 3
    assert world.state("c", "2026-11-24T13:00") == "success"


def test_people_trigger_pause_resume_cancel_rerun_and_acknowledge() -> None:
    world = world_of()
    world.pause("a")
    world.run_until("2026-11-24")
    assert world.counts("a") == {"skipped": 1}
    world.resume("a")
    world.fails("b")
    run = world.trigger("a", day="mon")
    assert run.params == {"day": "mon"}
    world.run_to_rest()
    assert world.state("c") == "upstream_failed"
    world.ack("b")
    world.succeeds("b")
    world.rerun("b")
    world.run_to_rest()
    assert world.state("c") == "success"
    world.trigger("hourly")
    world.cancel("hourly")
    assert world.state("hourly") == "cancelled"
    with pytest.raises(Refused, match="no parameter 'dya'"):
        world.trigger("a", dya="mon")


def test_a_clock_may_be_set() -> None:
    world = world_of()
    world.run_until("2026-11-23T01:30")
    world.step_clock("1h")
    assert world.state("a") == "running"
    world.step_clock("-1h")
    world.run_until("2026-11-23T03:00")
    assert world.count("a") == 1


def test_why_speaks_of_past_present_and_coming_ticks() -> None:
    world = world_of()
    world.takes("a", "2h")
    world.run_until("2026-11-23T03:00")
    assert "it waits for upstream job:a:2026-11-23T01:00:00Z (running)" in world.why("b")
    assert "is success" in world.why("hourly", "2026-11-23T01:00")
    assert "still to come" in world.why("a", "2026-11-25")
    assert "has no tick at" in world.why("a", "2026-11-25T03:00")


def test_the_history_is_text_that_can_be_read() -> None:
    world = world_of()
    world.fails("b")
    world.run_until("2026-11-23T03:00")
    world.run_for("30m")
    lines = [str(line) for line in world.history("b")]
    assert lines == ["Mon 2026-11-23 02:00  b: failed (exit code 1), 02:12:00 to 02:13:00, 2 attempts"]
    assert world.report().splitlines()[0] == "Mon 2026-11-23 03:30:00 CET"
    assert world.started().count("b") == 2
    assert world.events("run.failed")[0].job == "b"


def test_unknown_names_get_the_nearest_and_ticks_that_are_not_there_too() -> None:
    world = world_of()
    world.run_until("2026-11-25")
    with pytest.raises(Unknown, match="did you mean 'hourly'"):
        world.fails("hourlyy")
    with pytest.raises(LookupError, match=r"hourly has 24 ticks on 2026-11-24: 2026-11-24T00:00, .* name one of them"):
        world.state("hourly", "2026-11-24")
    with pytest.raises(LookupError, match="a has had no tick at 2026-11-25 by 2026-11-25 00:00; near are"):
        world.state("a", "2026-11-25")
    with pytest.raises(ValueError, match="'done' is no state; known are waiting"):
        world.count("a", "done")
    with pytest.raises(ValueError, match="is no instant; write"):
        world.run_until("soon")
    with pytest.raises(ValueError, match="is past: it is"):
        world.run_until("2026-11-24T12:00")
    with pytest.raises(ValueError, match="write it with its unit"):
        world.takes("a", "5")
    with pytest.raises(LookupError, match="has had no tick by"):
        World(CHAIN, start="2026-11-23").run("a")


def test_what_is_not_over_in_time_is_an_error_that_names_it() -> None:
    world = world_of()
    world.takes("a", "3h")
    world.run_until("2026-11-23T02:30")
    with pytest.raises(AssertionError, match="not over after 1h: job:a:"):
        world.run_to_rest("1h")


def test_problems_of_a_job_file_are_shown(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        world_of(CHAIN.replace("[a]", "[aa]"))
    [note] = caught.value.__notes__
    assert "jobs.yaml:5:" in note
    assert "did you mean 'a'" in note
    with pytest.raises(FileNotFoundError, match="is no job file here"):
        World("nothing", start="2026-11-23")
    (tmp_path / "jobs.yaml").write_text(CHAIN)
    assert World(tmp_path / "jobs.yaml", start="2026-11-23").timezone == "Europe/Berlin"
    assert World(str(tmp_path / "jobs.yaml"), start="2026-11-23", timezone="UTC").now == utc(2026, 11, 23)


def test_slots_bound_how_many_attempts_run_at_a_time() -> None:
    text = 'version: 1\njobs:\n  x: {schedule: "0 2 * * *", run: x}\n  y: {schedule: "0 2 * * *", run: y}\n'
    world = world_of(text, slots=1)
    world.run_until("2026-11-24")
    assert world.run("y").started == utc(2026, 11, 23, 2, 1)


def test_an_event_makes_runs_with_its_data_and_survives_a_downtime_by_its_id() -> None:
    world = world_of(
        """\
version: 1
jobs:
  load: {schedule: {event: arrived}, params: {n: {type: integer}}, run: x, overlap: queue}
  below: {depends_on: [load], run: x}
"""
    )
    [run] = world.emit("arrived", id="1", n="3")
    assert (run.origin, run.params["n"]) == ("event", 3)
    assert world.emit("arrived", id="1", n=3) == []
    with pytest.raises(Refused, match="the data have no 'n'"):
        world.emit("arrived")
    world.down("2026-11-23T01:00", "2026-11-23T02:00")
    assert world.emit("arrived", id="1", n=3) == []
    world.run_until("2026-11-24")
    assert (world.count("load", "success"), world.count("below", "success")) == (1, 1)


FLOW = """\
version: 1
jobs:
  flow: {handler: workflow, with: {job: step, params: {n: 3}}, retry: {max_attempts: 2, delay: 1m}}
  step: {run: ./step, params: {n: {type: integer, default: 0}}}
  below: {depends_on: [flow], run: ./below}
"""


def test_a_workflow_has_its_step_run_and_ends_as_it_does() -> None:
    world = world_of(FLOW, timezone="UTC")
    world.takes("step", "10m")
    world.outputs("step", rows=7)
    world.trigger("flow")
    world.run_to_rest()
    flow, step = world.run("flow"), world.run("step")
    assert step.params["n"] == 3
    assert (flow.state, flow.outputs, flow.ended) == ("success", {"rows": "7"}, step.ended)
    assert world.now == datetime(2026, 11, 23, 0, 11, tzinfo=UTC)
    assert world.state("below") == "success"


def test_a_workflow_fails_with_its_step_and_a_retry_of_it_begins_no_second_one_meanwhile() -> None:
    world = world_of(FLOW)
    world.fails("step")
    world.trigger("flow")
    world.run_to_rest()
    assert (world.state("flow"), world.state("below")) == ("failed", "upstream_failed")
    assert len(world.attempts("flow")) == 2
    assert world.count("step", "failed") == 2


def test_a_workflow_that_is_cancelled_takes_its_step_with_it() -> None:
    world = world_of(FLOW)
    world.takes("step", "10m")
    world.trigger("flow")
    world.run_for("5m")
    world.cancel("flow")
    assert (world.state("flow"), world.state("step")) == ("cancelled", "cancelled")
    world.run_to_rest()


def test_a_workflow_that_takes_longer_than_its_timeout_is_timed_out() -> None:
    world = world_of(FLOW.replace("{handler: workflow,", "{handler: workflow, timeout: 5m,"))
    world.takes("step", "30m")
    world.trigger("flow")
    world.run_to_rest()
    assert world.state("flow") == "failed"
    assert [attempt.outcome for attempt in world.attempts("flow")] == ["timed_out", "timed_out"]


def test_a_step_goes_on_while_the_daemon_is_away_and_ends_its_workflow() -> None:
    world = world_of(FLOW)
    world.takes("step", "30m")
    world.trigger("flow")
    world.down("2026-11-23T00:10", "2026-11-23T02:00")
    world.run_for("1m")
    assert (world.state("step"), world.state("flow")) == ("success", "success")
    assert len(world.attempts("flow")) == 1


def test_a_workflow_may_be_said_to_fail_by_itself() -> None:
    world = world_of(FLOW)
    world.fails("flow")
    world.trigger("flow")
    world.run_to_rest()
    assert world.state("flow") == "failed"
    assert world.count("step") == 0
