"""Figures by day: exact where they can be, near where not, and never of one run twice."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.model import Origin, RunState
from dagsched.stores import Batch
from dagsched.stores.contract import Bound
from dagsched.stores.rollup import Rollup, RowFacts, Spread, rolled_up
from dagsched.stores.statistics import percentile_s
from tests.stores.make import at, attempt, daemon, left_out, row

LENGTHS = st.lists(st.integers(0, 10**8), max_size=30)


def spread(values):
    found = Spread()
    for value in values:
        found.take(value)
    return found


@settings(deadline=None)
@given(LENGTHS, LENGTHS)
def test_two_parts_make_the_whole_and_one_can_be_taken_away_again(one, two):
    whole = spread(one)
    whole.merge(spread(two))
    assert whole == spread([*one, *two])
    left = whole.without(spread(two))
    assert (left.count, left.total_ms, left.bins) == (len(one), sum(one), spread(one).bins)


@pytest.mark.parametrize("percent", [50, 95])
def test_percentiles_are_at_most_a_tenth_off(percent):
    rng = random.Random(7)
    for _ in range(50):
        values = [round(rng.lognormvariate(7, 2)) + 20 for _ in range(rng.randint(1, 400))]
        exact, found = percentile_s(values, percent), spread(values).percentile_s(percent)
        assert found == pytest.approx(exact, rel=0.1)


def test_a_single_length_is_told_as_it_is_and_nothing_as_nothing():
    assert spread([1234]).percentile_s(95) == 1.234
    assert (Spread().percentile_s(50), Spread().mean_s()) == (None, None)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["success", "failed"]), st.none() | st.integers(0, 9999), st.none())))
def test_a_rollup_comes_back_from_text_as_it_was(rows):
    days = rolled_up(RowFacts("a", 0, *each) for each in rows)
    for rollup in days.values():
        assert Rollup.of(rollup.as_text()) == rollup


# ---------------------------------------------------------------- through the stores

RUNS = [
    *(row("a", 24 * day + 1, attempts=1) for day in range(6)),
    row("a", 2, RunState.FAILED, attempts=2),
    row("a", 3, attempts=1, origin=Origin.MANUAL),
    left_out("a", 4, 9),
    row("b", 25, attempts=1),
    row("b", 150, RunState.RUNNING, attempts=1),
]
ATTEMPTS = [
    *(attempt("a", 24 * day + 1, ended=at(24 * day + 1, ms=1005)) for day in range(6)),
    attempt("a", 2, 1, ended=at(2, ms=500)),
    attempt("a", 2, 2, started=at(2, ms=1000), ended=at(2, ms=4000)),
    attempt("a", 3, ended=at(3, ms=2005)),
    attempt("b", 25, ended=at(25, ms=7005)),
]


def through(engine, *steps):
    """Return the figures after each of these steps on a store with RUNS."""

    async def main():
        async with daemon(engine.handle(), Batch(runs=RUNS, new_attempts=ATTEMPTS)) as store:
            found = [await store.statistics(by="day")]
            for step in steps:
                await step(store)
                found.append(await store.statistics(by="day"))
            assert await store.check() == []
            return found

    return asyncio.run(main())


def rollup(store):
    return store.rollup(before=at(24 * 4 + 5))


def prune(store):
    return store.prune(before=at(24 * 3), keep=frozenset())


def prune_all_but_two(store):
    return store.prune(before=at(999), keep=frozenset(), bounds=[Bound("a", at(999), 2), Bound("b", at(999), 1)])


def test_figures_are_those_of_the_rows(engine):
    [found] = through(engine)
    first = found[0]
    assert [each["day"] for each in found if each["job"] == "a"] == [at(24 * day) for day in range(6)]
    assert (first["total"], first["success"], first["failed"], first["skipped"]) == (4, 2, 1, 1)
    assert (first["duration_mean_s"], first["duration_max_s"]) == (2.0, 3.0)
    assert first["lateness_mean_s"] == 0.005
    assert sum(each["total"] for each in found) == 10


@pytest.mark.parametrize(
    "steps",
    [
        (rollup,),
        (rollup, rollup),
        (prune, prune_all_but_two),
        (rollup, prune, rollup),
        (prune, rollup, prune_all_but_two, rollup),
        (rollup, prune_all_but_two),
    ],
    ids=lambda steps: " ".join(step.__name__ for step in steps),
)
def test_neither_roll_ups_nor_retention_change_a_figure(engine, steps):
    before, *after = through(engine, *steps)
    for found in after:
        assert found == before


def test_a_roll_up_of_what_has_not_changed_changes_nothing(engine):
    async def main():
        async with daemon(engine.handle(), Batch(runs=RUNS, new_attempts=ATTEMPTS)) as store:
            assert await store.rollup(before=at(99)) == 5
            assert await store.rollup(before=at(99)) == 0
            await store.commit(Batch(runs=[row("a", 5, attempts=0)]))
            assert await store.rollup(before=at(99)) == 1

    asyncio.run(main())


def test_weeks_begin_on_monday_and_since_counts_from_its_day(engine):
    async def main():
        async with daemon(engine.handle(), Batch(runs=RUNS, new_attempts=ATTEMPTS)) as store:
            weeks = await store.statistics("a", by="week")
            assert [(each["week"].day, each["total"]) for each in weeks] == [(16, 5), (23, 4)]
            [month] = await store.statistics("a", by="month", since=at(24 * 2 + 15))
            assert (month["month"].day, month["total"]) == (1, 4)

    asyncio.run(main())


def test_a_dry_run_counts_and_deletes_nothing(engine):
    async def main():
        async with daemon(engine.handle(), Batch(runs=RUNS, new_attempts=ATTEMPTS)) as store:
            bounds = [Bound("a", at(999), 2), Bound("a", at(48))]
            would = await store.prune(before=at(999), keep=frozenset(), bounds=bounds, dry_run=True)
            assert len(await store.rows()) == len(RUNS)
            assert await store.prune(before=at(999), keep=frozenset(), bounds=bounds) == would == 7

    asyncio.run(main())


def test_compacting_says_what_is_in_use(engine):
    async def main():
        async with daemon(engine.handle(), Batch(runs=RUNS, new_attempts=ATTEMPTS)) as store:
            before, after = await store.compact()
            assert after <= before

    asyncio.run(main())
