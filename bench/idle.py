"""A daemon with 10,000 hourly schedules and nothing due, beside one with no job at all.

Measured, over windows of 20 s: processor time as a share of one core, wake-ups a second (voluntary context
switches of all threads) and resident memory, of the daemon and of its spawner together. Yardstick: a daemon of
`jobs: {}` running at the same time. No schedule is due before half an hour has passed. Reads /proc, so Linux alone.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from yard import Report, daemon, family, memory_mb, options, scratch, spent

SCHEDULES = 10_000
WINDOW_S = 20
SETTLE_S = 5


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=WINDOW_S, metavar="S", help=f"one window ({WINDOW_S})")
    args = parser.parse_args()
    with (
        scratch() as folder,
        running(folder / "full", hourly()) as full,
        running(folder / "empty", "jobs: {}\n") as none,
    ):
        time.sleep(SETTLE_S)
        windows = [watch([full, none], args.seconds) for _ in range(args.runs)]
    report = Report(f"idle: a daemon of {SCHEDULES:,} hourly schedules beside an empty one, {args.seconds:g} s windows")
    for key, unit in (("cpu", "% of a core"), ("wakeups", "1/s"), ("memory", "MB")):
        ours = report.add(f"{SCHEDULES:,} schedules: {key}", unit, [window[0][key] for window in windows])
        empty = report.add(f"no jobs: {key}", unit, [window[1][key] for window in windows])
        if empty.median:
            report.ratio(f"{key}, full / empty", ours, empty)
    report.print(as_json=args.json)


def hourly() -> str:
    """Return a job file whose schedules are all due in half an hour, at one of five minutes."""
    minutes = [(datetime.now(UTC).minute + 30 + number) % 60 for number in range(5)]
    jobs = [f'  hourly-{n:05}: {{schedule: "{minutes[n % 5]} * * * *", run: "true"}}' for n in range(SCHEDULES)]
    return "\n".join(["version: 1", "jobs:", *jobs, ""])


@contextmanager
def running(folder: Path, text: str) -> Iterator[int]:
    """Run a daemon on this job file; gives its process id once it is ready."""
    folder.mkdir()
    (folder / "jobs.yaml").write_text(text)
    with daemon(folder / "jobs.yaml", folder / "state") as pid:
        yield pid


def watch(pids: list[int], seconds: float) -> list[dict[str, float]]:
    """Return, for each daemon with its spawner, what it used in a window from now."""
    families = [family(pid) for pid in pids]
    before = [spent(each) for each in families]
    start = time.monotonic()
    time.sleep(seconds)
    after, passed = [spent(each) for each in families], time.monotonic() - start
    return [
        {
            "cpu": (new.cpu_s - old.cpu_s) / passed * 100,
            "wakeups": (new.wakeups - old.wakeups) / passed,
            "memory": sum(memory_mb(pid) for pid in each),
        }
        for old, new, each in zip(before, after, families, strict=True)
    ]


if __name__ == "__main__":
    main()
