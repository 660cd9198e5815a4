"""What schedulers and workers tell each other by way of a real PostgreSQL server, in one process."""

from __future__ import annotations

import asyncio
import importlib.metadata
from contextlib import asynccontextmanager
from datetime import timedelta

import psycopg
import pytest

import dagsched
from dagsched.declaration import Job
from dagsched.definition import digest, to_json
from dagsched.errors import FencedOut, IntegrityBroken, StoreError, StoreUnavailable, UsageError
from dagsched.handlers import log_path
from dagsched.model import Attempt, Exit, Outcome, Run, RunState, run_name
from dagsched.stores.contract import Batch, Dispatch
from dagsched.stores.delivery import channel_of, channels_of, release, scripts
from dagsched.stores.fleet import Began, exit_of, text_of
from dagsched.stores.postgres import PostgresStore
from dagsched.stores.postgres_crew import Card, Crew, WrongRelease
from dagsched.worker.desk import Mine
from dagsched.worker.shipping import Shipper
from tests.postgres import new_address
from tests.stores.make import at

PATIENCE_S = 30


class Namespace:
    """A namespace with its scheduler's store, in which jobs are handed out and workers come and go."""

    def __init__(self, store, address):
        self.store, self.address, self.fleet = store, address, store.fleet
        self._crews = []

    async def hand_out(self, id, *, number=1, queue="etl", labels=(), turn=None, env=None, **job):
        """Commit the start of an attempt of a job's run at hour 0 for workers."""
        made = Job(id=id, run="true", queue=queue, labels=tuple(sorted(labels)), **job)
        run = Run(id, at(), RunState.RUNNING, attempts=number, definition=digest(made), params={"n": 1})
        await self.store.commit(
            Batch(
                runs=[run],
                new_attempts=[Attempt(id, at(), number, at(ms=5), definition=digest(made))],
                definitions={digest(made): to_json(made)},
                dispatches=[Dispatch(id, at(), number, queue, made.labels, turn or at(), env or {})],
            )
        )

    async def settle(self, id, exit):
        """Commit the end of an attempt."""
        state = RunState.SUCCESS if exit.outcome is Outcome.SUCCESS else RunState.FAILED
        ended = Attempt(id, at(), exit.attempt, at(ms=5), exit.ended, exit.outcome)
        await self.store.commit(
            Batch(
                runs=[Run(id, at(), state, attempts=exit.attempt, ended=exit.ended)],
                attempts=[ended],
                settled=[(id, at(), exit.attempt)],
            )
        )

    async def crew(self, name="w", queues=("etl",), labels=(), slots=4):
        """Return a worker that is here and has a lease."""
        found = Crew(self.address, Card(f"place of {name}", name, list(queues), list(labels), slots, at()))
        self._crews.append(found)
        await found.renew()
        return found

    async def close(self):
        for crew in self._crews:
            await crew.close()

    def run(self, statement):
        """Run a statement beside everybody and return its rows."""
        with psycopg.connect(self.address.url, autocommit=True) as connection:
            connection.execute(f"SET search_path TO {self.address.schema}")
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def namespace():
    address = new_address()
    store = PostgresStore(address)
    await store.open(write=True)
    await store.acquire("tests")
    found = Namespace(store, address)
    try:
        yield found
    finally:
        await found.close()
        await store.close()


def on_a_server(test):
    """Run an async test on a namespace of its own."""

    def run():
        async def main():
            async with namespace() as space:
                await asyncio.wait_for(test(space), PATIENCE_S * 4)

        asyncio.run(main())

    run.__name__ = test.__name__
    return run


def ended(id, number=1, outcome=Outcome.SUCCESS, **more):
    return Exit(run_name(id, at()), number, outcome, at(1), started=at(0.5), **more)


