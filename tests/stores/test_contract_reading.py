"""What every store answers: rows, snapshots and figures."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from dagsched.model import ConfigVersion, JobMark, Link, Match, Origin, is_schedule_tick
from dagsched.stores import Batch
from tests.stores.helpers import S, check, names
from tests.stores.make import (
    FULL_RUN,
    at,
    attempt,
    daemon,
    event,
    left_out,
    reader,
    row,
)

# ---------------------------------------------------------------- reading


LEDGER = Batch(
    runs=[
        row("a", 1),
        row("a", 2, S.FAILED),
        left_out("a", 3, 6),
        row("b", 2),
        row("b", 4, S.RUNNING),
        row("c", 6, S.MISSED),
    ]
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({}, ["c6", "a3", "b4", "b2", "a2", "a1"], id="all, newest first"),
        pytest.param({"newest_first": False}, ["a1", "a2", "b2", "b4", "a3", "c6"], id="all, oldest first"),
        pytest.param({"limit": 2}, ["c6", "a3"], id="the newest two"),
        pytest.param({"limit": 0}, [], id="none at all"),
        pytest.param({"newest_first": False, "limit": 2}, ["a1", "a2"], id="the oldest two"),
        pytest.param({"after": at(2)}, ["c6", "a3", "b4"], id="the lower bound is left out"),
        pytest.param({"until": at(2)}, ["b2", "a2", "a1"], id="the upper bound is included"),
        pytest.param({"after": at(4), "until": at(5)}, [], id="a range row counts by its last tick alone"),
        pytest.param({"job": "a"}, ["a3", "a2", "a1"], id="of one job"),
        pytest.param({"job": "a", "newest_first": False, "after": at(1)}, ["a2", "a3"], id="of one job, bounded"),
        pytest.param({"job": "a", "states": [S.FAILED, S.SUCCESS]}, ["a2", "a1"], id="of one job in two states"),
        pytest.param({"job": "nobody"}, [], id="of no such job"),
        pytest.param({"states": [S.SUCCESS]}, ["b2", "a1"], id="in one state"),
        pytest.param({"states": [S.SUCCESS, S.RUNNING, S.MISSED]}, ["c6", "b4", "b2", "a1"], id="in three states"),
        pytest.param(
            {"states": [S.SUCCESS, S.RUNNING], "newest_first": False, "limit": 2},
            ["a1", "b2"],
            id="states and limit",
        ),
        pytest.param({"states": [S.SUCCESS, S.SUCCESS]}, ["b2", "a1"], id="a state named twice"),
        pytest.param({"states": [S.CANCELLED]}, [], id="in a state nothing is in"),
    ],
)
def test_rows_are_found_by_job_time_and_state(engine, arguments, expected):
    async def body(store):
        assert names(await store.rows(**arguments)) == expected

    check(engine, body, LEDGER)


@pytest.mark.parametrize(
    ("jobs", "each", "bounds", "expected"),
    [
        pytest.param("abc", 2, {}, {"a": ["a3", "a2"], "b": ["b4", "b2"], "c": ["c6"]}, id="the newest two"),
        pytest.param("ca", 1, {}, {"c": ["c6"], "a": ["a3"]}, id="in the order asked for"),
        pytest.param("a", 9, {"after": at(1)}, {"a": ["a3", "a2"]}, id="the lower bound is left out"),
        pytest.param("ab", 9, {"until": at(2)}, {"a": ["a2", "a1"], "b": ["b2"]}, id="the upper bound is included"),
        pytest.param("c", 9, {"until": at(5)}, {}, id="a job without rows there is left out"),
        pytest.param(["c", "nobody", "c"], 1, {}, {"c": ["c6"]}, id="of a job named twice and one without rows"),
        pytest.param(['a"]', "\u2028"], 5, {}, {}, id="of jobs with odd names"),
        pytest.param("", 9, {}, {}, id="of no jobs"),
        pytest.param("a", 0, {}, {}, id="none of each"),
    ],
)
def test_the_newest_rows_of_each_job_are_found(engine, jobs, each, bounds, expected):
    async def body(store):
        found = await store.newest(list(jobs), each, **bounds)
        assert {job: names(runs) for job, runs in found.items()} == expected
        assert list(found) == list(expected)

    check(engine, body, LEDGER)


def test_what_lists_do_not_show_is_not_read_with_the_newest_rows(engine):
    async def body(store):
        [found] = (await store.newest(["load"], 1))["load"]
        shown = ("state", "until", "reason", "origin", "started", "ended", "attempts", "exit_code", "acked", "late")
        assert [getattr(found, name) for name in shown] == [getattr(FULL_RUN, name) for name in shown]
        assert (found.links, found.params, found.outputs, found.definition) == ((), {}, {}, "")

    check(engine, body, Batch(runs=[FULL_RUN]))


LOG = Batch(
    events=[
        event(1, type="run.started", job="a", tick=at(1)),
        event(2, type="config.applied"),
        event(3, type="run.failed", job="b", tick=at(1)),
        event(4, type="run.failed", job="a", tick=at(1)),
    ]
)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param({}, [4, 3, 2, 1], id="newest first"),
        pytest.param({"limit": 2}, [4, 3], id="at most so many"),
        pytest.param({"after": 1, "before": 4}, [3, 2], id="both bounds are left out"),
        pytest.param({"kind": "run."}, [4, 3, 1], id="of a kind"),
        pytest.param({"kind": "run.failed", "job": "a"}, [4], id="of a kind and job"),
        pytest.param({"job": "a"}, [4, 1], id="of a job"),
        pytest.param({"kind": "un"}, [], id="a kind is the begin of a type"),
        pytest.param({"kind": "%"}, [], id="a kind is no pattern"),
    ],
)
def test_events_are_found_newest_first(engine, arguments, expected):
    async def body(store):
        found = await store.newest_events(**{"after": 0, "before": 10, "limit": 10} | arguments)
        assert [row.seq for row in found] == expected

    check(engine, body, LOG)


@pytest.mark.parametrize(
    ("hour", "ms", "expected"),
    [
        (1, 0, ["a1"]),
        (1.5, 0, []),
        (3, 0, ["a3"]),
        (4.5, 0, ["a3"]),
        (6, 0, ["a3"]),
        (6, 1, []),
        (0, 0, []),
    ],
)
def test_a_tick_is_covered_by_its_own_row_or_by_the_range_it_lies_in(engine, hour, ms, expected):
    async def body(store):
        found = await store.run("a", at(hour, ms=ms))
        assert names([found] if found else []) == expected

    check(engine, body, LEDGER)


def test_many_ticks_are_looked_up_at_once_each_as_on_its_own(engine):
    wanted = [(job, at(hour)) for job in ("a", "b", "no such job") for hour in range(8)]

    async def body(store):
        one_by_one = {key: run for key in wanted if (run := await store.run(*key)) is not None}
        assert one_by_one
        assert await store.runs([*wanted, *wanted]) == one_by_one
        assert await store.runs([]) == {}

    check(engine, body, LEDGER)


def test_a_manual_run_inside_a_range_is_found_and_hides_nothing(engine):
    manual = row("a", 4)._replace(tick=at(4, ms=1), origin=Origin.MANUAL)

    async def body(store):
        assert not is_schedule_tick(manual.tick)
        assert await store.run("a", manual.tick) == manual
        assert (await store.run("a", at(5))).tick == at(3)

    check(engine, body, LEDGER, Batch(runs=[manual]))


def test_a_range_does_not_cover_what_lies_between_two_ranges(engine):
    async def body(store):
        assert await store.run("a", at(3)) is None
        assert (await store.run("a", at(4))).tick == at(4)

    check(engine, body, Batch(runs=[left_out("a", 1, 2), left_out("a", 4, 5), left_out("a", 7, 8)]))


def test_events_are_read_from_a_number_on(engine):
    async def body(store):
        assert [e.seq for e in await store.events()] == [1, 2, 3, 4]
        assert [e.seq for e in await store.events(since=2)] == [3, 4]
        assert [e.seq for e in await store.events(since=1, limit=2)] == [2, 3]
        assert [e.seq for e in await store.events(job="a")] == [2, 4]
        assert [e.seq for e in await store.events(job="a", since=2, limit=5)] == [4]

    events = [event(1), event(2, job="a"), event(3, job="b"), event(4, job="a")]
    check(engine, body, Batch(events=events[:3]), Batch(events=events[3:]))


def test_the_configuration_in_force_at_an_instant_is_the_newest_applied_by_then(engine):
    versions = [ConfigVersion(number, at(number), f"d{number}", {}) for number in (1, 2, 3)]

    async def body(store):
        assert await store.configs() == versions[::-1]
        assert await store.configs(limit=1) == versions[2:]
        assert await store.configs(limit=1, at=at(2)) == [versions[1]]
        assert await store.configs(at=at(0.5)) == []

    check(engine, body, *(Batch(config=version) for version in versions))


# ---------------------------------------------------------------- the snapshot


def test_a_snapshot_holds_live_and_newest_rows_and_leaves_out_finished_ones(engine):
    async def body(store):
        snapshot = await store.snapshot({})
        assert names(snapshot.runs) == ["b2", "a3", "c3"]

    runs = [
        row("a", 1),
        row("a", 3),
        row("b", 1),
        row("b", 2, S.RETRYING),
        row("c", 1),
        row("c", 3, S.WAITING),
    ]
    check(engine, body, Batch(runs=runs))


def test_a_snapshot_holds_the_rows_that_cover_ticks_after_a_horizon(engine):
    async def body(store):
        snapshot = await store.snapshot({"a": at(2), "nobody": at(0)})
        assert names(snapshot.runs) == ["a1", "a4", "b4", "a5"]

    runs = [row("a", 0), left_out("a", 1, 3), row("a", 4), row("a", 5), row("b", 3), row("b", 4)]
    check(engine, body, Batch(runs=runs))


def test_a_snapshot_holds_what_live_rows_are_linked_to_and_what_stands_in(engine):
    links = (Link("up", at(1), Match.LATEST), Link("up", None), Link("gone", at(1)))
    runs = [
        row("down", 5, S.WAITING, links=links),
        row("down", 4, links=(Link("up", at(0)),)),
        row("up", 0),
        left_out("up", 0.5, 1.5, stand_in=at(2)),
        row("up", 2),
        row("up", 3),
    ]

    async def body(store):
        assert names((await store.snapshot({})).runs) == ["up0", "up2", "up3", "down5"]
        assert (await store.snapshot({})).runs[0].until == at(1.5)

    check(engine, body, Batch(runs=runs))


def test_a_snapshot_holds_open_attempts_position_and_configuration(engine):
    opened, ended = attempt("a", 1, 2), attempt("a", 1, 1, ended=at(2))
    mark, config = JobMark("a", at(1)), ConfigVersion(7, at(), "d", {})

    async def body(store):
        snapshot = await store.snapshot({})
        assert snapshot.attempts == [opened]
        assert (snapshot.last_event, snapshot.last_seen) == (2, at(5))
        assert (snapshot.marks, snapshot.config) == ([mark], config)

    batch = Batch(
        runs=[row("a", 1, S.RUNNING)],
        new_attempts=[ended, opened],
        events=[event(1, 6), event(2, 5)],
        marks=[mark],
        config=config,
    )
    check(engine, body, batch)


def test_the_snapshot_of_a_new_state_is_empty(engine):
    async def body(store):
        snapshot = await store.snapshot({"a": at()})
        assert (snapshot.runs, snapshot.attempts, snapshot.marks, snapshot.requests) == ([], [], [], [])
        assert (snapshot.last_event, snapshot.last_seen, snapshot.config) == (0, None, None)

    check(engine, body)


# ---------------------------------------------------------------- figures and health


def test_statistics_count_states_and_measure_the_last_attempt(engine):
    runs = [row("a", hour, attempts=1) for hour in range(1, 5)]
    runs += [row("a", 6, S.FAILED, attempts=2), row("a", 7, S.SKIPPED), row("a", 8, S.RUNNING, attempts=1)]
    attempts = [
        attempt("a", hour, started=at(hour + 0.1), ended=at(hour + 0.1) + timedelta(seconds=10 * hour))
        for hour in range(1, 5)
    ]
    attempts += [
        attempt("a", 6, 1, started=at(6.2), ended=at(6.5)),
        attempt("a", 6, 2, started=at(6.6), ended=at(6.6) + timedelta(seconds=100)),
        attempt("a", 8, 1, started=at(8)),
    ]

    async def body(store):
        [figures] = await store.statistics()
        assert (figures["job"], figures["total"], figures["success"], figures["failed"]) == ("a", 7, 4, 1)
        assert (figures["skipped"], figures["running"], figures["missed"]) == (1, 1, 0)
        assert figures["success_rate"] == 0.8
        assert [figures[f"duration_{name}_s"] for name in ("mean", "p50", "p95")] == [40.0, 30.0, 100.0]
        assert figures["lateness_mean_s"] == (4 * 360 + 720 + 0) / 6
        assert figures["lateness_p95_s"] == 720.0
        assert (figures["last_success"], figures["last_failure"]) == (at(4.5), at(6.5))

    check(engine, body, Batch(runs=runs, new_attempts=attempts))


def test_statistics_can_be_of_one_job_and_since_an_instant(engine):
    runs = [row("a", 1), row("a", 2), row("b", 2), row("b", 3, origin=Origin.MANUAL)]
    attempts = [attempt("b", 3, started=at(9))]

    async def body(store):
        assert [(f["job"], f["total"]) for f in await store.statistics()] == [("a", 2), ("b", 2)]
        assert [(f["job"], f["total"]) for f in await store.statistics(since=at(2))] == [("a", 1), ("b", 2)]
        [b] = await store.statistics("b", since=at(3))
        assert (b["total"], b["success_rate"], b["duration_mean_s"]) == (1, 1.0, None)
        assert b["lateness_mean_s"] is None, "a person's run cannot be late"
        assert await store.statistics("nobody") == []

    check(engine, body, Batch(runs=runs, new_attempts=attempts))


def test_lengths_are_those_of_the_newest_hundred_tried_runs(engine):
    runs = [row("a", hour, attempts=1) for hour in range(120)] + [row("a", 200 + n, S.SKIPPED) for n in range(50)]
    attempts = [
        attempt("a", hour, started=at(hour), ended=at(hour) + timedelta(seconds=hour < 20)) for hour in range(120)
    ]

    async def body(store):
        [figures] = await store.statistics()
        assert (figures["total"], figures["success"], figures["duration_mean_s"]) == (170, 120, 0.0)
        assert figures["lateness_mean_s"] == 0.0

    check(engine, body, Batch(runs=runs, new_attempts=attempts))


def test_runs_are_counted_by_job_and_state_whatever_becomes_of_them(engine):
    async def body(store):
        assert await store.counts() == {"a": {"failed": 2, "skipped": 1, "running": 1}, "b": {"success": 1}}
        await store.commit(Batch(runs=[row("a", 1, S.QUEUED), row("a", 4)], split=[("a", at(3))]))
        assert await store.counts() == {"a": {"queued": 1, "failed": 1, "success": 1}, "b": {"success": 1}}
        await store.prune(before=at(4), keep=frozenset())
        assert await store.counts() == {"a": {"queued": 1, "success": 1}, "b": {"success": 1}}
        assert await store.check() == []

    runs = [row("a", 1, S.FAILED), row("a", 2, S.FAILED), left_out("a", 3, 3.5), row("a", 4, S.RUNNING), row("b", 1)]
    check(engine, body, Batch(runs=runs))


def test_the_last_failure_is_remembered_when_its_run_is_gone(engine):
    async def body(store):
        await store.prune(before=at(4), keep=frozenset())
        [figures] = await store.statistics()
        assert (figures["failed"], figures["last_failure"]) == (0, at(1.5))
        [figures] = await store.statistics(since=at(0))
        assert figures["last_failure"] is None

    check(engine, body, Batch(runs=[row("a", 1, S.FAILED), row("a", 5)]))


def test_a_sound_state_has_no_findings_and_an_attempt_without_run_is_one(engine):
    async def main():
        batch = Batch(runs=[row("a", 1, attempts=1)], new_attempts=[attempt("a", 1, ended=at(2))])
        async with daemon(engine.handle(), batch) as store:
            assert await store.check() == []
        engine.spoil("a")
        async with reader(engine.handle()) as store:
            assert [finding for finding in await store.check() if "attempt 1 of a" in finding]

    asyncio.run(main())


def test_attempts_are_found_by_when_they_started(engine):
    made = [attempt("a", hour, number) for hour in range(4) for number in (1, 2)] + [attempt("b", 2)]

    async def body(store):
        found = await store.started_since(at(2, ms=5))
        assert [(each.job, each.tick, each.number) for each in found] == [
            ("a", at(2), 1), ("a", at(2), 2), ("b", at(2), 1), ("a", at(3), 1), ("a", at(3), 2)
        ]  # fmt: skip
        assert await store.started_since(at(4)) == []

    rows = [row("a", hour) for hour in range(4)] + [row("b", 2)]
    check(engine, body, Batch(runs=rows, new_attempts=made))


def test_starts_are_found_over_more_than_one_page(engine):
    made = [attempt("a", 1, number) for number in range(1, 2_500)]

    async def body(store):
        assert await store.started_since(at()) == made

    check(engine, body, Batch(runs=[row("a", 1)], new_attempts=made))


def test_the_newest_end_in_each_state_is_remembered_whatever_becomes_of_the_runs(engine):
    async def body(store):
        ends = {"a": {"failed": at(2.5), "skipped": at(3.5)}, "b": {"success": at(1.5)}}
        assert await store.last_ends() == ends
        await store.commit(Batch(runs=[row("a", 2, S.QUEUED), row("b", 3)]))
        await store.prune(before=at(4), keep=frozenset())
        assert await store.last_ends() == {**ends, "b": {"success": at(3.5)}}

    runs = [row("a", 1, S.FAILED), row("a", 2, S.FAILED), left_out("a", 3, 3.5), row("a", 4, S.RUNNING), row("b", 1)]
    check(engine, body, Batch(runs=runs))
