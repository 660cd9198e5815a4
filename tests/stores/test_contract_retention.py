"""The contract of all stores: what retention deletes, and what it leaves."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.model import Link
from dagsched.stores import Batch
from dagsched.stores.contract import Bound
from tests.stores.helpers import S, check, names
from tests.stores.make import (
    at,
    attempt,
    event,
    left_out,
    row,
)


def test_retention_deletes_old_finished_rows_with_their_attempts_and_events(engine):
    batch = Batch(
        runs=[row("a", 1), row("a", 2), row("a", 9)],
        new_attempts=[attempt("a", 1), attempt("a", 2)],
        events=[event(1), event(2, 1, job="a", tick=at(1)), event(3, 9, job="a", tick=at(9))],
    )

    async def body(store):
        assert await store.prune(before=at(5), keep=frozenset()) == 2
        assert names(await store.rows()) == ["a9"]
        assert await store.attempts("a", at(1)) == []
        assert [e.seq for e in await store.events()] == [1, 3]
        assert await store.prune(before=at(5), keep=frozenset()) == 0

    check(engine, body, batch)


@pytest.mark.parametrize("bounds", [None, [], [Bound("a", at(5))]], ids=["all", "no job", "one job"])
def test_events_of_no_run_go_by_their_own_age(engine, bounds):
    batch = Batch(
        runs=[row("a", 1), row("a", 9)],
        events=[
            event(1, 1, type="api.audit"),
            event(2, 2, type="JobPaused", job="a"),
            event(3, 4, type="api.audit"),
            event(4, 4, job="a", tick=at(9)),
            event(5, 9, type="api.audit"),
        ],
    )

    async def body(store):
        common = {"before": at(5), "keep": frozenset(), "bounds": bounds}
        await store.prune(**common)
        await store.prune(**common, events_before=at(3), dry_run=True)
        assert [e.seq for e in await store.events()] == [1, 2, 3, 4, 5]
        await store.prune(**common, events_before=at(3))
        assert [e.seq for e in await store.events()] == [3, 4, 5]
        await store.prune(**common, events_before=at(5))
        assert [e.seq for e in await store.events()] == [4, 5]
        # The numbers go on from the newest, and a reader who had seen 1 is told what is left after it.
        await store.commit(Batch(events=[event(6, 9)]))
        assert [e.seq for e in await store.events(since=1)] == [4, 5, 6]
        assert await store.check() == []

    check(engine, body, batch)


def test_event_numbers_go_on_after_the_newest_event_was_pruned(engine):
    async def body(store):
        await store.prune(before=at(5), keep=frozenset())
        assert await store.events() == []
        await store.commit(Batch(events=[event(3)]))
        assert (await store.snapshot({})).last_event == 3

    batch = Batch(
        runs=[row("a", 1), row("a", 6)],
        events=[event(1, 1, job="a", tick=at(1)), event(2, 2, job="a", tick=at(1))],
    )
    check(engine, body, batch)


def test_retention_spares_newest_live_linked_and_named_rows(engine):
    runs = [
        row("newest", 1),
        row("live", 1, S.WAITING, links=(Link("up", at(2)),)),
        row("live", 9),
        row("up", 1),
        left_out("up", 1.5, 2.5, stand_in=at(3)),
        row("up", 3),
        row("up", 3.5),
        row("up", 9),
        row("named", 1),
        row("named", 2),
        row("named", 9),
        row("late", 1, ended=at(7)),
        row("late", 9),
        left_out("long", 1, 6),
        row("long", 9),
    ]

    async def body(store):
        assert await store.prune(before=at(5), keep=frozenset({("named", at(2)), ("gone", at(2))})) == 3
        left = {(run.job, run.tick) for run in await store.rows()}
        assert {(run.job, run.tick) for run in runs} - left == {
            ("up", at(1)),
            ("up", at(3.5)),
            ("named", at(1)),
        }

    check(engine, body, Batch(runs=runs))


def test_retention_works_through_more_rows_than_one_chunk(engine):
    runs = [row("a", 1)._replace(tick=at(1) + timedelta(seconds=second), ended=at(3)) for second in range(2500)]
    events = [event(n + 1, 2, job="a", tick=run.tick) for n, run in enumerate(runs)]
    events += [event(2501 + n, 2) for n in range(4000)]

    async def body(store):
        assert await store.prune(before=at(5), keep=frozenset()) == 2499
        assert [run.tick for run in await store.rows()] == [runs[-1].tick]
        assert [e.seq for e in await store.events()] == list(range(2500, 6501))

    check(engine, body, Batch(runs=runs, events=events))
