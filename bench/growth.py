"""What one run costs as the graph grows: 100, 10,000 and 100,000 jobs.

Measured: processor time of one run of a pipeline of ten jobs in line, through plan, outbox and SQLite store (WAL,
`synchronous=FULL`), with everything a daemon does but the processes themselves; the other jobs have schedules that are
not due. Yardstick: the same with 100 jobs in all, in turns. Each size has a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from yard import SCRATCH, Report, answer_apart, is_part, options

from dagsched.daemon.memory import settle
from dagsched.daemon.outbox import Outbox
from dagsched.engine import Plan, events
from dagsched.engine.commands import Command, StartAttempt
from dagsched.model import Config, Dependency, Exit, Job, Outcome, Schedule, run_name, utc
from dagsched.stores import SqliteStore

SIZES = (100, 10_000, 100_000)
LINE = 10
PASSES = 100
START = utc(2026, 11, 24, 10, 0, 30)
STEP = timedelta(milliseconds=50)
GOAL = 1.3


def main() -> None:
    if is_part():
        print(json.dumps(asyncio.run(cost(int(sys.argv[2])))))
        return
    args = options(__doc__).parse_args()
    samples: dict[int, list[float]] = {size: [] for size in SIZES}
    for _ in range(args.runs):
        for size in SIZES:
            samples[size].append(answer_apart(__file__, str(size))["us"])
    report = Report(f"growth: processor time of a run, {PASSES * LINE:,} runs of a line of {LINE} jobs")
    smallest, *larger = (report.add(f"{size:,} jobs", "µs a run", samples[size]) for size in SIZES)
    for figure in larger:
        report.ratio(f"{figure.label} / {smallest.label}", figure, smallest, goal=GOAL)
    report.print(as_json=args.json)


async def cost(size: int) -> dict[str, float]:
    """Return the microseconds of processor time of one run in a graph of that many jobs."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=SCRATCH) as folder:
        store = SqliteStore(Path(folder) / "dagsched.db")
        await store.open(write=True)
        try:
            await store.acquire("bench")
            pipeline = Pipeline(store)
            await pipeline.begin(jobs(size))
            await pipeline.run()  # warm: definitions and statements are known from here on
            settle()
            used = time.process_time()
            for _ in range(PASSES):
                await pipeline.run()
            return {"us": (time.process_time() - used) / (PASSES * LINE) * 1e6}
        finally:
            await store.close()


def jobs(size: int) -> Config:
    """Return a line of jobs without a schedule, and others that are due once a year."""
    line = [
        Job(f"step-{place}", run=("true",), depends_on=(Dependency(f"step-{place - 1}"),) if place else ())
        for place in range(LINE)
    ]
    idle = Schedule(cron=("0 3 1 5 *",))
    others = [Job(f"idle-{number:06}", schedule=idle, run=("true",)) for number in range(size - LINE)]
    return Config({job.id: job for job in (*line, *others)})


class Pipeline:
    """A plan on a store whose attempts succeed at once."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self._plan, self._now = store, Plan(), START

    async def begin(self, config: Config) -> None:
        self._plan.restore(
            runs=[], attempts=[], marks=[], last_event=0, last_seen=None, config=None, config_number=0
        )  # fmt: skip
        await self._apply([events.ConfigApplied(self._now, config, 1)])

    async def run(self) -> None:
        """Let one tick go down the line."""
        starts = await self._apply([events.TriggerRequested(self._now, "step-0")])
        ended = 0
        while starts:
            ended += len(starts)
            starts = await self._apply([events.AttemptFinished(self._now, _success(act, self._now)) for act in starts])
        assert ended == LINE, f"{ended} of {LINE} jobs ran"

    async def _apply(self, several: Sequence[events.Event]) -> list[StartAttempt]:
        """Take events as a turn of the daemon does: apply, let time pass, commit; return what is to be started."""
        outbox, commands = Outbox(), list[Command]()
        for event in several:
            commands += self._plan.apply(event)
        commands += self._plan.apply(events.TimePassed(self._now))
        outbox.take(commands)
        await self._store.commit(outbox.sealed())
        self._now += STEP
        return [act for act in outbox.acts if isinstance(act, StartAttempt)]


def _success(act: StartAttempt, ended: datetime) -> Exit:
    name = run_name(act.run.job, act.run.tick)
    return Exit(name, act.run.attempts, Outcome.SUCCESS, ended, exit_code=0)


if __name__ == "__main__":
    main()
