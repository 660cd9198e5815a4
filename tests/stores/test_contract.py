"""What every store promises: the contract in executable form."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dagsched.errors import FencedOut, IntegrityBroken, StoreError, StoreHeld, StoreMissing
from dagsched.model import EMPTY, Again, Backfill, BackfillState, ConfigVersion, Emission, JobMark, Kept
from dagsched.stores import Batch
from tests.stores.helpers import S, check, everything, names
from tests.stores.make import (
    FULL_ATTEMPT,
    FULL_EVENT,
    FULL_RUN,
    at,
    attempt,
    daemon,
    event,
    left_out,
    reader,
    row,
)

# ---------------------------------------------------------------- values come back as they went in


def test_a_committed_row_attempt_and_event_come_back_with_every_field(engine):
    async def body(store):
        assert await store.run(FULL_RUN.job, FULL_RUN.tick) == FULL_RUN
        assert await store.attempts(FULL_RUN.job, FULL_RUN.tick) == [FULL_ATTEMPT]
        assert await store.events() == [FULL_EVENT]

    check(engine, body, Batch(runs=[FULL_RUN], new_attempts=[FULL_ATTEMPT], events=[FULL_EVENT]))


def test_marks_definitions_and_configurations_come_back(engine):
    mark = JobMark("load", at(3), paused=at(2), started_runs=4, schedule_since=at(1))
    config = ConfigVersion(1, at(), "d1", {"/etc/jobs.yaml": "jobs: {}\n"}, "1 job added")

    async def body(store):
        assert await store.marks() == {"load": mark}
        assert await store.configs() == [config]
        assert await store.definition("d1") == {"run": ["true"]}
        assert await store.definition("d2") is None

    check(engine, body, Batch(marks=[mark], config=config, definitions={"d1": {"run": ["true"]}}))


def test_backfills_come_back_newest_first_and_active_ones_in_the_snapshot(engine):
    one = Backfill(1, "a", at(1), at(5), total=4, created=at(9))
    two = Backfill(
        2, "b", at(1), at(5), newest_first=True, max_active=3, downstream=True, again=Again.FAILED, params={"n": 1},
        position=at(4), total=9, handled=2, made=1, reopened=1, succeeded=1, failed=1, skipped=1, created=at(9),
    )  # fmt: skip
    done = one._replace(state=BackfillState.DONE, reason="why", ended=at(10))

    async def main():
        async with daemon(engine.handle(), Batch(backfills=[one]), Batch(backfills=[two])) as store:
            await store.commit(Batch(backfills=[done]))
            assert await store.backfills() == [two, done]
            assert await store.backfills(limit=1) == [two]
            snapshot = await store.snapshot({})
            assert (snapshot.backfills, snapshot.last_backfill) == ([two], 2)

    asyncio.run(main())


def test_what_was_committed_is_there_after_a_restart(engine):
    async def main():
        async with daemon(engine.handle(), Batch(runs=[FULL_RUN], events=[FULL_EVENT])) as store:
            before = await everything(store)
        async with daemon(engine.handle()) as store:
            assert await everything(store) == before

    asyncio.run(main())


def test_the_newest_value_of_a_run_wins_within_one_batch_and_over_earlier_ones(engine):
    async def body(store):
        assert (await store.run("a", at(1))).reason == "third"
        await store.commit(Batch(runs=[row("a", 1, S.QUEUED)]))
        assert (await store.run("a", at(1))).state is S.QUEUED

    second, third = row("a", 1, S.FAILED, reason="second"), row("a", 1, S.FAILED, reason="third")
    check(engine, body, Batch(runs=[row("a", 1, S.RUNNING)]), Batch(runs=[second, third]))


def test_a_definition_is_kept_as_it_was_first_stored(engine):
    async def body(store):
        assert await store.definition("d") == {"run": "first"}

    check(engine, body, Batch(definitions={"d": {"run": "first"}}), Batch(definitions={"d": {"run": "second"}}))


def test_text_that_is_no_utf8_is_stored_with_escapes(engine):
    async def main():
        async with daemon(engine.handle(), Batch(runs=[row("a", 1, S.FAILED, reason="no \udcff")])) as store:
            assert (await store.run("a", at(1))).reason in ("no \udcff", "no \\udcff")

    asyncio.run(main())


def test_a_nul_in_a_text_is_stored_as_an_escape(engine):
    kept = Kept("k\0", at(), "", {"v": "\0"})

    async def main():
        batch = Batch(runs=[row("a", 1, S.FAILED, reason="no \0", params={"n": "\0"})], answers=[kept])
        async with daemon(engine.handle(), batch) as store:
            found = await store.run("a", at(1))
            assert found.reason in ("no \0", "no \\x00")
            assert found.params == {"n": "\0"}
            assert (await store.answer("k\0")).answer == {"v": "\0"}

    asyncio.run(main())


# ---------------------------------------------------------------- all or nothing


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(Batch(new_attempts=[attempt("a", 1)]), id="an attempt that exists"),
        pytest.param(Batch(new_attempts=[attempt("a", 9), attempt("a", 9)]), id="the same attempt twice"),
        pytest.param(Batch(events=[event(3)]), id="a gap in the events"),
        pytest.param(Batch(events=[event(1)]), id="an event number again"),
        pytest.param(Batch(events=[event(2), event(4)]), id="a gap inside the batch"),
        pytest.param(Batch(split=[("a", at(7))]), id="a split row that is not there"),
        pytest.param(Batch(split=[("a", at(1)), ("a", at(1))]), id="a row split twice"),
        pytest.param(Batch(config=ConfigVersion(1, at(), "d", {})), id="a configuration number again"),
    ],
)
def test_a_batch_that_contradicts_the_store_writes_nothing(engine, bad):
    async def body(store):
        before = await everything(store)
        whole = replace(
            bad,
            runs=[*bad.runs, row("z", 5)],
            marks=[JobMark("z", at())],
            attempts=[attempt("z", 5)],
            definitions={"z": {}},
        )
        with pytest.raises(IntegrityBroken):
            await store.commit(whole)
        assert await everything(store) == before
        assert await store.attempts("z", at(5)) == []
        assert await store.definition("z") is None
        await store.commit(Batch(events=[event(2)]))

    first = Batch(
        runs=[row("a", 1)],
        new_attempts=[attempt("a", 1)],
        events=[event(1)],
        config=ConfigVersion(1, at(), "d", {}),
    )
    check(engine, body, first)


def test_an_attempt_may_be_made_and_ended_in_one_batch(engine):
    ended = attempt("a", 1, ended=at(2), exit_code=0)

    async def body(store):
        assert await store.attempts("a", at(1)) == [ended]

    check(engine, body, Batch(runs=[row("a", 1)], new_attempts=[attempt("a", 1)], attempts=[ended]))


def test_a_split_range_row_is_replaced_by_its_parts(engine):
    parts = [left_out("a", 1, 2), row("a", 3, S.QUEUED), left_out("a", 4, 5)]

    async def body(store):
        await store.commit(Batch(split=[("a", at(1))], runs=parts))
        assert await store.rows("a", newest_first=False) == parts
        assert (await store.run("a", at(5))).tick == at(4)

    check(engine, body, Batch(runs=[left_out("a", 1, 5)]))


def test_a_range_row_grows_and_is_found_by_its_new_end(engine):
    async def body(store):
        await store.commit(Batch(runs=[left_out("a", 1, 5)]))
        assert (await store.run("a", at(4))).until == at(5)
        assert names(await store.rows(after=at(4))) == ["a1"]
        await store.commit(Batch(runs=[row("a", 1)]))
        assert await store.run("a", at(4)) is None
        assert await store.rows(after=at(1)) == []

    check(engine, body, Batch(runs=[left_out("a", 1, 2)]))


# ---------------------------------------------------------------- one writer


def test_a_second_daemon_is_refused_and_told_who_holds_the_state(engine):
    async def main():
        async with daemon(engine.handle()):
            second = engine.handle()
            await second.open(write=True)
            with pytest.raises(StoreHeld, match="the test") as caught:
                await second.acquire("another")
            assert caught.value.holder == "the test"
            await second.close()
        async with daemon(engine.handle()) as third:
            assert (await third.snapshot({})).runs == []

    asyncio.run(main())


def test_epochs_only_grow(engine):
    async def main():
        store = engine.handle()
        await store.open(write=True)
        epochs = [await store.acquire("one"), await store.acquire("again")]
        await store.close()
        await store.open(write=True)
        epochs.append(await store.acquire("two"))
        await store.close()
        assert epochs == [1, 2, 3]

    asyncio.run(main())


def test_a_daemon_that_lost_its_lock_is_fenced_out_and_writes_nothing(engine):
    async def main():
        async with daemon(engine.handle()) as first:
            engine.lose_lock()
            async with daemon(engine.handle(), Batch(runs=[row("a", 1)])) as second:
                before = await everything(second)
                with pytest.raises(FencedOut, match="epoch 1"):
                    await first.commit(Batch(runs=[row("b", 1)], events=[event(1)]))
                with pytest.raises(FencedOut):
                    await first.prune(before=at(99), keep=frozenset())
                assert await everything(second) == before

    asyncio.run(main())


def test_nobody_commits_without_having_acquired(engine):
    async def main():
        store = engine.handle()
        await store.open(write=True)
        with pytest.raises(FencedOut):
            await store.commit(Batch(runs=[row("a", 1)]))
        assert await store.rows() == []
        await store.close()

    asyncio.run(main())


def test_reading_what_no_daemon_made_says_so_and_makes_nothing(engine):
    async def main():
        store = engine.handle()
        for _ in range(2):
            with pytest.raises(StoreMissing, match="start"):
                await store.open(write=False)
        await store.close()

    asyncio.run(main())


def test_a_closed_store_refuses_to_be_used(engine):
    async def main():
        async with daemon(engine.handle()) as store:
            pass
        await store.close()
        with pytest.raises(StoreError, match="not open"):
            await store.rows()
        with pytest.raises(StoreError, match="not open"):
            await store.commit(Batch())

    asyncio.run(main())


def test_a_reader_sees_each_commit_of_the_daemon(engine):
    async def main():
        async with daemon(engine.handle()) as writer, reader(engine.handle()) as watcher:
            for hour in range(3):
                await writer.commit(Batch(runs=[row("a", hour)], events=[event(hour + 1)]))
                assert len(await watcher.rows()) == hour + 1
                assert (await watcher.snapshot({})).last_event == hour + 1

    asyncio.run(main())


def test_a_reader_cannot_commit(engine):
    async def main():
        async with daemon(engine.handle()), reader(engine.handle()) as watcher:
            with pytest.raises(StoreError):
                await watcher.commit(Batch(runs=[row("a", 1)]))

    asyncio.run(main())


# ---------------------------------------------------------------- events that were emitted


def test_ids_of_emitted_events_are_remembered_and_only_the_newest(engine, monkeypatch):
    for module in ("memory", "sqlite_write", "postgres_write"):
        monkeypatch.setattr(f"dagsched.stores.{module}.EMISSIONS_MAX", 2)

    async def main():
        async with daemon(engine.handle()) as store:
            first, second, third = (Emission("arrived", id, at(number)) for number, id in enumerate("abc"))
            await store.commit(Batch(emissions=[first, second]))
            assert (await store.snapshot({})).emissions == [first, second]
            await store.commit(Batch(emissions=[third]))
        async with daemon(engine.handle()) as store:
            assert (await store.snapshot({})).emissions == [second, third]

    asyncio.run(main())


# ---------------------------------------------------------------- the inbox


def test_commands_left_in_the_inbox_reach_the_next_daemon_once(engine):
    async def main():
        async with daemon(engine.handle()):
            pass
        async with reader(engine.handle()) as person:
            numbers = [
                await person.post("trigger", {"job": "a"}, at(1)),
                await person.post("stop", {}, at(2)),
            ]
        async with daemon(engine.handle()) as store:
            requests = (await store.snapshot({})).requests
            assert [(r.id, r.time, r.verb, r.body) for r in requests] == [
                (numbers[0], at(1), "trigger", {"job": "a"}),
                (numbers[1], at(2), "stop", EMPTY),
            ]
            await store.commit(Batch(done_requests=numbers))
            await store.commit(Batch(done_requests=numbers))
            assert (await store.snapshot({})).requests == []
            assert await store.post("resume", {}, at(3)) > numbers[1], "a number is never given twice"

    asyncio.run(main())


def test_a_command_can_be_left_while_a_daemon_holds_the_state(engine):
    async def main():
        async with daemon(engine.handle()) as store, reader(engine.handle()) as person:
            await person.post("pause", {"job": "a"}, at(1))
            assert [request.verb for request in (await store.snapshot({})).requests] == ["pause"]

    asyncio.run(main())


def test_an_answer_is_kept_under_its_key_for_a_week(engine):
    first = Kept("a", at(0), "digest", {"runs": ["x"]})

    async def body(store):
        assert await store.answer("a") == first
        assert await store.answer("b") is None
        await store.commit(Batch(answers=[Kept("b", at(7 * 24), "", {})]))
        assert await store.answer("a") == first
        await store.commit(Batch(answers=[first._replace(asked="other"), Kept("b", at(7 * 24), "", {})]))
        assert (await store.answer("a")).asked == "other"
        await store.commit(Batch(answers=[Kept("c", at(7 * 24 + 1), "", {})]))
        assert await store.answer("a") is None
        assert await store.answer("b") == Kept("b", at(7 * 24), "", {})

    check(engine, body, Batch(answers=[first]))