@on_a_server
async def test_what_is_handed_out_is_taken_once_with_all_that_it_takes_to_start_it(space):
    await space.hand_out("a", env={"X": "é"}, secrets={"TOKEN": "env:T"})
    one, two = await space.crew("one"), await space.crew("two")
    (taken,) = await one.take(5)
    assert await two.take(5) == []
    assert (taken.attempt, taken.run.params) == ((run_name("a", at()), 1), {"n": 1})
    assert (taken.env, taken.stopping) == ({"X": "é"}, "")
    assert (taken.job.id, taken.job.secrets, taken.job.queue) == ("a", {"TOKEN": "env:T"}, "etl")
    assert taken.fence > 0
    assert await space.fleet.dispatched() == [("a", at(), 1)]
    assert space.run("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


@on_a_server
async def test_each_start_has_a_greater_fence_than_all_before(space):
    crew = await space.crew()
    fences = []
    for id in "abc":
        await space.hand_out(id)
        fences += [taken.fence for taken in await crew.take(1)]
    assert fences == sorted(set(fences))


@on_a_server
async def test_nothing_is_handed_out_without_the_row_of_its_attempt(space):
    await space.hand_out("a")
    with pytest.raises(IntegrityBroken):
        await space.hand_out("a")
    assert space.run("SELECT count(*) FROM procrastinate_jobs") == [(1,)]
    await space.hand_out("b")
    assert space.run("SELECT count(*) FROM procrastinate_jobs") == [(2,)]


@on_a_server
async def test_labels_and_queues_say_who_may_take_what(space):
    await space.hand_out("plain")
    await space.hand_out("gpu", labels=("gpu",))
    await space.hand_out("both", labels=("gpu", "eu"))
    await space.hand_out("other", queue="ml")
    waiting = [(each.queue, list(each.labels), each.attempts) for each in await space.store.waiting()]
    assert sorted(waiting) == [("etl", [], 1), ("etl", ["eu", "gpu"], 1), ("etl", ["gpu"], 1), ("ml", [], 1)]
    plain, rich = await space.crew("plain"), await space.crew("rich", labels=("eu", "gpu", "ssd"))
    assert [taken.job.id for taken in await plain.take(5)] == ["plain"]
    assert {taken.job.id for taken in await rich.take(5)} == {"gpu", "both"}
    assert [taken.job.id for taken in await (await space.crew("ml", ("x", "ml"))).take(5)] == ["other"]


@on_a_server
async def test_the_earliest_turn_is_served_first(space):
    for id, minutes in (("late", 5), ("early", -90), ("middle", 0)):
        await space.hand_out(id, turn=at() + timedelta(minutes=minutes))
    crew = await space.crew()
    assert [taken.job.id for taken in await crew.take(2)] == ["early", "middle"]
    assert [taken.job.id for taken in await crew.take(2)] == ["late"]


@on_a_server
async def test_an_end_is_reported_by_its_fence_and_is_gone_once_it_is_committed(space):
    await space.hand_out("a")
    crew = await space.crew()
    (taken,) = await crew.take(1)
    await crew.began([(taken.fence, Began(*taken.attempt, 77, at(0.5)))])
    exit = ended("a", outputs={"rows": "5"}, exit_code=0, pid=77)
    assert await crew.ended([(taken.fence + 1, exit)]) == (set(), [])
    assert await crew.ended([(taken.fence, exit)]) == ({taken.fence}, [])
    assert await crew.ended([(taken.fence, exit)]) == ({taken.fence}, [])  # as after an answer that got lost
    assert await crew.ended([(taken.fence, exit._replace(outcome=Outcome.FAILED))]) == (set(), [])
    reports = await space.fleet.reports()
    assert reports.began == [Began(*taken.attempt, 77, at(0.5))]
    assert reports.ended == [exit]
    await space.settle("a", exit)
    assert (await space.fleet.reports()).ended == []
    assert await crew.ended([(taken.fence, exit)]) == (set(), [])
    assert space.run("SELECT place FROM attempts") == [("w",)]


@on_a_server
async def test_with_an_end_the_next_attempt_is_taken(space):
    await space.hand_out("a")
    await space.hand_out("b")
    crew = await space.crew()
    (first,) = await crew.take(1)
    accepted, (second,) = await crew.ended([(first.fence, ended("a"))], 1)
    assert (accepted, second.job.id, second.fence > first.fence) == ({first.fence}, "b", True)


@on_a_server
async def test_one_that_nobody_has_taken_has_ended_once_it_is_stopped(space):
    await space.hand_out("a")
    await space.fleet.stop(run_name("a", at()), 1, "cancel", at(2))
    (exit,) = (await space.fleet.reports()).ended
    assert (exit.outcome, exit.cause, exit.ended) == (Outcome.CANCELLED, "cancel", at(2))
    assert await (await space.crew()).take(5) == []
    await space.settle("a", exit)
    assert space.run("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


@on_a_server
async def test_a_worker_that_froze_while_it_reported_keeps_the_scheduler_from_nothing_else(space):
    """The ledger is locked while a stop is passed on, and so no lease can be renewed then."""
    await space.hand_out("a")
    (taken,) = await (await space.crew()).take(1)
    with psycopg.connect(space.address.url) as frozen:
        frozen.execute(f"SELECT FROM {space.address.schema}.dispatches FOR SHARE")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            await asyncio.wait_for(space.fleet.stop(*taken.attempt, "cancel", at(2)), PATIENCE_S / 3)
    await space.fleet.stop(*taken.attempt, "cancel", at(2))


@on_a_server
async def test_who_has_it_hears_of_a_stop_at_once_and_with_each_renewal(space):
    await space.hand_out("a")
    one, two = await space.crew("one"), await space.crew("two")
    heard = {crew: asyncio.Event() for crew in (one, two)}
    for crew in (one, two):
        crew.listen(lambda is_stop, crew=crew: is_stop and heard[crew].set())
        await asyncio.wait_for(heard[crew].wait(), PATIENCE_S)  # it listens now
        heard[crew].clear()
    await one.take(1)
    await space.fleet.stop(run_name("a", at()), 1, "cancel", at(2))
    await asyncio.wait_for(heard[one].wait(), PATIENCE_S)
    assert not heard[two].is_set()
    _, (held,) = await one.renew()
    assert held.stopping == "cancel"


@on_a_server
async def test_the_scheduler_hears_of_reports(space):
    await space.hand_out("a")
    crew = await space.crew()
    (taken,) = await crew.take(1)
    heard = asyncio.Event()
    stop = space.fleet.listen(heard.set)
    await asyncio.wait_for(heard.wait(), PATIENCE_S)
    heard.clear()
    await crew.ended([(taken.fence, ended("a"))])
    await asyncio.wait_for(heard.wait(), PATIENCE_S)
    stop()


@on_a_server
async def test_attempts_of_a_worker_that_is_gone_are_lost_and_what_it_says_then_does_not_count(space):
    await space.hand_out("a")
    await space.hand_out("b")
    gone, other = await space.crew("gone"), await space.crew("other")
    (taken,) = await gone.take(1)
    assert await space.fleet.mend(at(2)) == []
    space.run("UPDATE workers SET lease_until = '-infinity', safe_after = clock_timestamp() WHERE name = 'gone'")
    assert await gone.take(1) == []  # not without a lease
    assert await space.fleet.mend(at(2)) == [("a", at(), 1)]
    (exit,) = (await space.fleet.reports()).ended
    assert exit.outcome is Outcome.LOST
    assert await gone.ended([(taken.fence, ended("a"))]) == (set(), [])
    _, held = await gone.renew()
    assert held == []
    await space.settle("a", exit)
    await space.hand_out("a", number=2)
    assert {again.attempt for again in await other.take(5)} == {(run_name("a", at()), 2), (run_name("b", at()), 1)}


@on_a_server
async def test_a_worker_that_comes_back_just_then_is_not_given_up(space):
    """Or what it finds to be its own, and starts, would be done by another one as well."""
    await space.hand_out("a")
    await (await space.crew()).take(1)
    space.run("UPDATE workers SET lease_until = '-infinity', safe_after = clock_timestamp()")
    with psycopg.connect(space.address.url) as back:
        back.execute(f"SET search_path TO {space.address.schema}")
        back.execute("UPDATE workers SET safe_after = clock_timestamp() + interval '33 s'")
        assert len(back.execute("SELECT 1 FROM held('place of w')").fetchall()) == 1
        assert await space.fleet.mend(at(2)) == []
    assert (await space.fleet.reports()).ended == []


@on_a_server
async def test_deliveries_that_got_lost_are_made_again_and_those_left_over_are_removed(space):
    await space.hand_out("lost")
    await space.hand_out("stuck")
    await space.hand_out("done")
    crew = await space.crew()
    space.run("DELETE FROM procrastinate_jobs WHERE args->>'job' = 'lost'")
    space.run("UPDATE procrastinate_jobs SET status = 'doing' WHERE args->>'job' = 'stuck'")
    await space.fleet.stop(run_name("done", at()), 1, "cancel", at(2))
    assert await space.fleet.mend(at(2)) == []
    assert {taken.job.id for taken in await crew.take(5)} == {"lost", "stuck"}
    assert space.run("SELECT count(*) FROM procrastinate_jobs") == [(0,)]


@on_a_server
async def test_a_scheduler_that_is_not_active_any_more_stops_and_mends_nothing(space):
    await space.hand_out("a")
    space.run("UPDATE ledger SET epoch = epoch + 1")
    with pytest.raises(FencedOut):
        await space.fleet.stop(run_name("a", at()), 1, "cancel", at(2))
    with pytest.raises(FencedOut):
        await space.fleet.mend(at(2))
    assert (await space.fleet.reports()).ended == []


@on_a_server
async def test_a_worker_of_another_release_is_refused_and_one_that_was_not_takes_nothing_more(space):
    crew = await space.crew()
    space.run("UPDATE guidance SET version = '99.0'")
    await space.hand_out("a")
    assert await crew.take(1) == []
    await crew.renew()  # it may finish what it has
    assert isinstance(crew.refused, WrongRelease)
    assert f"dagsched 99.0 and this worker {dagsched.__version__}; install the same" in str(crew.refused)


@on_a_server
async def test_a_worker_that_drains_takes_nothing_and_is_forgotten_when_it_leaves(space):
    crew = await space.crew()
    crew.card.is_draining = True
    await crew.renew()
    await space.hand_out("a")
    assert await crew.take(1) == []
    (row,) = await space.store.workers()
    assert (row.name, row.as_json()["state"], row.running) == ("w", "draining", 0)
    await crew.leave()
    assert await space.store.workers() == []


@on_a_server
async def test_what_was_written_is_kept_in_order_as_long_as_the_fence_counts(space):
    await space.hand_out("a")
    crew = await space.crew()
    (taken,) = await crew.take(1)
    run, attempt = taken.attempt
    assert await crew.wrote(run, attempt, taken.fence, 0, b"one\n")
    assert await crew.wrote(run, attempt, taken.fence, 4, b"two\n")
    assert await crew.wrote(run, attempt, taken.fence, 4, b"two\n")
    assert not await crew.wrote(run, attempt, taken.fence + 1, 8, b"no")
    (tried,) = await space.store.attempts("a", at())
    assert await space.store.output(tried, 0, 100) == b"one\ntwo\n"
    assert await space.store.output(tried, 2, 3) == b"e\nt"
    assert await space.store.output(tried, 8, 100) == b""
    await crew.ended([(taken.fence, ended("a"))])
    await space.settle("a", ended("a"))
    assert not await crew.wrote(run, attempt, taken.fence, 8, b"late")
    await space.store.prune(before=at(9000), keep=frozenset())
    assert await space.store.output(tried, 0, 100) == b"one\ntwo\n"  # a job's newest run stays


def test_a_worker_that_starts_anew_repeats_nothing_of_what_was_written(tmp_path):
    @on_a_server
    async def body(space):
        await space.hand_out("a")
        crew = await space.crew()
        (taken,) = await crew.take(1)
        path = tmp_path / log_path(taken.run, 1)
        path.parent.mkdir(parents=True)
        each, shipper = Mine(taken), Shipper(crew, tmp_path)
        for line in ("one\n", "two\n"):
            with path.open("a") as file:
                file.write(line)
            await shipper.ship(each)
        await shipper.ship(Mine(taken))
        (tried,) = await space.store.attempts("a", at())
        assert await space.store.output(tried, 0, 100) == b"one\ntwo\n"

    body()


@on_a_server
async def test_hidden_variables_come_with_what_is_taken(space):
    await space.store.commit(Batch(hidden=["API_TOKEN"]))
    await space.hand_out("a")
    (taken,) = await (await space.crew()).take(1)
    assert taken.hidden == {"API_TOKEN"}


@on_a_server
async def test_another_release_of_procrastinate_brings_its_tables_along(space):
    assert space.run("SELECT release FROM delivery") == [(release(),)]
    assert scripts(release()) == []
    assert [script for script in scripts("3.2.9") if "procrastinate_fetch_job_v2" in script]
    assert "CREATE TABLE procrastinate_jobs" in scripts(None)[0]


@pytest.mark.parametrize(
    "exit",
    [
        ended("a", outcome=Outcome.FAILED, exit_code=0, reason="no \0 such \ud800 thing"),
        ended("a", outcome=Outcome.TIMED_OUT, signal=9, cause="timeout", log="logs/a/x", output_bytes=7, leftovers=1),
        Exit(run_name("a", at()), 1, Outcome.SPAWN_ERROR, at(1), reason="no"),
    ],
)
def test_an_exit_comes_back_as_it_went(exit):
    assert exit_of("a", at(), 1, text_of(exit)) == exit


def test_names_of_channels_are_short_and_different():
    names = {channel_of("q" * 40, labels) for labels in ((), ("a",), ("a", "b"), ("b",))}
    assert len(names) == 4
    assert max(map(len, names)) <= 40
    assert channel_of("q", ("b", "a")) == channel_of("q", ("a", "b"))


def test_a_worker_with_too_many_kinds_of_work_is_refused():
    assert len(channels_of(["q"], [f"l{n}" for n in range(10)])) == 1024
    with pytest.raises(UsageError, match="2 queues with every set of 10 labels make 2,048 kinds"):
        channels_of(["q", "r"], [f"l{n}" for n in range(10)])


def test_without_procrastinate_it_is_said_what_to_install(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("importlib.metadata.version", missing)
    with pytest.raises(StoreError, match=r"needs procrastinate.*pip install 'dagsched\[postgres\]'"):
        release()
