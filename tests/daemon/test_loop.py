"""The loop: commit before act, retry unchanged, answer after durable."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from dagsched.clock import ManualClock
from dagsched.daemon.dispatching import Dispatcher
from dagsched.daemon.loop import Loop, PlanBroken
from dagsched.daemon.patience import Patience
from dagsched.engine import Plan, events
from dagsched.errors import FencedOut, Refused, StoreUnavailable, Unknown
from dagsched.executor import Exited, Inventory, Living, SpawnerGone, Started
from dagsched.handlers import Launch
from dagsched.model import Config, EventRow, Exit, Job, Outcome, OutputRef, RunState
from dagsched.stores import Batch, MemoryStore
from dagsched.stores.fleet import Fleet
from tests.engine.bench_of_one import START, job


class FakeHand:
    """Keeps orders instead of carrying them out."""

    def __init__(self) -> None:
        self.launches: list[Launch] = []
        self.stops: list[tuple[str, int, str]] = []
        self.acknowledged: list[int] = []
        self.settlements = 0

    def start(self, launches: Sequence[Launch]) -> None:
        self.launches += launches

    def stop(self, run: str, attempt: int, cause: str, grace_s: float) -> None:
        self.stops.append((run, attempt, cause))

    def acknowledge(self, seq: int) -> None:
        self.acknowledged.append(seq)

    def settled(self) -> None:
        self.settlements += 1

    def send(self) -> None:
        """Everything was carried out when it was ordered."""


class Watcher:
    """Keeps what observers are told."""

    def __init__(self) -> None:
        self.events: list[EventRow] = []
        self.configs: list[Config] = []

    def on_config(self, config: Config) -> None:
        self.configs.append(config)

    def on_events(self, events: Sequence[EventRow]) -> None:
        self.events += events


class FaultyStore(MemoryStore):
    """Refuses as many commits as `faults` holds errors, the last first; hangs until `answers` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Exception] = []
        self.batches: list[Batch] = []
        self.answers = asyncio.Event()
        self.answers.set()

    async def commit(self, batch: Batch) -> None:
        self.batches.append(batch)
        await self.answers.wait()
        if self.faults:
            raise self.faults.pop()
        await super().commit(batch)


class Stage:
    """A loop over a memory store, a fake hand and a clock that is moved by hand."""

    def __init__(self, *jobs: str | Job) -> None:
        self.clock = ManualClock(START)
        self.store = FaultyStore()
        self.hand = FakeHand()
        self.watcher = Watcher()
        self.jobs = [item if isinstance(item, Job) else job(item) for item in jobs]

    async def open(self, dispatcher: Dispatcher | None = None) -> Loop:
        await self.store.open(write=True)
        await self.store.acquire("the test")
        hands = (self.hand, self.clock, self.watcher, timedelta(seconds=10), dispatcher)
        self.loop = Loop(Plan(), self.store, *hands, Patience())
        self.loop.tell(events.Recovered(self.clock.now(), frozenset(), (), frozenset()))
        config = Config({item.id: item for item in self.jobs}, digest="1")
        await self.granted(lambda now: events.ConfigApplied(now, config, 1))
        return self.loop

    async def granted(self, make: Callable[..., events.Event], answer: Any = lambda commands: None) -> Any:
        wish = asyncio.ensure_future(self.loop.ask(make, answer))
        await asyncio.sleep(0)
        await self.loop.turn()
        return await wish

    async def trigger(self, id: str) -> None:
        await self.granted(lambda now: events.TriggerRequested(now, id))

    async def end(self, launch: Launch, outcome: Outcome = Outcome.SUCCESS, **fields: Any) -> None:
        exit = Exit(launch.run, launch.attempt, outcome, self.clock.now(), seq=7, exit_code=0, **fields)
        self.loop.report(Exited(exit))
        await self.loop.turn()


def test_an_attempt_is_started_only_after_its_row_is_durable() -> None:
    async def play() -> None:
        stage = Stage("a")
        await stage.open()
        seen: list[int] = []
        stage.hand.start = lambda launches: seen.append(len(stage.store.batches))  # type: ignore[method-assign]
        await stage.trigger("a")
        row = await stage.store.rows("a")
        assert row[0].state is RunState.RUNNING
        assert seen == [2]

    asyncio.run(play())


