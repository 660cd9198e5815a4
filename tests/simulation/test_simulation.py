"""A thousand simulated days hold the promises, and an engine that breaks one is found out."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from dagsched.engine.joins import Join, Judgement
from dagsched.engine.lifecycle import Retried
from dagsched.engine.plan import Plan
from dagsched.engine.rates import Rates
from dagsched.engine.retries import wait_after
from dagsched.engine.seats import Seats
from dagsched.engine.ticks import Ticks
from dagsched.model import RunState
from tests.simulation.journal import Broken
from tests.simulation.machine import Machine
from tests.simulation.world import World

DAYS = 5
SEEDS_PER_TEST = 20
TESTS = 10


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The daemon's warnings about its thousand deaths are of no interest here."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def live(seed: int, days: float = DAYS) -> World:
    """Live one seed; what goes wrong names the command that shows it again."""
    world = World(seed, days)
    try:
        world.live()
    except Exception as error:
        replay = f"python -m tests.simulation {seed} --days {days:g} -v"
        tail = "\n".join(world.trace[-15:])
        raise AssertionError(f"seed {seed}: {error!r}\nreplay: {replay}\n{tail}") from error
    return world


@pytest.mark.parametrize("block", range(TESTS))
def test_a_hundred_days_of_trouble_break_no_promise(block: int) -> None:
    worlds = [live(seed) for seed in range(block * SEEDS_PER_TEST, (block + 1) * SEEDS_PER_TEST)]
    assert sum(world.days for world in worlds) >= 100
    assert sum(world.auditor.starts for world in worlds) > 1000


def test_the_same_seed_lives_the_same_life() -> None:
    assert live(3).trace == live(3).trace


# ---------------------------------------------------------------- engines and machines that break a promise


def _without_fencing(patch: pytest.MonkeyPatch) -> None:
    """The attempt before is taken for dead while it lives."""

    def take_for_dead(self: Plan, run: Any) -> None:
        job = self.book.jobs.get(run.job)
        if job is None:
            return  # a removed job's attempt may only finish
        self.book.open_attempts.pop(run.key, None)
        wait = self.book.now + wait_after(job.retry, run.name, run.attempts)
        self.book.move(run, Retried(self.book.now, "presumed dead", wait), run.attempts)

    patch.setattr(Plan, "_adopt", take_for_dead)


def _a_tick_lost_at_restart(patch: pytest.MonkeyPatch) -> None:
    real = Plan.restore

    def forgetful(self: Plan, **known: Any) -> None:
        known["marks"] = [mark._replace(cursor=mark.cursor + timedelta(hours=6)) for mark in known["marks"]]
        real(self, **known)

    patch.setattr(Plan, "restore", forgetful)


def _double_start(patch: pytest.MonkeyPatch) -> None:
    def start_all(self: Machine, launches: Any) -> None:
        for launch in launches:
            self._spawn(launch)
            self._spawn(launch)

    patch.setattr(Machine, "start", start_all)


def _pools_without_walls(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Seats, "_fits", lambda self, pool, slots: True)


def _rates_forgotten_at_restart(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Rates, "learn", lambda self, starts: None)


def _slots_never_given_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Seats, "_release", lambda self, key: None)


def _joins_without_upstreams(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Join, "judge", lambda self: Judgement.RUN)


def _terminal_states_rewritten(patch: pytest.MonkeyPatch) -> None:
    real = Ticks.make_due

    def rewrite(self: Ticks, heirs: Any = None, **bounds: Any) -> None:
        real(self, heirs, **bounds)
        for id in self._book.jobs:
            row = self._book.ledger.newest_of_all(id)
            if row is not None and row.state is RunState.FAILED:
                self._book.amend(row, "run.succeeded", "", state=RunState.SUCCESS)

    patch.setattr(Ticks, "make_due", rewrite)


def _no_catch_up_rows(patch: pytest.MonkeyPatch) -> None:
    real = Ticks._dues_of
    patch.setattr(Ticks, "_dues_of", lambda self, *args: list(real(self, *args))[-1:])


@pytest.mark.parametrize(
    ("sabotage", "promises"),
    [
        pytest.param(_without_fencing, {"P9", "P7"}, id="no fencing"),
        pytest.param(_a_tick_lost_at_restart, {"P4"}, id="a tick lost at a restart"),
        pytest.param(_no_catch_up_rows, {"P4"}, id="missed ticks without rows"),
        pytest.param(_double_start, {"P2"}, id="started twice"),
        pytest.param(_pools_without_walls, {"P10"}, id="pools without walls"),
        pytest.param(_rates_forgotten_at_restart, {"rate"}, id="rates forgotten at a restart"),
        pytest.param(_slots_never_given_back, {"P7"}, id="slots never given back"),
        pytest.param(_joins_without_upstreams, {"P3"}, id="joins that ignore upstreams"),
        pytest.param(_terminal_states_rewritten, {"P5", "P13", "P14"}, id="terminal states rewritten"),
    ],
)
def test_a_broken_promise_is_found(
    sabotage: Callable[[pytest.MonkeyPatch], None], promises: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    sabotage(monkeypatch)
    found: set[str] = set()
    for seed in range(60):
        try:
            World(seed, 3).live()
        except Broken as broken:
            found.add(broken.promise)
        if found & promises:
            return
    pytest.fail(f"found {found or 'nothing'}, expected one of {promises}")
