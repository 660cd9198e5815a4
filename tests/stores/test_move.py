"""A state moves from one engine to the other and back: all of it, or nothing."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from datetime import timedelta

import pytest

from dagsched.errors import FencedOut, IntegrityBroken, Refused, StoreError, StoreHeld, StoreMissing, StoreMoved
from dagsched.model import Backfill, ConfigVersion, Emission, JobMark, Kept, Outcome, RunState
from dagsched.stores import Batch, SqliteStore, shared_store
from dagsched.stores.move import move
from dagsched.stores.move_sqlite import SqliteSide
from dagsched.stores.move_tables import REQUESTS, STAYING, TABLES, Sum
from tests.postgres import new_address
from tests.stores.make import FULL_ATTEMPT, FULL_EVENT, FULL_RUN, at, attempt, daemon, event, left_out, reader, row

WEEK_H = 7 * 24
STATE = Batch(
    runs=[
        FULL_RUN,
        row("a", 0),
        row("a", WEEK_H, exit_code=0),
        row("a", 40 * WEEK_H, RunState.QUEUED),
        row("a", -60 * WEEK_H, RunState.FAILED),
        # Before 1970 nobody ran anything, but a backfill may ask for it.
        row("a", -3000 * WEEK_H),
        left_out("b", 1, 3),
    ],
    new_attempts=[
        FULL_ATTEMPT,
        attempt("a", 0, ended=at(0.1), outcome=Outcome.SUCCESS, exit_code=0, log="logs/a.log"),
        attempt("a", WEEK_H, ended=at(WEEK_H + 0.1), outcome=Outcome.FAILED, exit_code=-9, reason="Straße"),
    ],
    marks=[JobMark("a", at(3), paused=at(2), started_runs=4, schedule_since=at(1)), JobMark("b", at(1))],
    events=[FULL_EVENT, event(2, WEEK_H, job="a"), event(3, 50 * WEEK_H, job="b", detail={"n": [1, "é"]})],
    definitions={"ab" * 32: {"run": "echo 'x' \t \\N"}},
    config=ConfigVersion(1, at(), "d1", {"/etc/jobs.yaml": "jobs: {}\n# \\. ✓\n"}, "1 job added"),
    backfills=[Backfill(7, "b", at(1), at(5), total=4, created=at(9))],
    answers=[Kept("key", at(1), "asked", {"run": "job:a"})],
    emissions=[Emission("arrived", "1", at(1)), Emission("arrived", "2", at(2))],
)


def until(is_so):
    """Wait for what nobody tells by an event."""
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


class Places:
    """A state directory and a namespace."""

    def __init__(self, folder):
        self.home, self.address = folder / "state", new_address()
        self.path = self.home / "dagsched.db"

    def file(self):
        return SqliteStore(self.path)

    def server(self):
        return shared_store(self.address)

    def there(self):
        from dagsched.stores.move_postgres import PostgresSide

        return move(SqliteSide(self.home), PostgresSide(self.address))

    def back(self):
        from dagsched.stores.move_postgres import PostgresSide

        return move(PostgresSide(self.address), SqliteSide(self.home))

    def run(self, statement):
        import psycopg

        with psycopg.connect(self.address.url, options=f"-csearch_path={self.address.schema}") as connection:
            found = connection.execute(statement)
            return found.fetchall() if found.description else []


@pytest.fixture
def places(tmp_path):
    return Places(tmp_path)


async def fill(store):
    async with daemon(store, STATE) as opened:
        await opened.rollup(before=at(20 * WEEK_H))
        await opened.post("pause", {"job": "a"}, at(1))
        gone = await opened.post("pause", {"job": "b"}, at(1))
        await opened.commit(Batch(done_requests=[gone]))


async def told_by(store):
    async with reader(store) as opened:
        return {
            "snapshot": await opened.snapshot({}),
            "rows": await opened.rows(),
            "attempts": [await opened.attempts(run.job, run.tick) for run in await opened.rows()],
            "events": await opened.events(),
            "marks": await opened.marks(),
            "backfills": await opened.backfills(),
            "configs": await opened.configs(),
            "definition": await opened.definition("ab" * 32),
            "answer": await opened.answer("key"),
            "counts": await opened.counts(),
            "ends": await opened.last_ends(),
            "days": await opened.statistics(by="day"),
            "wrong": await opened.check(),
        }


def test_all_of_it_moves_there_and_back(places):
    async def main():
        await fill(places.file())
        before = await told_by(places.file())
        assert before["wrong"] == []
        there = await places.there()
        assert await told_by(places.server()) == before
        assert {each.table: each.rows for each in there.tables}["runs"] == len(before["rows"])
        back = await places.back()
        assert await told_by(places.file()) == before
        # The second state carries where it came from, and so has one row more.
        assert [each for each in there.tables if each.table != "moves"] == [
            each for each in back.tables if each.table != "moves"
        ]
        [kept] = places.home.glob("dagsched.db.before-*")
        assert await told_by(SqliteStore(kept)) == before

    asyncio.run(main())


def test_numbers_go_on_and_are_never_given_twice(places):
    async def main():
        await fill(places.file())
        async with daemon(places.file()) as store:
            epoch = await store.acquire("again")
        await places.there()
        async with daemon(places.server()) as store:
            assert await store.acquire("again") > epoch
            epoch = await store.acquire("again")
            assert await store.post("resume", {"job": "a"}, at(2)) == 3
            await store.commit(Batch(events=[event(4, 51 * WEEK_H)], emissions=[Emission("arrived", "3", at(3))]))
            told = await store.snapshot({})
            assert [each.id for each in told.requests] == [1, 3]
            assert [each.id for each in told.emissions] == ["1", "2", "3"]
        assert places.run("SELECT nextval('fences')") == [(1,)]
        await places.back()
        with closing(sqlite3.connect(places.path)) as connection:
            # For the next server that it moves to.
            assert connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'fences'").fetchone() == (1,)
        async with daemon(places.file()) as store:
            assert await store.acquire("again") > epoch
            assert await store.post("resume", {"job": "b"}, at(3)) == 4
            with pytest.raises(IntegrityBroken):
                await store.commit(Batch(events=[event(4)]))

    asyncio.run(main())


def test_what_has_moved_is_read_and_never_written(places):
    async def main():
        await fill(places.file())
        await places.there()
        async with reader(places.file()) as kept:
            assert await kept.rows()
            with pytest.raises(StoreMoved, match="moved to postgresql://") as caught:
                await kept.post("pause", {"job": "a"}, at(1))
            assert caught.value.other == places.address.shown
        with pytest.raises(StoreMoved):
            async with daemon(places.file()):
                pass
        with pytest.raises(StoreMoved):
            await places.there()
        await places.back()
        async with reader(places.server()) as kept:
            assert await kept.rows()
            with pytest.raises(StoreMoved, match=r"moved to /.*/dagsched\.db on "):
                await kept.post("pause", {"job": "a"}, at(1))
        with pytest.raises(StoreMoved):
            async with daemon(places.server()):
                pass
        # The namespace is kept, so it is not gone over again.
        with pytest.raises(StoreError, match="another namespace"):
            await places.there()
        async with daemon(places.file()):
            pass

    asyncio.run(main())


def test_a_place_that_holds_a_state_is_refused(places):
    async def main():
        await fill(places.file())
        async with daemon(places.server(), Batch(marks=[JobMark("a", at(3))])):
            pass
        with pytest.raises(Refused, match="holds a state already"):
            await places.there()
        with pytest.raises(Refused, match="holds a state already"):
            await places.back()
        for store in (places.file(), places.server()):
            async with daemon(store):
                pass

    asyncio.run(main())


def test_a_side_that_somebody_holds_is_refused(places):
    async def main():
        await fill(places.file())
        async with daemon(places.file()):
            with pytest.raises(StoreHeld, match="the test"):
                await places.there()
        async with daemon(places.server()):
            with pytest.raises(StoreHeld, match="the test"):
                await places.there()
            with pytest.raises(StoreHeld, match="the test"):
                await places.back()
        await places.there()
        lock = SqliteSide(places.home)
        await lock.hold(is_source=True)
        with pytest.raises(StoreHeld, match="moving the state"):
            await places.back()
        await lock.release()

    asyncio.run(main())


def test_open_attempts_are_not_left_behind(places):
    async def main():
        running = Batch(runs=[row("a", 0, RunState.RUNNING)], new_attempts=[attempt("a", 0)])
        async with daemon(places.file(), running):
            pass
        with pytest.raises(Refused, match=r"1 attempt has not ended \(job:a:2026-11-21T00:00:00Z\)"):
            await places.there()
        async with daemon(places.file()):
            pass

    asyncio.run(main())


def test_nothing_to_move_makes_nothing(places):
    with pytest.raises(StoreMissing):
        asyncio.run(places.there())
    assert not places.home.exists()
    with pytest.raises(StoreMissing):
        asyncio.run(places.back())
    assert not places.path.exists()


def test_a_copy_that_differs_is_thrown_away(places, monkeypatch):
    from dagsched.stores.move_postgres import PostgresSide

    put = PostgresSide.put

    def spoilt(side, table, rows):
        put(side, table, [(*row[:-1], "x") for row in rows] if table.name == "texts" else rows)

    async def main():
        await fill(places.file())
        with monkeypatch.context() as patched:
            patched.setattr(PostgresSide, "put", spoilt)
            with pytest.raises(IntegrityBroken, match="of texts 1 rows"):
                await places.there()
        async with daemon(places.file()):
            pass
        await places.there()

    asyncio.run(main())


@pytest.mark.parametrize("is_there", [True, False], ids=["to the server", "to the file"])
@pytest.mark.parametrize("step", ["seal", "commit", "left"])
def test_a_move_killed_at_its_end_leaves_one_side_fit_and_is_finished_by_the_same_again(
    places, monkeypatch, is_there, step
):
    """The steps stand for the moments of a kill: before the target has it, while, and when it has."""
    from dagsched.stores.move_postgres import PostgresSide

    class Killed(BaseException):
        pass

    def dies(*_):
        raise Killed

    there = places.there if is_there else places.back
    kinds = (SqliteSide, PostgresSide) if is_there else (PostgresSide, SqliteSide)
    old, new = (places.file, places.server) if is_there else (places.server, places.file)

    async def main():
        await fill(old())
        before = await told_by(old())
        with monkeypatch.context() as patched:
            patched.setattr(kinds[step != "left"], step, dies)
            # A killed program tidies nothing up.
            patched.setattr(kinds[0], "stay", dies)
            with pytest.raises(Killed):
                await there()
        with pytest.raises(StoreMoved, match="the same `dagsched db move` again"):
            async with daemon(old()):
                pass
        async with reader(old()) as kept:
            with pytest.raises(StoreMoved):
                await kept.post("pause", {"job": "a"}, at(1))
        done = await there()
        assert done.is_finished == (step == "left")
        assert await told_by(new()) == before
        with pytest.raises(StoreMoved, match="moved to"):
            async with daemon(old()):
                pass

    asyncio.run(main())


def test_whether_a_move_was_made_is_judged_once_the_server_is_through_with_it(places):
    """A connection that breaks leaves the server at work on the last step; until then neither side is fit."""
    import psycopg

    from dagsched.stores.move_postgres import PostgresSide

    async def main():
        await fill(places.server())
        side = PostgresSide(places.address)
        with psycopg.connect(places.address.url, options=f"-csearch_path={places.address.schema}") as at_work:
            at_work.execute("INSERT INTO moves VALUES ('m', 0, 1, 'elsewhere', 1)")
            at_work.execute("UPDATE ledger SET epoch = epoch + 1")
            judging = asyncio.ensure_future(asyncio.to_thread(side.has, "m"))
            waits = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%FOR SHARE%'"
            await asyncio.to_thread(until, lambda: judging.done() or places.run(waits))
            at_work.commit()
        assert await judging

    asyncio.run(main())


def test_an_interrupted_move_goes_to_no_third_place(places, monkeypatch):
    class Killed(BaseException):
        pass

    def dies(*_):
        raise Killed

    async def main():
        from dagsched.stores.move_postgres import PostgresSide

        await fill(places.file())
        with monkeypatch.context() as patched:
            patched.setattr(SqliteSide, "left", dies)
            with pytest.raises(Killed):
                await places.there()
        with pytest.raises(StoreMoved, match="interrupted"):
            await move(SqliteSide(places.home), PostgresSide(new_address()))
        assert (await places.there()).is_finished

    asyncio.run(main())


def test_whoever_takes_the_lease_over_stops_the_move(places, monkeypatch):
    async def main():
        await fill(places.server())
        batches = type(places).back

        def taken_over(side, move_, time_ms, other):
            places.run("UPDATE ledger SET epoch = epoch + 1")
            return leave(side, move_, time_ms, other)

        from dagsched.stores.move_postgres import PostgresSide

        leave = PostgresSide.leave
        with monkeypatch.context() as patched:
            patched.setattr(PostgresSide, "leave", taken_over)
            with pytest.raises(FencedOut):
                await batches(places)
        assert not places.path.exists()
        places.run("UPDATE ledger SET lease_until = '-infinity'")
        await places.back()

    asyncio.run(main())


def test_a_reader_of_the_old_file_keeps_it_from_being_replaced(places):
    async def main():
        await fill(places.file())
        await places.there()
        with closing(sqlite3.connect(places.path)) as reading:
            reading.execute("SELECT * FROM runs").fetchone()
            reading.execute("BEGIN")
            reading.execute("SELECT * FROM runs").fetchone()
            with pytest.raises(StoreError, match="another program has it open"):
                await places.back()
        await places.back()
        assert not list(places.home.glob("dagsched.db.moving*"))

    asyncio.run(main())


def test_a_move_that_is_interrupted_changes_nothing(places):
    async def main():
        from dagsched.stores.move_postgres import PostgresSide

        await fill(places.file())
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def told(table, rows):
            loop.call_soon_threadsafe(begun.set)

        task = asyncio.create_task(move(SqliteSide(places.home), PostgresSide(places.address), told))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        # Either it was given up, or it was at its end and done.
        try:
            async with daemon(places.file()):
                pass
        except StoreMoved:
            async with daemon(places.server()) as store:
                assert await store.rows()

    asyncio.run(main())


def test_every_table_moves_or_says_why_not(places):
    async def main():
        for store in (places.file(), places.server()):
            async with daemon(store):
                pass

    asyncio.run(main())
    known = {table.name for table in (*TABLES, REQUESTS)} | set(STAYING)
    with closing(sqlite3.connect(places.path)) as connection:
        here = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        columns = {name: {row[1] for row in connection.execute(f"PRAGMA table_info({name})")} for name in here}
    there = {
        name
        for (name,) in places.run(
            "SELECT relname FROM pg_class WHERE relnamespace = current_schema()::regnamespace "
            "AND relkind IN ('r', 'p') AND NOT relispartition"
        )
    }
    assert here | there <= known
    for table in (*TABLES, REQUESTS):
        assert set(table.columns) == columns[table.name], table.name
        wanted = "SELECT attname FROM pg_attribute WHERE attrelid = '{}'::regclass AND attnum > 0 AND NOT attisdropped"
        found = {name for (name,) in places.run(wanted.format(table.name))} - {"place"}
        assert set(table.columns) == found, table.name


def test_a_sum_hangs_on_the_rows_and_not_on_their_order():
    one, two, three = Sum(), Sum(), Sum()
    one.add([("a", 1, None), ("b", 2, "")])
    two.add([("b", 2, "")])
    two.add([("a", 1, None)])
    three.add([("a", 1, ""), ("b", 2, "")])
    assert (one == two, one == three, one.checksum == two.checksum) == (True, False, True)


def test_memory_does_not_grow_with_history(places):
    """What is alive in Python while a hundred times more rows move."""
    import tracemalloc

    days = [at(hour / 4) for hour in range(20_000)]
    runs = [row("a", hour / 4, definition="ab" * 32, outputs={"x": "y" * 100}) for hour in range(len(days))]

    async def main():
        async with daemon(places.file()) as store:
            for first in range(0, len(runs), 2000):
                await store.commit(Batch(runs=runs[first : first + 2000]))
        tracemalloc.start()
        await places.there()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8_000_000
        assert days[-1] - days[0] > timedelta(days=200)
        async with reader(places.server()) as store:
            assert (await store.counts())["a"]["success"] == len(runs)

    asyncio.run(main())
