"""What a worker waits for, with a state that answers when a test says so."""

from __future__ import annotations

import asyncio
import socket
from math import inf

import pytest

from dagsched.errors import StoreError
from dagsched.stores.address import Address
from dagsched.stores.contract import Term
from dagsched.worker.desk import Mine
from dagsched.worker.service import Worker, _either, usual_pause_s
from tests.worker.test_desk import Hand, taken

PATIENCE_S = 30


class Slow:
    """A state whose answer to a wish for work comes once `answered` is set, as `found` or as an error."""

    lease_s, refused = 30.0, None

    def __init__(self, error=None):
        self.asked, self.answered, self.error = asyncio.Event(), asyncio.Event(), error
        self.found, self.held = [], []

    async def renew(self):
        return Term(inf, inf), self.held

    async def take(self, at_most):
        self.asked.set()
        await self.answered.wait()
        if self.error is not None:
            raise self.error
        found, self.found = self.found, []
        return found


class Idle(Hand):
    """An executor that starts nothing."""

    def renew(self, term):
        pass


@pytest.mark.parametrize("error", [None, StoreError("the server is gone")], ids=["nothing there", "no answer"])
def test_a_worker_that_is_to_drain_while_it_asks_for_work_ends_all_the_same(tmp_path, error):
    async def main():
        worker = Worker(Address("postgresql://127.0.0.1:1/none"), tmp_path, ["etl"])
        state = Slow(error)
        worker._crew, worker._executor, worker._term = state, Idle(), Term(inf, inf)
        serving = asyncio.ensure_future(worker._serve())
        await state.asked.wait()
        worker._drain()
        for _ in range(20):  # whoever reports sees it while the answer is under way
            await asyncio.sleep(0)
        assert not serving.done()
        state.answered.set()
        await asyncio.wait_for(serving, PATIENCE_S)

    asyncio.run(main())


@pytest.fixture
def manager(tmp_path, monkeypatch):
    """systemd's ear, for a unit with a watchdog of 40 ms."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(tmp_path / "notify"))
        ear.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "40000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield ear


async def told(manager, words):
    async with asyncio.timeout(PATIENCE_S):
        while words not in (await asyncio.get_running_loop().sock_recv(manager, 4096)).decode():
            pass


def test_systemd_is_told_that_a_worker_without_its_server_is_up_and_alive(tmp_path, manager, monkeypatch):
    monkeypatch.setattr("dagsched.worker.service.AGAIN_S", 0.01)

    async def main():
        starting = asyncio.ensure_future(Worker(Address("postgresql://127.0.0.1:1/none"), tmp_path, ["etl"]).run())
        await told(manager, "READY=1\nSTATUS=waiting for the state: ")
        for _ in range(3):
            await told(manager, "WATCHDOG=1")
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)

    asyncio.run(main())


def test_a_worker_whose_server_takes_long_to_answer_still_shows_that_it_lives(tmp_path, manager):
    async def main():
        worker = Worker(Address("postgresql://127.0.0.1:1/none"), tmp_path, ["etl"])
        state = Slow()
        worker._crew, worker._executor, worker._term = state, Idle(), Term(inf, inf)
        worker._desk.mine[taken().attempt] = Mine(taken())
        sending = asyncio.Event()

        async def ship(each):
            sending.set()
            await asyncio.Event().wait()

        worker._shipper.ship = ship
        serving = asyncio.ensure_future(worker._serve())
        while not sending.is_set():
            await told(manager, "WATCHDOG=1")
        for _ in range(20):  # more than can be on their way
            await told(manager, "WATCHDOG=1")
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(main())


@pytest.mark.parametrize("is_ours", [True, False])
def test_what_was_taken_under_a_lease_that_has_run_out_starts_only_if_it_is_still_ours(tmp_path, is_ours):
    async def main():
        worker, state, hand = Worker(Address("postgresql://127.0.0.1:1/none"), tmp_path, ["etl"]), Slow(), Idle()
        worker._crew, worker._executor, worker._term = state, hand, Term(inf, inf)
        worker._desk._executor = hand
        state.found = [taken()]
        fetching = asyncio.ensure_future(worker._fetch())
        await state.asked.wait()
        worker._term = Term(0, 0)
        await worker._put_off()
        state.answered.set()
        async with worker._taking:  # until the answer has been taken
            pass
        assert hand.started == []
        state.held = [taken()] if is_ours else []
        await worker._put_off()
        assert len(hand.started) == is_ours
        fetching.cancel()

    asyncio.run(main())


@pytest.mark.parametrize(("lease_s", "pause_s"), [(30, 10), (300, 10), (13, 5 / 2.2)])
def test_what_a_lost_notification_would_have_told_is_seen_within_ten_seconds(lease_s, pause_s):
    assert usual_pause_s(lease_s) == pytest.approx(pause_s)


@pytest.mark.parametrize("turns", range(5))
def test_a_wait_that_is_cancelled_just_when_it_is_over_is_cancelled(turns):
    """asyncio.wait_for() of Python 3.11 swallows it, and whoever waits for the end of such a task waits for ever."""

    async def main():
        event = asyncio.Event()
        waiting = asyncio.ensure_future(_either(event, PATIENCE_S))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        if waiting.cancel():
            with pytest.raises(asyncio.CancelledError):
                await waiting

    asyncio.run(main())
