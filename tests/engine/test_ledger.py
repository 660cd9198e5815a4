"""The rows of the ledger: every due tick is one, with a reason; ranges, events, and what memory keeps."""

from collections import Counter
from datetime import timedelta

import pytest

from dagsched.engine import commands, events
from dagsched.engine.ledger import Ledger
from dagsched.model import Catchup, Run, RunState, Schedule, TriggerRule, utc
from tests.engine.bench_of_one import job, plan_of


def left_out(hour, until=None, state=RunState.MISSED, **fields):
    return Run("a", utc(2026, 3, 2, hour), state, until=until and utc(2026, 3, 2, until), **fields)


def test_every_due_tick_of_every_job_is_covered_by_exactly_one_row():
    bench = plan_of(job("a", schedule=Schedule(every=timedelta(minutes=20))), "b after a", "c after b at 30 * * * *")
    for step in range(30):
        (bench.sleep_to if step % 7 == 3 else bench.to)(timedelta(minutes=17))
        if step % 3 == 0 and bench.plan.running():
            bench.finish(bench.plan.running()[0].job, "failed" if step % 2 else "success")
    due = [utc(2026, 3, 2) + timedelta(minutes=20 * n) for n in range(1, 30 * 17 // 20 + 1)]
    for id in ("a", "b"):
        rows = [run for run in bench.kept.values() if run.job == id]
        assert [sum(row.tick <= tick <= (row.until or row.tick) for row in rows) for tick in due] == [1] * len(due)


def test_every_row_that_did_not_run_says_why():
    bench = plan_of(
        "a at 0 * * * *", "b after a", job("c at 30 * * * *", enabled=False), "d after a:same at 15 * * * *"
    )
    bench.to("02:00")
    bench.fail("a")
    bench.restart(after=timedelta(hours=3))
    bench.run_to_end()
    assert all(run.reason for run in bench.kept.values() if run.state.is_terminal and run.state != "success")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("paused", "paused"), ("disabled", "disabled"), ("overlap", "overlap: job:a:2026-03-02T01:00:00Z was active"),
        ("queue full", "queue full: 1 run is not over yet"), ("down", "down from"), ("too old", "too old"),
        ("coalesced", "coalesced into 2026-03-02T04:00:00Z"),
    ],
)  # fmt: skip
def test_a_left_out_tick_has_the_reason(words, reason):
    options = {
        "disabled": {"enabled": False}, "queue full": {"overlap": "queue", "max_queued": 1},
        "down": {"catchup": Catchup.NONE}, "too old": {"catchup_window": timedelta(minutes=1)},
    }.get(words, {})  # fmt: skip
    bench = plan_of(job("a at 0 * * * *", **options))
    if words == "paused":
        bench.apply(events.PauseRequested(bench.now, "a"))
    (bench.sleep_to if words in ("down", "too old", "coalesced") else bench.to)("04:30")
    assert any(run.reason.startswith(reason) for run in bench.kept.values())


def test_successive_left_out_ticks_with_one_reason_extend_one_row():
    bench = plan_of("a at 0 * * * *")
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("04:00")
    assert bench.rows("a") == ["01:00-04:00 skipped"]


def test_another_reason_begins_another_row():
    bench = plan_of(job("a at 0 * * * *", catchup=Catchup.NONE))
    bench.sleep_to("02:30")
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("04:00")
    assert bench.rows("a") == ["01:00-02:00 missed", "03:00-04:00 skipped"]


def test_a_run_in_between_ends_a_row():
    bench = plan_of("a at 0 * * * *")
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("02:30")
    bench.trigger("a")
    bench.to("04:00")
    assert bench.rows("a") == ["01:00-02:00 skipped", "02:30 running", "03:00-04:00 skipped"]


def test_rows_already_written_are_never_merged():
    bench = plan_of(job("u at 0 1 * * *"), job("a after u at 0 1,2,3 * * *", trigger_rule=TriggerRule.ALL_FAILED))
    bench.to("03:00")  # three waiting runs, each a row already
    bench.finish("u")
    assert bench.rows("a") == ["01:00 skipped", "02:00 skipped", "03:00 skipped"]


def test_a_row_that_was_a_run_takes_no_further_ticks_in():
    bench = plan_of("u at 0 1 * * *", job("a after u at 0 1,2 * * *", trigger_rule=TriggerRule.ALL_FAILED))
    bench.to("01:00")
    bench.finish("u")
    bench.to("02:00")
    assert bench.rows("a") == ["01:00 skipped", "02:00 skipped"]


def test_each_range_row_has_one_event_at_its_first_tick():
    bench = plan_of("a at 0 * * * *")
    bench.apply(events.PauseRequested(bench.now, "a"))
    bench.to("04:00")
    assert [event.tick for event in bench.log if event.type == "run.skipped"] == [utc(2026, 3, 2, 1)]


def test_a_run_left_out_in_the_event_that_made_it_is_one_event():
    bench = plan_of("u at 0 1 * * *", "a after u:same at 30 1 * * *")
    bench.to("01:30")
    assert [event.type for event in bench.log if event.job == "a"] == ["run.skipped"]


