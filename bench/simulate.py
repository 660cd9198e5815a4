"""A simulated month of 1,000 jobs, against the engine by itself.

Measured: `dagsched simulate --days 30 --json`, the whole process, on 700 daily, 250 six-hourly and 50 hourly jobs in
chains and two pools, of which every twentieth attempt fails and is tried again: 87,000 runs. Yardstick: the same days
in `dagsched.virtual` alone, the real engine without draws, onlooker and report, in a new process. They take turns.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from yard import Report, answer_apart, is_part, memory_mb, options, scratch, time_process

DAYS = 30
DAILY, SIX_HOURLY, HOURLY = 700, 250, 50
START = "2026-11-01T00:00:00Z"
SECONDS_GOAL = 30


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--days", type=int, default=DAYS, metavar="N", help=f"days to simulate (default: {DAYS})")
    args = parser.parse_args()
    whole, cpu, engine, peak = [], [], [], []
    with scratch() as folder:
        file = folder / "jobs.yaml"
        file.write_text(job_file())
        command = [
            sys.executable, "-m", "dagsched", "simulate", str(file), "--days", str(args.days), "--json",
            "--from", START, "--duration", "3m", "--fail-rate", "0.05",
        ]  # fmt: skip
        for _ in range(args.runs):
            took = time_process(command)
            whole.append(took.wall_s)
            cpu.append(took.cpu_s)
            alone = answer_apart(__file__, "engine", str(file), str(args.days))
            engine.append(alone["cpu_s"])
            peak.append(alone["peak_mb"])
    jobs = DAILY + SIX_HOURLY + HOURLY
    report = Report(f"simulate: {args.days} days of {jobs:,} jobs")
    total = report.add("dagsched simulate, whole process", "s", whole)
    used = report.add("the same, processor", "s", cpu)
    bare = report.add("the engine alone, processor", "s", engine)
    report.add("the engine alone, peak memory", "MB", peak)
    report.ratio("simulate / the engine alone, processor", used, bare)
    report.limit("whole process, s", total.median, goal=SECONDS_GOAL)
    report.print(as_json=args.json)


def job_file() -> str:
    """Return the job file: chains of seven daily and five six-hourly jobs, and hourly ones below the daily ones."""
    head = "version: 1\ntimezone: Europe/Berlin\ndefaults: {retry: 2}\npools: {warehouse: 8, api: 4}\njobs:\n"
    return head + "".join(f"  {line}\n" for line in _jobs())


def _jobs() -> Iterator[str]:
    for number in range(DAILY):
        when = f'schedule: "{number % 60} {number % 6} * * *"' if number % 7 == 0 else _after("daily", number)
        yield f"daily-{number}: {{run: ./daily, {when}{', pool: warehouse' if number % 3 == 0 else ''}}}"
    for number in range(SIX_HOURLY):
        when = f'schedule: "{number % 60} */6 * * *"' if number % 5 == 0 else _after("six", number)
        yield f"six-{number}: {{run: ./six, {when}{', pool: api' if number % 4 == 0 else ''}}}"
    for number in range(HOURLY):
        yield f'hourly-{number}: {{run: ./hourly, schedule: "{number} * * * *", depends_on: [daily-{number}]}}'


def _after(kind: str, number: int) -> str:
    return f"depends_on: [{kind}-{number - 1}]"


def engine_alone(file: Path, days: int) -> dict[str, float]:
    from dagsched import config
    from dagsched.model import Job, Run, parse_instant
    from dagsched.virtual import End, Virtual

    start = parse_instant(START)
    loaded = config.load([file], start)
    assert loaded.config is not None, config.render(loaded.problems, "human")
    end = End(timedelta(minutes=3))

    def behave(job: Job, run: Run, attempt: int) -> End:
        return end

    before = time.process_time()
    virtual = Virtual(loaded.config, start, behave=behave, keeps_events=False)
    virtual.run_until(start + timedelta(days=days))
    assert len(virtual.rows()) > days * (DAILY + 4 * SIX_HOURLY + 23 * HOURLY) * 0.98
    return {"cpu_s": time.process_time() - before, "peak_mb": memory_mb(peak=True)}


if __name__ == "__main__":
    if is_part():
        print(json.dumps(engine_alone(Path(sys.argv[3]), int(sys.argv[4]))))
    else:
        main()
