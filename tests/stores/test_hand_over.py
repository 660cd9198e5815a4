"""What a scheduler whose turn is over tells the active one, by way of a real PostgreSQL server, in one process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import psycopg
import pytest

from dagsched.clock import boottime_s
from dagsched.errors import FencedOut
from dagsched.model import Attempt, Outcome, Run, RunState, run_name
from dagsched.stores.contract import Batch
from dagsched.stores.postgres import PostgresStore
from tests.postgres import new_address
from tests.stores.make import at
from tests.stores.test_fleet import PATIENCE_S, ended


class Pair:
    """Two schedulers of a namespace: the old one started an attempt of the job `a`, then the new one took over."""

    def __init__(self, address, homes):
        self.address = address
        self.old, self.new = (PostgresStore(address, home) for home in homes)

    async def open(self):
        for store in (self.old, self.new):
            await store.open(write=True)
        await self.old.acquire("the old one")
        await start(self.old, "a")
        self.run("UPDATE ledger SET lease_until = '-infinity'")
        await self.new.acquire("the new one")

    async def close(self):
        for store in (self.old, self.new):
            await store.close()

    def run(self, statement):
        """Run a statement beside everybody and return its rows."""
        with psycopg.connect(self.address.url, autocommit=True) as connection:
            connection.execute(f"SET search_path TO {self.address.schema}")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def pass_by(self):
        """Let the time pass after which nothing of the old one's attempts can be alive."""
        self.run("UPDATE schedulers SET safe_after = clock_timestamp() WHERE holder = 'the old one'")


async def start(store, id, **run):
    """Commit the start of an attempt of a job's run at hour 0."""
    runs = [Run(id, at(), RunState.RUNNING, attempts=1, **run)]
    await store.commit(Batch(runs=runs, new_attempts=[Attempt(id, at(), 1, at(ms=5))]))


async def settle(store, exit):
    """Commit the end of the attempt of `a`."""
    state = RunState.SUCCESS if exit.outcome is Outcome.SUCCESS else RunState.FAILED
    run = Run("a", at(), state, attempts=1, ended=exit.ended)
    await store.commit(Batch(runs=[run], attempts=[Attempt("a", at(), 1, at(ms=5), exit.ended, exit.outcome)]))


@asynccontextmanager
async def pair(folder):
    homes = [folder / name for name in ("old", "new")]
    for home in homes:
        home.mkdir()
    found = Pair(new_address(), homes)
    try:
        await found.open()
        yield found
    finally:
        await found.close()


@pytest.fixture
def together(tmp_path):
    """Run an async body on two such schedulers."""

    def run(body):
        async def main():
            async with pair(tmp_path) as both:
                await asyncio.wait_for(body(both), PATIENCE_S * 4)

        asyncio.run(main())

    return run


A = (run_name("a", at()), 1)


def test_what_the_old_one_has_open_is_elsewhere_to_the_new_one_alone(together):
    async def body(both):
        assert await both.new.fleet.left() == [("a", at(), 1)]
        assert await both.old.fleet.left() == []
        assert await both.new.fleet.dispatched() == []
        assert (await both.old.fleet.hand_over([], vouches=True)).open == {A: ""}
        assert (await both.new.fleet.hand_over([], vouches=True)).open == {}

    together(body)


def test_an_end_is_heard_at_once_and_kept_until_it_is_committed(together):
    async def body(both):
        heard = asyncio.Event()
        stop = both.new.fleet.listen(heard.set)
        await asyncio.wait_for(heard.wait(), PATIENCE_S)  # it listens now
        heard.clear()
        told = ended("a", outputs={"rows": "3"}, pid=7)
        assert (await both.old.fleet.hand_over([told], vouches=True)).open == {A: ""}
        await asyncio.wait_for(heard.wait(), PATIENCE_S)
        stop()
        assert (await both.new.fleet.reports()).ended == [told]
        await both.new.fleet.mend(at(2))
        assert (await both.new.fleet.reports()).ended == [told]
        await settle(both.new, told)
        assert (await both.old.fleet.hand_over([told], vouches=True)).open == {}
        await both.new.fleet.mend(at(2))
        assert (await both.new.fleet.reports()).ended == []

    together(body)


def test_only_the_place_that_started_an_attempt_can_say_how_it_ended(together):
    async def body(both):
        await start(both.new, "b")
        await both.old.fleet.hand_over([ended("b"), ended("c"), ended("a", number=2)], vouches=True)
        await both.new.fleet.hand_over([ended("a")], vouches=True)
        assert (await both.new.fleet.reports()).ended == []

    together(body)