def test_a_full_disk_holds_back_starts_and_the_same_batch_succeeds_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagsched.daemon.loop.RETRY_S", 0.0)

    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        stage.store.faults = [StoreUnavailable("disk full"), StoreUnavailable("disk full")]
        troubles: list[str] = []
        commit = stage.store.commit

        async def watched(batch: Batch) -> None:
            troubles.append(loop.health.trouble)
            assert not stage.hand.launches
            await commit(batch)

        stage.store.commit = watched  # type: ignore[method-assign]
        await stage.trigger("a")
        assert troubles == ["", "disk full", "disk full"]
        assert stage.store.batches[-1] is stage.store.batches[-2] is stage.store.batches[-3]
        assert loop.health.trouble == ""
        assert [launch.run for launch in stage.hand.launches] == [(await stage.store.rows("a"))[0].name]

    asyncio.run(play())


def test_what_arrives_during_one_turn_shares_one_commit() -> None:
    async def play() -> None:
        stage = Stage("a", "b", "c")
        loop = await stage.open()
        before = len(stage.store.batches)
        wishes = [asyncio.ensure_future(loop.ask(lambda now, id=id: events.TriggerRequested(now, id))) for id in "abc"]
        await asyncio.sleep(0)
        await loop.turn()
        await asyncio.gather(*wishes)
        assert len(stage.store.batches) == before + 1
        assert len(stage.hand.launches) == 3

    asyncio.run(play())


def test_what_is_due_at_once_is_started_few_first_and_more_with_each_commit() -> None:
    async def scene() -> None:
        stage = Stage(*(f"j{number:03} at 0 * * * *" for number in range(600)))
        loop = await stage.open()
        started: list[int] = []
        stage.clock.advance(timedelta(hours=1))
        while len(stage.hand.launches) < 600:
            await loop.turn()
            started.append(len(stage.hand.launches))
        assert started[0] < started[1] - started[0] < started[2] - started[1]

    asyncio.run(scene())


def test_an_exit_is_acknowledged_only_once_its_commit_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        await stage.trigger("a")
        stage.store.faults = [FencedOut("another daemon")]
        loop.report(Exited(Exit(stage.hand.launches[0].run, 1, Outcome.SUCCESS, stage.clock.now(), seq=7)))
        with pytest.raises(FencedOut):
            await loop.turn()
        assert stage.hand.acknowledged == []

    asyncio.run(play())


def test_a_finished_attempt_is_acknowledged_and_its_downstream_started_in_the_same_turn() -> None:
    async def play() -> None:
        stage = Stage("a", "b after a")
        await stage.open()
        await stage.trigger("a")
        await stage.end(stage.hand.launches[0])
        assert stage.hand.acknowledged == [7]
        assert [launch.run.split(":")[1] for launch in stage.hand.launches] == ["a", "b"]

    asyncio.run(play())


def test_a_refused_wish_is_told_at_once_and_changes_nothing() -> None:
    async def play() -> None:
        stage = Stage(job("a", enabled=False))
        await stage.open()
        with pytest.raises(Unknown):
            await stage.trigger("nobody")
        with pytest.raises(Refused, match="disabled"):
            await stage.trigger("a")
        assert await stage.store.rows() == []

    asyncio.run(play())


def test_a_wish_is_answered_with_the_error_when_its_commit_is_refused() -> None:
    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        stage.store.faults = [FencedOut("another daemon")]
        wish = asyncio.ensure_future(loop.ask(lambda now: events.TriggerRequested(now, "a")))
        await asyncio.sleep(0)
        with pytest.raises(FencedOut):
            await loop.turn()
        with pytest.raises(FencedOut):
            await wish
        assert stage.hand.launches == []

    asyncio.run(play())


def test_observers_see_only_what_is_durable() -> None:
    async def play() -> None:
        stage = Stage("a")
        await stage.open()
        await stage.trigger("a")
        assert [row.seq for row in stage.watcher.events] == [row.seq for row in await stage.store.events()]
        assert [config.digest for config in stage.watcher.configs] == ["1"]

    asyncio.run(play())


def test_upstream_outputs_reach_the_environment_of_the_attempt() -> None:
    async def play() -> None:
        downstream = job("b after a", env={"ROWS": OutputRef("a", "rows"), "KIND": "full"})
        stage = Stage("a", downstream)
        await stage.open()
        await stage.trigger("a")
        await stage.end(stage.hand.launches[0], outputs={"rows": "42"})
        assert stage.hand.launches[1].env["ROWS"] == "42"
        assert stage.hand.launches[1].env["KIND"] == "full"

    asyncio.run(play())


