"""Rows that are read from the store for an event, and what changes between the reading and the event."""

from dagsched.engine import events
from dagsched.model import Config
from tests.engine.bench_of_one import job, plan_of


def many_successes(bench, count=20):
    """Let job a run every minute, long enough that its older rows leave memory."""
    for minute in range(bench.now.minute + 1, bench.now.minute + 1 + count):
        bench.to(f"00:{minute:02}")
        bench.finish("a")


def edited(bench, rows):
    jobs = (job("a at * * * * *"), job("b after a:all at */5 * * * *"))
    bench.number += 1
    bench.apply(events.ConfigApplied(bench.now, Config({each.id: each for each in jobs}), bench.number, rows))


def test_a_run_that_was_read_alive_and_has_ended_since_does_not_come_back_to_life():
    bench = plan_of("a at * * * * *")
    bench.to("00:01")
    read = bench.row("a")
    bench.finish("a")
    many_successes(bench)
    assert bench.plan.book.ledger.get(read.key) is None
    edited(bench, (read,))
    assert bench.plan.running() == []


def test_what_is_read_while_rows_are_kept_is_still_in_memory_when_the_event_comes():
    bench = plan_of("a at * * * * *")
    bench.to("00:01")
    with bench.plan.keeping_rows():
        read = bench.row("a")
        bench.finish("a")
        many_successes(bench)
        edited(bench, (read,))
        assert str(bench.plan.book.ledger.get(read.key).state) == "success"
    assert "a" not in [run.job for run in bench.plan.running()]


def test_rows_that_were_kept_leave_memory_afterwards():
    bench = plan_of("a at * * * * *")
    bench.to("00:01")
    read = bench.row("a")
    with bench.plan.keeping_rows():
        bench.finish("a")
        many_successes(bench)
    many_successes(bench)
    assert bench.plan.book.ledger.get(read.key) is None