def busy_bench():
    bench = plan_of(
        job("a at */10 * * * *", retry=2), "b after a", job("c after a:all b at 5 * * * *", overlap="replace"),
        job("d", trigger_rule=TriggerRule.ALWAYS), "e after d a:same",
    )  # fmt: skip
    taken = []
    apply, take = bench.apply, bench._take
    bench._take = lambda command: (taken[-1].append(command), take(command))
    bench.apply = lambda event: (taken.append([]), apply(event))
    for step in range(60):
        bench.to(timedelta(minutes=7))
        if step % 5 == 0:
            bench.trigger("d")
        running = bench.plan.running()
        if step % 2 and running:
            bench.finish(running[0].job, "failed" if step % 3 else "success", exit_code=0)
        if step % 11 == 0:
            bench.restart(living=[(run.name, run.attempts) for run in bench.plan.running()], after=timedelta(minutes=9))
    return bench, taken


def test_events_are_numbered_without_a_gap():
    bench, _ = busy_bench()
    assert [row.seq for row in bench.log] == list(range(1, len(bench.log) + 1))


def test_each_transition_has_one_event_that_continues_the_one_before():
    bench, _ = busy_bench()
    states: dict = {}
    for row in (row for row in bench.log if row.type.startswith("run.") and row.tick):
        key = (row.job, row.tick)
        if row.from_state and row.type != "run.stopping":
            assert states[key] == row.from_state, row
        elif not row.from_state:
            assert key not in states, row
        states[key] = row.to_state
    assert states == {key: str(run.state) for key, run in bench.kept.items()}


def test_an_event_writes_each_row_once():
    _, taken = busy_bench()
    for wanted in taken:
        keys = Counter(command.run.key for command in wanted if isinstance(command, commands.SaveRun))
        assert set(keys.values()) <= {1}


def test_what_is_to_be_kept_comes_before_what_is_to_be_done():
    _, taken = busy_bench()
    acts = (commands.StartAttempt, commands.StopAttempt)
    for wanted in taken:
        kinds = [isinstance(command, acts) for command in wanted]
        assert kinds == sorted(kinds)


def test_no_attempt_starts_without_its_row_and_number_in_the_same_commit():
    _, taken = busy_bench()
    for wanted in taken:
        new = {(c.attempt.job, c.attempt.tick, c.attempt.number) for c in wanted
               if isinstance(c, commands.SaveAttempt) and c.new}  # fmt: skip
        started = {(*c.run.key, c.run.attempts) for c in wanted if isinstance(c, commands.StartAttempt)}
        assert started == new


def test_an_attempt_number_starts_at_most_once():
    bench, _ = busy_bench()
    assert len(set(bench.starts)) == len(bench.starts)


# ---------------------------------------------------------------- memory


def test_memory_keeps_the_newest_row_that_joins_see_and_the_newest_schedule_tick():
    ledger = Ledger()
    for hour in range(1, 5):
        ledger.put(left_out(hour))
    person = Run("a", utc(2026, 3, 2, 5, ms=1), RunState.SUCCESS)
    alone = Run("a", utc(2026, 3, 2, 6, ms=1), RunState.SUCCESS, only=True)
    ledger.put(person)
    ledger.put(alone)
    ledger.forget("a", before=None, keep=())
    assert ledger.newest("a") == person
    assert ledger.newest_of_all("a") == alone
    assert ledger.schedule_tick_before("a", utc(2026, 3, 2, 9)) == utc(2026, 3, 2, 4)
    assert ledger.get(("a", utc(2026, 3, 2, 3))) is None


def test_memory_keeps_a_whole_chain_of_stand_ins():
    ledger = Ledger()
    for hour in range(1, 9):
        stand_in = utc(2026, 3, 2, hour + 1) if hour < 5 else None
        ledger.put(left_out(hour, state=RunState.CANCELLED, stand_in=stand_in))
    ledger.forget("a", before=None, keep=[utc(2026, 3, 2, 2)])
    assert [hour for hour in range(1, 9) if ledger.get(("a", utc(2026, 3, 2, hour)))] == [2, 3, 4, 5, 8]


def test_memory_holds_no_more_than_a_week_of_a_daily_job():
    bench = plan_of(job("a", schedule=Schedule(every=timedelta(days=1))), "b after a")
    for _ in range(500):
        bench.to(timedelta(days=1))
        bench.run_to_end()
        for id in ("a", "b"):
            assert len(list(bench.plan.book.ledger.between(id, None, bench.now))) <= 8
    assert bench.plan.book.ledger.live_count == 0


def test_a_definition_is_kept_when_it_is_new_and_no_earlier_one_stays_in_memory():
    bench = plan_of("a")
    for number in range(50):
        bench.configure(job("a", run=f"echo {number // 2}"), f"b{number}")
        bench.definitions.clear()
        bench.trigger("a")
        bench.trigger(f"b{number}")
        assert sorted(kept["id"] for kept in bench.definitions.values()) == ["a"] * (1 - number % 2) + [f"b{number}"]
        bench.run_to_end()
    book = bench.plan.book
    assert set(book._digests) == set(book._kept_digests) == {"a", "b49"}


def test_a_range_row_covers_each_instant_inside_it_and_none_outside():
    ledger = Ledger()
    ledger.put(left_out(2, until=5))
    covered = [hour for hour in range(8) if ledger.covering("a", utc(2026, 3, 2, hour))]
    assert covered == [2, 3, 4, 5]


def test_a_window_sees_a_range_row_that_reaches_into_it():
    ledger = Ledger()
    ledger.put(left_out(2, until=5))
    ledger.put(left_out(6))
    window = list(ledger.between("a", utc(2026, 3, 2, 3), utc(2026, 3, 2, 6)))
    assert [row.tick.hour for row in window] == [2, 6]
    assert [row.tick.hour for row in ledger.between("a", utc(2026, 3, 2, 5), utc(2026, 3, 2, 6))] == [6]
