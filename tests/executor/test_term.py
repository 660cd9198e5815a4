"""Terms of a lease: what is ordered after one is not started, and what runs is ended when none follows."""

from __future__ import annotations

import asyncio

from dagsched.clock import boottime_s
from dagsched.executor import Executor, SpawnerGone
from dagsched.model import Outcome
from dagsched.stores.contract import Term
from tests.executor.harness import Hand, order

HOUR_S = 3600.0


def test_an_order_waits_for_a_term_in_which_it_may_start(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            hand.executor.renew(Term(boottime_s() - 1, boottime_s() + HOUR_S))
            launch = order("j", "true")
            hand.executor.start([launch])
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            hand.executor.send()
            assert hand.executor.drop_starts() == [launch]
            assert not hand.reports
            hand.executor.start([launch])
            hand.executor.renew(Term(boottime_s() + HOUR_S, boottime_s() + HOUR_S))
            assert (await hand.run(launch)).outcome is Outcome.SUCCESS

    asyncio.run(main())


def test_the_spawner_refuses_an_order_that_comes_after_its_term(tmp_path, monkeypatch):
    async def main():
        async with Hand(tmp_path) as hand:
            hand.executor.renew(Term(boottime_s() - 1, boottime_s() + HOUR_S))
            # As by a daemon that was frozen between its look at the clock and the write.
            monkeypatch.setattr(Executor, "may_start", lambda self: True)
            launch = order("j", "touch", str(tmp_path / "started"))
            hand.executor.start([launch])
            [gone] = await hand.until(lambda: hand.of(SpawnerGone))
            assert not gone.inventory.recorded
            assert not (tmp_path / "started").exists()

    asyncio.run(main())


def test_what_runs_is_lost_when_no_term_follows(tmp_path):
    async def main():
        async with Hand(tmp_path) as hand:
            launch = order("j", "sleep", "60")
            await hand.start(launch)
            hand.executor.renew(Term(boottime_s() + HOUR_S, boottime_s() - 1))
            exit = await hand.run(launch)
            assert (exit.outcome, exit.cause) == (Outcome.LOST, "lease")

    asyncio.run(main())
