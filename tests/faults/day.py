"""A day of a daemon in a quarter of a minute: the real loop, plan and SQLite store on a clock that is moved by hand.

    python -m tests.faults.day [HOURS]

Twelve jobs, half of them below another; each minute brings ticks, joins, failures, retries, a trigger and now and then
an edit. Attempts are of straw and end at once. Every quarter of an hour the memory is looked at: blocks that Python has
given out, and the resident memory of the process. Prints both as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from dagsched.clock import ManualClock
from dagsched.daemon.loop import Loop
from dagsched.daemon.observers import Observers
from dagsched.engine import Plan, events
from dagsched.executor import Exited, Started
from dagsched.handlers import Launch
from dagsched.model import Config, Exit, Job, Outcome, RetryPolicy, Schedule
from dagsched.stores import open_store
from dagsched.stores.contract import Store
from tests.engine.bench_of_one import START, job
from tests.faults.memory import resident_kb

MINUTE = timedelta(minutes=1)
SAMPLE = timedelta(minutes=15)
EDIT = timedelta(hours=1)


class Straw:
    """An executor whose attempts are over as soon as somebody asks; every seventh fails."""

    def __init__(self) -> None:
        self.launched: list[Launch] = []
        self.seq = 0

    def start(self, launches: Sequence[Launch]) -> None:
        self.launched += launches

    def stop(self, run: str, attempt: int, cause: str, grace_s: float) -> None: ...

    def acknowledge(self, seq: int) -> None: ...

    def settled(self) -> None: ...

    def send(self) -> None: ...

    def end_all(self, loop: Loop, clock: ManualClock) -> bool:
        """Report the end of whatever was started; whether there was anything."""
        launched, self.launched = self.launched, []
        for each in launched:
            self.seq += 1
            ok = bool(self.seq % 7)
            outcome, code = (Outcome.SUCCESS, 0) if ok else (Outcome.FAILED, 1)
            loop.report(Started(each.run, each.attempt, 4711, clock.now()))
            loop.report(Exited(Exit(each.run, each.attempt, outcome, clock.now(), seq=self.seq, exit_code=code)))
        return bool(launched)


def jobs(edition: int) -> dict[str, Job]:
    """Return the jobs of an edit; one of them differs from edit to edit."""
    retry = RetryPolicy(2, delay=timedelta(seconds=10))
    made = [job(f"source-{n}", schedule=Schedule(every=(1 + n % 3) * MINUTE), retry=retry) for n in range(6)]
    made += [job(f"below-{n} after source-{n}") for n in range(6)]
    made[0] = job("source-0", schedule=Schedule(every=MINUTE), retry=retry, run=f"echo {edition}")
    return {each.id: each for each in made}


async def live(folder: Path, hours: float) -> dict[str, list[int]]:
    """Live so many hours and return the samples."""
    store = open_store(folder)
    await store.open(write=True)
    await store.acquire("a day")
    try:
        return await _live(store, hours)
    finally:
        # Also when it fails: the thread of an open connection would keep this process for ever.
        await store.close()


async def _live(store: Store, hours: float) -> dict[str, list[int]]:
    clock, hand = ManualClock(START), Straw()
    samples: dict[str, list[int]] = {"blocks": [], "resident_kb": []}
    loop = Loop(Plan(), store, hand, clock, Observers(), timedelta(seconds=10))
    loop.tell(events.Recovered(clock.now(), frozenset(), (), frozenset()))
    edition, runs = 0, 0
    end, next_edit, next_sample = START + timedelta(hours=hours), START, START + SAMPLE
    while clock.now() < end:
        if clock.now() >= next_edit:
            edition, next_edit = edition + 1, next_edit + EDIT
            config, number = Config(jobs(edition), digest=str(edition)), edition
            await _granted(loop, partial(events.ConfigApplied, config=config, number=number))
        await _granted(loop, partial(events.TriggerRequested, job="below-5"))
        while hand.end_all(loop, clock) or not loop.has_nothing_to_do():
            await loop.turn()
        runs = hand.seq
        if clock.now() >= next_sample:
            next_sample += SAMPLE
            gc.collect()
            samples["blocks"].append(sys.getallocatedblocks())
            samples["resident_kb"].append(resident_kb(os.getpid()))
        wake = loop.plan.wake_at()
        clock.advance(min(MINUTE, max(timedelta(milliseconds=1), (wake or end) - clock.now())))
        loop.wake()
    assert runs > 400 * hours, f"only {runs} attempts in {hours} hours"
    return samples


async def _granted(loop: Loop, make: Callable[[datetime], events.Event]) -> None:
    wish = asyncio.ensure_future(loop.ask(make))
    await asyncio.sleep(0)
    await loop.turn()
    await wish


def main() -> None:
    """Run the command line."""
    hours = float(sys.argv[1]) if len(sys.argv) > 1 else 24.0
    # In memory where there is such a file system: a day has thousands of syncs, and they are not what is looked at.
    shared = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryDirectory(prefix="dagsched-day-", dir=shared) as folder:
        print(json.dumps(asyncio.run(live(Path(folder), hours))))


if __name__ == "__main__":
    main()
