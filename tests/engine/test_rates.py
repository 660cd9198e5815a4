"""Rate limits: never more starts in any window than allowed, whatever happens in between."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.config.rates import parse_rate
from dagsched.daemon.restoring import restored, starts_for_edit
from dagsched.engine import events
from dagsched.engine.rates import Rates, Start
from dagsched.engine.verdicts import blocking
from dagsched.model import Config, RateLimit
from dagsched.stores import MemoryStore
from tests.engine.bench_of_one import START, Bench, job, plan_of
from tests.engine.test_restoring_from_store import batch_of

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def started_at(bench: Bench) -> list[str]:
    """Return the wall times of all starts, to the second."""
    runs = [(event.time, event.job) for event in bench.log if event.type == "run.started"]
    return [f"{job} {time:%H:%M:%S}" for time, job in runs]


def test_starts_beyond_the_limit_wait_until_the_window_has_moved_on():
    bench = plan_of(job("a", overlap="allow", rate_limit="2/1m"))
    for _ in range(4):
        bench.trigger("a")
    assert len(bench.plan.running()) == 2
    bench.to(59 * SECOND)
    assert len(bench.plan.running()) == 2
    bench.to(2 * SECOND)
    assert len(bench.plan.running()) == 4


def test_retries_count_and_wait_too():
    bench = plan_of(job("a", retry=3, rate_limit="1/5m"))
    bench.trigger("a")
    bench.fail("a")
    bench.to(MINUTE)
    assert bench.state("a") == "retrying"
    assert blocking(bench.plan, bench.row("a")) == "rate_limit 1/5m allows its next start at 2026-03-02T00:05:00Z"
    bench.to(4 * MINUTE)
    assert started_at(bench) == ["a 00:00:00", "a 00:05:00"]


def test_a_job_at_its_limit_holds_up_nobody_else_in_its_pool():
    bench = plan_of(job("a", pool="p", overlap="allow", rate_limit="1/1h"), job("b", pool="p"), pools={"p": 5})
    bench.trigger("a")
    bench.trigger("a")
    bench.trigger("b")
    assert bench.started() == ["a", "b"]


def test_a_pool_shares_one_limit_among_its_jobs():
    bench = plan_of(job("a", pool="p"), job("b", pool="p"), job("c"), rates={"p": RateLimit(1, MINUTE)})
    for name in "abc":
        bench.trigger(name)
    assert bench.started() == ["a", "c"]
    expected = "rate_limit 1/1m of pool p allows its next start at 2026-03-02T00:01:00Z"
    assert blocking(bench.plan, bench.row("b")) == expected
    bench.finish("a")
    bench.to(MINUTE)
    assert bench.started() == ["a", "c", "b"]


def test_a_limit_wakes_the_daemon_at_the_very_instant_and_not_before():
    bench = plan_of(job("a", overlap="allow", rate_limit="1/90s"))
    bench.trigger("a")
    assert bench.plan.wake_at() is None
    bench.trigger("a")
    assert bench.plan.wake_at() == START + 90 * SECOND


def test_the_higher_priority_goes_first_where_a_pool_s_limit_lets_one_go():
    bench = plan_of(
        job("a", pool="p"), job("low", pool="p"), job("high", pool="p", priority=1), rates={"p": RateLimit(1, MINUTE)}
    )
    for name in ("a", "low", "high"):
        bench.trigger(name)
    bench.to(MINUTE)
    assert bench.started() == ["a", "high"]


def test_a_limit_moves_with_a_clock_that_is_set():
    bench = plan_of(job("a", overlap="allow", rate_limit="1/10m"))
    bench.trigger("a")
    bench.trigger("a")
    bench.now += timedelta(hours=3)
    bench.apply(events.ClockStepped(bench.now, timedelta(hours=3)))
    assert len(bench.plan.running()) == 1
    bench.to(10 * MINUTE)
    assert len(bench.plan.running()) == 2


def test_a_start_that_a_clock_set_back_makes_look_future_counts_as_now():
    rates = Rates()
    limited = job("a", rate_limit="1/10m")
    rates.note(limited, {}, START + timedelta(hours=5))
    assert rates.job_opens(limited, START) == START + 10 * MINUTE


def test_a_tighter_limit_counts_what_was_started_before_the_edit():
    bench = plan_of(job("a", overlap="allow"))
    bench.trigger("a")
    bench.finish("a")
    bench.to(MINUTE)
    bench.configure(job("a", overlap="allow", rate_limit="1/1h"), starts=(Start("a", "", START),))
    bench.trigger("a")
    assert bench.started() == ["a"]
    assert blocking(bench.plan, bench.row("a")) == "rate_limit 1/1h allows its next start at 2026-03-02T01:00:00Z"


def test_an_attempt_under_way_counts_for_a_limit_that_an_edit_makes():
    bench = plan_of(job("a", overlap="allow", pool="p"), pools={"p": 9})
    bench.trigger("a")
    bench.configure(job("a", overlap="allow", pool="p"), pools={"p": 9}, rates={"p": RateLimit(1, MINUTE)})
    bench.trigger("a")
    assert bench.started() == ["a"]


def test_an_order_that_is_given_again_counts_again():
    bench = plan_of(job("a", overlap="allow", rate_limit="1/10m"))
    bench.trigger("a")
    bench.restart(after=timedelta(minutes=9))
    bench.trigger("a")
    bench.to(5 * MINUTE)
    assert bench.starts == [bench.starts[0], bench.starts[0]]


MOVES = st.lists(st.tuples(st.sampled_from(["trigger", "wait", "restart", "edit", "fail"]), st.integers(0, 90)))


class Stored(Bench):
    """A bench whose plan is kept in a store, and made from it again."""

    def __init__(self, *jobs, **options):
        self.store = MemoryStore()
        asyncio.run(self.store.open(write=True))
        asyncio.run(self.store.acquire("test"))
        super().__init__(*jobs, **options)

    def apply(self, event):
        wanted = self.plan.apply(event)
        for command in wanted:
            self._take(command)
        asyncio.run(self.store.commit(batch_of(wanted)))

    def configure(self, *jobs, rates=None, **more):
        config = Config({each.id: each for each in jobs}, pool_rates=rates or {})
        starts = asyncio.run(starts_for_edit(self.store, self.plan, config, self.now))
        super().configure(*jobs, rates=rates, starts=starts)

    def come_again(self):
        config = Config(self.plan.book.jobs, digest=str(self.number), pool_rates=self.plan.book.pool_rates)
        last = asyncio.run(self.store.configs(limit=1))[0]
        living = frozenset((run.name, run.attempts) for run in self.plan.running())
        self.plan, _ = asyncio.run(restored(self.store, config._replace(digest=last.digest), self.now, slots=None))
        self.apply(events.Recovered(self.now, living, (), frozenset()))
        self.apply(events.ConfigApplied(self.now, config, self.number))


def most_in_a_window(stamps: list[datetime], per: timedelta) -> int:
    return max((sum(start <= other < start + per for other in stamps) for start in stamps), default=0)


@settings(max_examples=60, deadline=None)
@given(MOVES)
def test_no_window_ever_holds_more_starts_than_allowed(moves):
    jobs = [job(name, overlap="allow", rate_limit="3/1m", pool="p", retry=3) for name in "ab"]
    rates = {"p": RateLimit(4, timedelta(seconds=90))}
    bench = Stored(*jobs, rates=rates)
    for what, number in moves:
        if what == "trigger":
            bench.trigger("ab"[number % 2])
        elif what == "wait":
            bench.to(number * SECOND)
        elif what == "fail" and bench.plan.running():
            bench.fail(bench.plan.running()[0].job)
        elif what == "restart":
            bench.now += number * SECOND
            bench.come_again()
        elif what == "edit":
            bench.configure(*(each._replace(priority=number) for each in jobs), rates=rates)
    starts = [(event.time, event.job) for event in bench.log if event.type == "run.started"]
    for name in "ab":
        assert most_in_a_window([time for time, job in starts if job == name], MINUTE) <= 3
    assert most_in_a_window([time for time, _ in starts], 90 * SECOND) <= 4


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 5), st.integers(1, 12))
def test_a_limit_delays_nobody_longer_than_it_must(starts, runs):
    bench = plan_of(job("a", overlap="allow", rate_limit=f"{starts}/1m"))
    for _ in range(runs):
        bench.trigger("a")
    bench.to(timedelta(hours=1))
    expected = [number // starts for number in range(runs)]
    times = [event.time for event in bench.log if event.type == "run.started"]
    assert [(time - START) // MINUTE for time in times] == expected


@pytest.mark.parametrize("text", ["10/1m", "1/90s", "100000/31d"])
def test_a_limit_is_written_as_it_is_read(text):
    assert parse_rate(str(parse_rate(text))) == parse_rate(text)


def test_a_limit_costs_a_job_without_one_nothing_to_remember():
    bench = plan_of(job("a", overlap="allow"), job("b", rate_limit="5/1m"))
    bench.trigger("a")
    bench.trigger("b")
    assert list(bench.plan.seats.gates.rates._starts) == [("job", "b")]