def test_what_was_called_lost_stays_lost(together):
    async def body(both):
        both.pass_by()
        assert await both.new.fleet.mend(at(2)) == [("a", at(), 1)]
        assert await both.new.fleet.mend(at(2)) == []
        before = boottime_s()
        left = await both.old.fleet.hand_over([ended("a")], vouches=True)
        # Nobody waits for it any more, and it may live on no longer.
        assert before <= left.until <= boottime_s()
        [exit] = (await both.new.fleet.reports()).ended
        assert (exit.outcome, exit.reason) == (Outcome.LOST, "the scheduler that had it was not heard of")

    together(body)


def test_nobody_is_given_up_whom_nothing_is_left_of(together):
    async def body(both):
        both.pass_by()
        assert await both.new.fleet.mend(at(2), is_left=False) == []
        assert await both.new.fleet.mend(at(2), is_left=True) == [("a", at(), 1)]

    together(body)


def test_what_was_reported_is_not_called_lost(together):
    async def body(both):
        await both.old.fleet.hand_over([ended("a")], vouches=True)
        both.pass_by()
        assert await both.new.fleet.mend(at(2)) == []
        assert (await both.new.fleet.reports()).ended == [ended("a")]

    together(body)


def test_what_somebody_vouches_for_is_not_called_lost(together):
    async def body(both):
        both.run("UPDATE schedulers SET safe_after = clock_timestamp() + interval '1 s' WHERE holder = 'the old one'")
        asked = boottime_s()
        assert (await both.old.fleet.hand_over([], vouches=True)).until >= asked + 60
        [(left_s,)] = both.run(
            "SELECT extract(epoch FROM safe_after - clock_timestamp())::int FROM schedulers"
            " WHERE holder = 'the old one'"
        )
        assert 60 + 5 < left_s <= 60 + 5 + 5
        assert await both.new.fleet.mend(at(2)) == []

    together(body)


def test_who_is_just_vouching_is_not_given_up(together):
    async def body(both):
        both.pass_by()
        with psycopg.connect(both.address.url) as just:
            just.execute(f"SET search_path TO {both.address.schema}")
            just.execute("UPDATE schedulers SET safe_after = clock_timestamp() + interval '70 s'")
            assert await both.new.fleet.mend(at(2)) == []

    together(body)


@pytest.mark.parametrize("word", ["reported", "lost"])
def test_who_becomes_active_again_goes_by_its_own_spawner_whatever_was_said_before(together, word):
    async def body(both):
        if word == "reported":
            await both.old.fleet.hand_over([ended("a")], vouches=True)
        else:
            both.pass_by()
            await both.new.fleet.mend(at(2))
        assert len((await both.new.fleet.reports()).ended) == 1
        both.run("UPDATE ledger SET lease_until = '-infinity'")
        await both.old.acquire("the old one")
        assert (await both.old.fleet.reports()).ended == []
        # Said a moment too late.
        await both.old.fleet.hand_over([ended("a")], vouches=True)
        assert (await both.old.fleet.reports()).ended == []

    together(body)


def test_nothing_is_said_to_nobody(together):
    async def body(both):
        assert (await both.old.fleet.hand_over([], vouches=True)).is_all
        both.run("UPDATE ledger SET place = (SELECT place FROM schedulers WHERE holder = 'the old one')")
        left = await both.old.fleet.hand_over([ended("a")], vouches=True)
        assert (left.open, left.is_all) == ({A: ""}, False)
        assert (await both.new.fleet.reports()).ended == []

    together(body)


def test_who_cannot_tell_the_spawner_vouches_for_nothing(together):
    async def body(both):
        wanted = "SELECT safe_after FROM schedulers WHERE holder = 'the old one'"
        before = both.run(wanted)
        await both.old.fleet.hand_over([], vouches=False)
        assert both.run(wanted) == before

    together(body)


def test_the_old_one_is_told_what_is_to_be_ended(together):
    async def body(both):
        run = Run("a", at(), RunState.RUNNING, attempts=1, stopping="cancelled by request")
        await both.new.commit(Batch(runs=[run]))
        assert (await both.old.fleet.hand_over([], vouches=True)).open == {A: "cancelled by request"}

    together(body)


def test_the_old_one_calls_nothing_lost(together):
    async def body(both):
        with pytest.raises(FencedOut):
            await both.old.fleet.mend(at(2))

    together(body)