def test_a_missing_output_without_default_ends_the_attempt_as_spawn_error() -> None:
    async def play() -> None:
        stage = Stage("a", job("b after a", env={"ROWS": OutputRef("a", "rows")}))
        loop = await stage.open()
        await stage.trigger("a")
        await stage.end(stage.hand.launches[0])
        await loop.turn()
        row = (await stage.store.rows("b"))[0]
        assert row.state is RunState.FAILED
        assert "gave no output 'rows'" in row.reason

    asyncio.run(play())


def test_a_clock_that_is_set_moves_the_end_of_a_backoff_with_it() -> None:
    async def play() -> None:
        stage = Stage(job("a", retry=2))
        loop = await stage.open()
        await stage.trigger("a")
        await stage.end(stage.hand.launches[0], Outcome.FAILED)
        stage.clock.set_wall(START - timedelta(hours=1))
        loop.wake()
        loop.tell(events.Noted(stage.clock.now(), "nudge"))
        await loop.turn()
        stage.clock.advance(timedelta(seconds=11))
        loop.tell(events.Noted(stage.clock.now(), "nudge"))
        await loop.turn()
        assert [launch.attempt for launch in stage.hand.launches] == [1, 2]

    asyncio.run(play())


def test_what_a_dead_spawner_never_got_is_sent_again_under_the_same_number() -> None:
    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        await stage.trigger("a")
        loop.report(SpawnerGone(Inventory()))
        await loop.turn()
        assert [(launch.run, launch.attempt) for launch in stage.hand.launches] == [
            (stage.hand.launches[0].run, 1),
            (stage.hand.launches[0].run, 1),
        ]
        assert stage.hand.settlements == 2

    asyncio.run(play())


@pytest.mark.parametrize("is_same_turn", [True, False])
def test_what_a_worker_is_to_do_is_handed_out_once_whatever_becomes_of_the_spawner(is_same_turn: bool) -> None:
    async def play() -> None:
        stage = Stage(job("a", queue="etl"))
        loop = await stage.open(Dispatcher(cast(Fleet, object())))
        told = events.Recovered(stage.clock.now(), frozenset(), (), frozenset())
        wish = asyncio.ensure_future(loop.ask(lambda now: events.TriggerRequested(now, "a")))
        await asyncio.sleep(0)
        if not is_same_turn:
            await loop.turn()
        # Made before the attempt was handed out.
        loop.tell(told)
        await loop.turn()
        await wish
        assert sum(len(batch.dispatches) for batch in stage.store.batches) == 1

    asyncio.run(play())


def test_an_attempt_that_is_alive_after_the_spawner_changed_is_left_alone() -> None:
    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        await stage.trigger("a")
        run = stage.hand.launches[0].run
        loop.report(Started(run, 1, 4711, stage.clock.now()))
        await loop.turn()
        loop.report(SpawnerGone(Inventory((Living(run, 1, 4711),), recorded=frozenset({(run, 1)}))))
        await loop.turn()
        assert len(stage.hand.launches) == 1
        attempts = await stage.store.attempts(*(await stage.store.rows("a"))[0].key)
        assert [attempt.pid for attempt in attempts] == [4711]

    asyncio.run(play())


class BrokenPlan(Plan):
    """Breaks in the middle of a pause, as only a defect could make it."""

    def apply(self, event: events.Event) -> Any:
        commands = super().apply(event)
        if isinstance(event, events.PauseRequested):
            raise KeyError("a defect")
        return commands


def test_a_plan_that_breaks_keeps_what_was_decided_before_and_nothing_after() -> None:
    async def play() -> None:
        stage = Stage("a", "b")
        loop = await stage.open()
        loop.plan.__class__ = BrokenPlan
        trigger = asyncio.ensure_future(loop.ask(lambda now: events.TriggerRequested(now, "a")))
        pause = asyncio.ensure_future(loop.ask(lambda now: events.PauseRequested(now, "b")))
        late = asyncio.ensure_future(loop.ask(lambda now: events.TriggerRequested(now, "b")))
        await asyncio.sleep(0)
        with pytest.raises(PlanBroken, match="KeyError"):
            await loop.turn()
        await trigger
        assert [launch.run.split(":")[1] for launch in stage.hand.launches] == ["a"]
        with pytest.raises(Refused, match="defect"):
            await pause
        batches = len(stage.store.batches)
        with pytest.raises(PlanBroken):
            await loop.turn()
        assert len(stage.store.batches) == batches
        assert (await stage.store.marks())["b"].paused is None
        late.cancel()

    asyncio.run(play())


