"""The virtual daemon: the real engine on a clock that is moved by hand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.engine import events
from dagsched.errors import Unknown
from dagsched.model import Calendar, Config, Job, Outcome, RateLimit, Run, RunState, format_instant, utc
from dagsched.virtual import End, Virtual, succeeds_at_once
from tests.engine.bench_of_one import job

MONDAY = utc(2026, 3, 2)
MINUTE = timedelta(minutes=1)


def config_of(*jobs: Job | str, **pools: int) -> Config:
    made = [item if isinstance(item, Job) else job(item) for item in jobs]
    return Config({item.id: item for item in made}, pools)


def rows(virtual: Virtual, id: str) -> list[str]:
    return [f"{format_instant(row.tick)[5:16]} {row.state}" for row in virtual.rows(id)]


def takes(minutes: float, outcome: Outcome = Outcome.SUCCESS):
    return lambda job, run, attempt: End(timedelta(minutes=minutes), outcome)


def test_a_day_passes_and_every_tick_is_a_row() -> None:
    virtual = Virtual(config_of("load at 0 */8 * * *", "report after load"), MONDAY)
    virtual.run_until(MONDAY + timedelta(days=1))
    assert rows(virtual, "load") == ["03-02T08:00 success", "03-02T16:00 success", "03-03T00:00 success"]
    assert rows(virtual, "report") == rows(virtual, "load")
    assert virtual.now == MONDAY + timedelta(days=1)


def test_a_start_takes_no_tick_at_its_own_instant() -> None:
    virtual = Virtual(config_of("load at 0 0 * * *"), MONDAY)
    virtual.run_until(MONDAY)
    assert virtual.rows() == []


def test_an_attempt_takes_as_long_as_it_is_said_to() -> None:
    virtual = Virtual(config_of("load at 0 8 * * *", "report after load"), MONDAY, behave=takes(7))
    virtual.run_until(utc(2026, 3, 2, 8, 10))
    load, report = virtual.row("load", utc(2026, 3, 2, 8)), virtual.row("report", utc(2026, 3, 2, 8))
    assert load is not None
    assert report is not None
    assert load.ended == report.started == utc(2026, 3, 2, 8, 7)
    assert report.state is RunState.RUNNING
    assert [each.outcome for each in virtual.attempts("load", load.tick)] == [Outcome.SUCCESS]


def test_an_attempt_that_takes_longer_than_its_timeout_is_timed_out() -> None:
    slow = job("load at 0 8 * * *", timeout=5 * MINUTE)
    virtual = Virtual(config_of(slow), MONDAY, behave=takes(7))
    virtual.run_until(utc(2026, 3, 2, 9))
    row = virtual.rows("load")[0]
    assert (row.state, row.reason, row.ended) == (RunState.FAILED, "ran longer than its timeout", utc(2026, 3, 2, 8, 5))


def test_behave_hears_of_every_attempt_and_outputs_reach_the_row() -> None:
    heard = []

    def behave(job: Job, run: Run, attempt: int) -> End:
        heard.append(attempt)
        return End(MINUTE, Outcome.FAILED, exit_code=7) if attempt == 1 else End(MINUTE, outputs={"rows": "3"})

    virtual = Virtual(config_of(job("load at 0 8 * * *", retry=2)), MONDAY, behave=behave)
    virtual.run_until(utc(2026, 3, 2, 9))
    assert heard == [1, 2]
    assert virtual.rows("load")[0].outputs == {"rows": "3"}
    assert [each.exit_code for each in virtual.attempts("load", utc(2026, 3, 2, 8))] == [7, 0]


def test_what_ends_at_an_instant_makes_way_for_what_is_due_at_it() -> None:
    virtual = Virtual(config_of("load at 0 * * * *"), MONDAY, behave=takes(60))
    virtual.run_until(utc(2026, 3, 2, 3, 30))
    assert rows(virtual, "load") == ["03-02T01:00 success", "03-02T02:00 success", "03-02T03:00 running"]


def test_what_takes_longer_than_its_period_is_skipped_by_overlap() -> None:
    virtual = Virtual(config_of("load at 0 * * * *"), MONDAY, behave=takes(61))
    virtual.run_until(utc(2026, 3, 2, 3, 30))
    assert rows(virtual, "load") == ["03-02T01:00 success", "03-02T02:00 skipped", "03-02T03:00 running"]


def test_a_replaced_attempt_ends_as_cancelled() -> None:
    virtual = Virtual(config_of(job("load at 0 * * * *", overlap="replace")), MONDAY, behave=takes(90))
    virtual.run_until(utc(2026, 3, 2, 2, 30))
    assert rows(virtual, "load") == ["03-02T01:00 cancelled", "03-02T02:00 running"]
    assert virtual.attempts("load", utc(2026, 3, 2, 1))[0].outcome is Outcome.CANCELLED


def test_a_person_triggers_pauses_resumes_cancels_and_reruns() -> None:
    virtual = Virtual(config_of("load at 0 * * * *", "report after load"), MONDAY, behave=takes(1))
    made = virtual.trigger("load")
    virtual.cancel(made.name)
    assert virtual.row("report", made.tick) is not None
    assert [row.state for row in virtual.rows()] == [RunState.CANCELLED, RunState.UPSTREAM_FAILED]
    virtual.pause("load")
    virtual.run_until(utc(2026, 3, 2, 1, 30))
    virtual.resume("load")
    virtual.rerun(made.name)
    virtual.run_until(utc(2026, 3, 2, 2, 30))
    assert [str(row.state) for row in virtual.rows("load")] == ["success", "skipped", "success"]
    assert [str(row.state) for row in virtual.rows("report")] == ["success", "skipped", "success"]
    with pytest.raises(Unknown):
        virtual.trigger("laod")


def test_ticks_missed_while_it_was_down_are_caught_up() -> None:
    virtual = Virtual(config_of("load at 0 * * * *"), MONDAY, behave=takes(10))
    virtual.run_until(utc(2026, 3, 2, 1, 5))
    virtual.down(utc(2026, 3, 2, 4, 30))
    virtual.run_until(utc(2026, 3, 2, 4, 45))
    assert rows(virtual, "load") == [
        "03-02T01:00 success", "03-02T02:00 missed", "03-02T04:00 success",
    ]  # fmt: skip
    first, missed = virtual.rows("load")[:2]
    assert first.ended == utc(2026, 3, 2, 1, 10)
    assert missed.until == utc(2026, 3, 2, 3)
    assert virtual.row("load", utc(2026, 3, 2, 3)) == missed


def test_attempts_of_a_machine_that_was_rebooted_are_lost_and_tried_again() -> None:
    virtual = Virtual(config_of(job("load at 0 8 * * *", retry=2)), MONDAY, behave=takes(10))
    virtual.run_until(utc(2026, 3, 2, 8, 5))
    virtual.down(utc(2026, 3, 2, 8, 30), rebooted=True)
    virtual.run_until(utc(2026, 3, 2, 9))
    assert [each.outcome for each in virtual.attempts("load", utc(2026, 3, 2, 8))] == [Outcome.LOST, Outcome.SUCCESS]


def test_a_rate_limit_holds_over_a_time_in_which_it_was_down() -> None:
    virtual = Virtual(config_of(job("load at 0,10,20 * * * *", rate_limit="1/1h", overlap="queue")), MONDAY)
    virtual.run_until(utc(2026, 3, 2, 0, 30))
    virtual.down(utc(2026, 3, 2, 0, 45))
    virtual.run_until(utc(2026, 3, 2, 3))
    starts = [each.started for row in virtual.rows("load") for each in virtual.attempts("load", row.tick)]
    assert starts == [utc(2026, 3, 2, hour, 10) for hour in (0, 1, 2)]


def test_an_edit_of_calendars_alone_is_a_new_configuration() -> None:
    jobs = job("load at 0 9 * * *", calendar=("c",))
    virtual = Virtual(config_of(jobs)._replace(calendars={"c": Calendar()}), MONDAY)
    virtual.run_until(utc(2026, 3, 2, 12))
    virtual.apply_config(virtual.config._replace(calendars={"c": Calendar(weekdays=("tue",))}))
    virtual.run_until(utc(2026, 3, 3, 12))
    assert rows(virtual, "load") == ["03-02T09:00 success", "03-03T09:00 skipped"]
    assert virtual.plan.book.config_number == 2


def test_an_edit_speaks_from_its_instant_on() -> None:
    virtual = Virtual(config_of("load at 0 * * * *"), MONDAY)
    virtual.run_until(utc(2026, 3, 2, 2, 30))
    virtual.apply_config(config_of("load at 15 * * * *", "new after load"))
    virtual.run_until(utc(2026, 3, 2, 4))
    assert rows(virtual, "load") == [
        "03-02T01:00 success", "03-02T02:00 success", "03-02T03:15 success",
    ]  # fmt: skip
    assert rows(virtual, "new") == ["03-02T03:15 success"]


def test_starts_before_an_edit_or_a_down_time_count_for_rate_limits() -> None:
    limited = job("load at * * * * *", rate_limit=RateLimit(1, timedelta(minutes=30)), overlap="queue")
    for is_edit in (True, False):
        virtual = Virtual(config_of("load at * * * * *" if is_edit else limited), MONDAY, behave=takes(0.5))
        virtual.run_until(utc(2026, 3, 2, 0, 1, 45))
        if is_edit:
            virtual.apply_config(config_of(limited))
        else:
            virtual.down(utc(2026, 3, 2, 0, 3))
        virtual.run_until(utc(2026, 3, 2, 0, 40))
        assert [row.started for row in virtual.rows("load") if row.started] == [
            utc(2026, 3, 2, 0, 1), utc(2026, 3, 2, 0, 31),
        ]  # fmt: skip


def test_setting_the_clock_forward_makes_ticks_due_and_no_attempt_shorter() -> None:
    virtual = Virtual(config_of("load at 0 8 * * *", "other at 30 9 * * *"), MONDAY, behave=takes(10))
    virtual.run_until(utc(2026, 3, 2, 8, 5))
    virtual.step_clock(timedelta(hours=2))
    virtual.run_until(utc(2026, 3, 2, 10, 30))
    assert virtual.rows("load")[0].ended == utc(2026, 3, 2, 10, 10)
    assert rows(virtual, "other") == ["03-02T09:30 success"]


def test_it_goes_on_from_what_another_one_kept() -> None:
    config = config_of("load at 0 * * * *", "report after load")
    whole = Virtual(config, MONDAY, behave=takes(25))
    whole.run_until(utc(2026, 3, 2, 2, 10))
    book = whole.plan.book
    rest = Virtual(
        config, whole.now, behave=takes(25), runs=whole.rows(), attempts=list(book.open_attempts.values()),
        marks=list(book.marks.values()), last_event=book.last_event, last_seen=whole.now, in_force=config,
        config_number=1,
    )  # fmt: skip
    assert rest.plan.book.config_number == 1
    for virtual in (whole, rest):
        virtual.run_until(utc(2026, 3, 2, 6))
    assert [row._replace(config=0) for row in rest.rows()] == [row._replace(config=0) for row in whole.rows()]


def test_it_advances_from_instant_to_instant_and_comes_to_rest() -> None:
    virtual = Virtual(config_of("load at 0 8 * * *"), MONDAY, behave=takes(1))
    assert virtual.advance() == utc(2026, 3, 2, 8)
    assert virtual.advance() == utc(2026, 3, 2, 8, 1)
    virtual.advance()
    assert virtual.run_to_rest(utc(2026, 3, 9))
    assert virtual.now == utc(2026, 3, 3, 8, 1)
    assert Virtual(config_of("load"), MONDAY).advance() is None


def test_events_are_numbered_without_a_gap_and_an_onlooker_sees_all_commands() -> None:
    virtual = Virtual(config_of("load at 0 * * * *"), MONDAY, behave=succeeds_at_once)
    seen = []
    virtual.on_commands = seen.extend
    virtual.run_until(utc(2026, 3, 2, 3))
    virtual.apply(events.Noted(virtual.now, "noted"))
    assert [row.seq for row in virtual.events] == list(range(1, len(virtual.events) + 1))
    assert virtual.events[-1].type == "noted"
    assert len(seen) > len(virtual.events)
