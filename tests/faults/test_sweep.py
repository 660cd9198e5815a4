"""kill -9 at every write, clone and sync of one run's life, of the daemon and of the spawner in turn.

A first life is only watched: which calls it makes, and how many. Then each of these calls is the one at which the
process is killed, whichever thread makes it (a daemon's small commits are made by its loop, or by the database's
thread), and the next daemon or spawner has to make good what was cut short.
Between two kills nothing is reset: the state that one leaves is the one that the next has to live with. The ordinary
tests take every so many calls; `DAGSCHED_FAULTS=all` takes each one, and of each two more than the first life had, and
does the same with the state on a PostgreSQL server.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.executor.harness import is_alive
from tests.faults.hands import spawner_of, wait_until
from tests.faults.injecting import CLONES, LONG, NAMES, SYNCS, TAKES_ALL, WRITES, counted, injected, threads
from tests.faults.lives import Lives
from tests.faults.machine import at_most
from tests.postgres import new_address

CALLS = (*WRITES, *CLONES, *SYNCS, *NAMES)
CALLS_OF_A_SHORT_SWEEP = 12
KILLS_MIN = {"sqlite": 60 if TAKES_ALL else 6, "postgresql": 20}
# What the record shows is durable; what the daemon and the spawner still say of it comes a moment later.
SETTLED_S = 0.05

Call = tuple[str, int]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=LONG)])
def store(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def lives(tmp_path: Path, store: str) -> Iterator[Lives]:
    lives = Lives(tmp_path, attempts=5, address=new_address() if store == "postgresql" else None)
    try:
        lives.trigger("long")
        yield lives
    finally:
        lives.close()


def test_a_daemon_killed_at_any_call_of_a_runs_life_loses_nothing_and_repeats_nothing(lives: Lives, store: str) -> None:
    kills = 0
    for name, number in calls_of_a_life(lives, lambda: lives.daemon.process.pid):
        if is_killed_at(lives, lives.daemon.process.pid, name, number):
            kills += 1
            lives.restart()
            assert ("attempt.adopted", "long") in [(event["type"], event["job"]) for event in lives.daemon.seen]
        lives.come_to_rest()
    lives.stop()
    print(f"{kills} kills, restarts {statistics.median(lives.restart_s):.2f} s, at most {max(lives.restart_s):.2f} s")
    assert kills >= KILLS_MIN[store]
    assert lives.verdict() == []
    assert statistics.median(lives.restart_s) < at_most(2, statistics.median(lives.bare_s))


def test_a_spawner_killed_at_any_call_of_a_runs_life_leaves_a_true_record(lives: Lives) -> None:
    kills = 0
    for name, number in calls_of_a_life(lives, lambda: spawner_of(lives.state)):
        if is_killed_at(lives, spawner_of(lives.state), name, number):
            kills += 1
            lives.spawner_kills.append(time.time())
            lives.daemon.until_type("run.started", "long")
        lives.come_to_rest()
    lives.stop()
    print(f"{kills} kills")
    assert kills >= 6
    assert lives.verdict() == []


def calls_of_a_life(lives: Lives, pid: Callable[[], int]) -> Iterator[Call]:
    """Yield the calls at which to kill: (name, which one of it in its thread)."""
    for _ in range(3):
        # The first lives pay for what was before them: the database's log, which is long, goes into the database.
        lives.trigger("work")
        lives.come_to_rest()
    with counted(pid(), *CALLS) as found:
        lives.trigger("work")
        lives.come_to_rest()
    print(f"calls of a life: {dict(found)}")
    # One life may need a call or two more than another.
    more = 2 if TAKES_ALL else 0
    counts = {name: max(found.get((True, name), 0), found.get((False, name), 0)) for _, name in sorted(found)}
    every = [(name, n) for name, count in counts.items() for n in range(1, count + more + 1)]
    yield from every if TAKES_ALL else every[:: -(-len(every) // CALLS_OF_A_SHORT_SWEEP)]


def is_killed_at(lives: Lives, pid: int, name: str, number: int) -> bool:
    """Trigger a run and let it live, unless the process is killed before, when a thread makes that call."""
    with injected(threads(pid), f"{name}:signal=SIGKILL:when={number}"):
        lives.trigger("work")
        wait_until(lambda: not is_alive(pid) or lives.is_at_rest(), "the end of a life")
        time.sleep(SETTLED_S)
    return not is_alive(pid)