def test_a_loop_takes_over_what_a_broken_one_had_not_applied() -> None:
    async def play() -> None:
        stage = Stage("a")
        broken = await stage.open()
        wish = asyncio.ensure_future(broken.ask(lambda now: events.TriggerRequested(now, "a")))
        await asyncio.sleep(0)
        loop = Loop(broken.plan, stage.store, stage.hand, stage.clock, stage.watcher, timedelta(seconds=10))
        loop.take_over(broken)
        assert broken.has_nothing_to_do()
        await loop.turn()
        await wish
        assert len(stage.hand.launches) == 1

    asyncio.run(play())


def test_an_observer_whose_terminal_is_gone_stops_no_job() -> None:
    async def play() -> None:
        stage = Stage("a")
        await stage.open()

        def closed(events: Sequence[EventRow]) -> None:
            raise BrokenPipeError(32, "Broken pipe")

        stage.watcher.on_events = closed  # type: ignore[method-assign]
        await stage.trigger("a")
        await stage.end(stage.hand.launches[0])
        assert (await stage.store.rows("a"))[0].state is RunState.SUCCESS

    asyncio.run(play())


def test_a_daemon_that_has_to_end_waits_for_no_full_disk() -> None:
    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        stage.store.faults = [StoreUnavailable("disk full")] * 100
        wish = asyncio.ensure_future(loop.ask(lambda now: events.TriggerRequested(now, "a")))
        await asyncio.sleep(0)
        turning = asyncio.ensure_future(loop.turn())
        await asyncio.sleep(0)
        loop.give_up()
        with pytest.raises(StoreUnavailable):
            await asyncio.wait_for(turning, 10)
        with pytest.raises(StoreUnavailable):
            await wish
        assert stage.hand.launches == []

    asyncio.run(play())


def test_a_store_that_does_not_answer_is_trouble_until_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagsched.daemon.patience.UNANSWERED_S", 0.01)

    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        stage.store.answers.clear()
        ailed, ail = asyncio.Event(), loop._ail
        monkeypatch.setattr(loop, "_ail", lambda trouble: (ail(trouble), ailed.set()))
        wish = asyncio.ensure_future(stage.trigger("a"))
        await asyncio.wait_for(ailed.wait(), 10)
        assert loop.health.trouble == "the store does not answer"
        assert stage.hand.launches == []
        stage.store.answers.set()
        await wish
        assert loop.health.trouble == ""
        assert len(stage.hand.launches) == 1

    asyncio.run(play())


def test_a_daemon_that_has_to_end_waits_for_no_store_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagsched.daemon.patience.PARTING_S", 0.01)

    async def play() -> None:
        for is_first in (True, False):
            stage = Stage("a")
            loop = await stage.open()
            stage.store.answers.clear()
            wish = asyncio.ensure_future(loop.ask(lambda now: events.TriggerRequested(now, "a")))
            await asyncio.sleep(0)
            if is_first:
                loop.give_up()
            turning = asyncio.ensure_future(loop.turn())
            await asyncio.sleep(0)
            loop.give_up()
            with pytest.raises(StoreUnavailable, match="does not answer"):
                await asyncio.wait_for(turning, 10)
            with pytest.raises(StoreUnavailable):
                await wish
            assert stage.hand.launches == []

    asyncio.run(play())


def test_a_pid_makes_no_commit_of_its_own_and_goes_with_the_next() -> None:
    async def play() -> None:
        stage = Stage("a")
        loop = await stage.open()
        await stage.trigger("a")
        launch = stage.hand.launches[0]
        before = len(stage.store.batches)
        loop.report(Started(launch.run, 1, 4711, stage.clock.now()))
        assert loop.has_nothing_to_do()
        await stage.end(launch)
        assert len(stage.store.batches) == before + 1
        row = (await stage.store.rows("a"))[0]
        assert (await stage.store.attempts(*row.key))[0].pid == 4711

    asyncio.run(play())
