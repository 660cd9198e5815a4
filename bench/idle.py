"""A daemon with 10,000 hourly schedules and nothing due, beside one with no job and beside two peers.

Measured, over windows of 20 s: processor time as a share of one core, wake-ups a second (voluntary context
switches of all threads) and resident memory, of the daemon and of its spawner together. Yardsticks, at the same time
with the same 10,000 schedules, each in a process of its own: cronstable (MIT) and APScheduler (MIT, a background
scheduler with its jobs in memory); and a daemon of `jobs: {}`. No schedule is due before half an hour has passed.
A peer is measured once it has been quiet for two seconds. Reads /proc, so Linux alone.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from yard import ENV, Report, daemon, family, memory_mb, options, scratch, spent
from yard.peers import look_for, peer_program, peer_python

SCHEDULES = 10_000
WINDOW_S = 20
SETTLE_S = 5
PEER_READY_S = 600
QUIET_S = 0.1
# 60 MB and 2 kB for each job.
GOALS = {"cpu": 0.2, "memory": 60 + SCHEDULES * 2 / 1000}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=WINDOW_S, metavar="S", help=f"one window ({WINDOW_S})")
    args = parser.parse_args()
    report = Report(f"idle: a daemon of {SCHEDULES:,} hourly schedules beside others, {args.seconds:g} s windows")
    commands = {
        "cronstable": look_for(report, "cronstable", lambda: [peer_python("cronstable"), "-m", "cronstable"]),
        "APScheduler": look_for(report, "APScheduler", lambda: peer_program("apscheduler")),
    }
    with ExitStack() as stack:
        folder = stack.enter_context(scratch())
        pids = {
            f"{SCHEDULES:,} schedules": stack.enter_context(running(folder / "full", hourly())),
            "no jobs": stack.enter_context(running(folder / "empty", "jobs: {}\n")),
        }
        arguments = {
            "cronstable": ["-c", str(cronstable_file(folder))],
            "APScheduler": [str(SCHEDULES), *map(str, minutes())],
        }
        for name, command in commands.items():
            if command:
                pids[name] = stack.enter_context(peer([*command, *arguments[name]]))
        time.sleep(SETTLE_S)
        windows = [watch(list(pids.values()), args.seconds) for _ in range(args.runs)]
    for key, unit in (("cpu", "% of a core"), ("wakeups", "1/s"), ("memory", "MB")):
        found = [
            report.add(f"{label}: {key}", unit, [window[place][key] for window in windows])
            for place, label in enumerate(pids)
        ]
        if key in GOALS:
            report.limit(f"{key}, {unit}", found[0].median, goal=GOALS[key])
        for label, other in zip(list(pids)[1:], found[1:], strict=True):
            if other.median:
                report.ratio(f"{key} / {label}", found[0], other)
    report.print(as_json=args.json)


def minutes() -> list[int]:
    """Return the five minutes, half an hour from now, at one of which each schedule is due."""
    return [(datetime.now(UTC).minute + 30 + number) % 60 for number in range(5)]


def hourly() -> str:
    """Return a job file of hourly schedules."""
    due = minutes()
    jobs = [f'  hourly-{n:05}: {{schedule: "{due[n % 5]} * * * *", run: "true"}}' for n in range(SCHEDULES)]
    return "\n".join(["version: 1", "jobs:", *jobs, ""])


@contextmanager
def running(folder: Path, text: str) -> Iterator[int]:
    """Run a daemon on this job file; gives its process id once it is ready."""
    folder.mkdir()
    (folder / "jobs.yaml").write_text(text)
    with daemon(folder / "jobs.yaml", folder / "state") as pid:
        yield pid


# ---------------------------------------------------------------- the peers


def cronstable_file(folder: Path) -> Path:
    """Return a file with the same schedules as cronstable reads them."""
    due, path, lines = minutes(), folder / "cronstable.yaml", ["jobs:"]
    for number in range(SCHEDULES):
        lines += [f"  - name: hourly-{number:05}", '    command: "true"', f'    schedule: "{due[number % 5]} * * * *"']
    path.write_text("\n".join([*lines, ""]))
    return path


@contextmanager
def peer(command: list[str]) -> Iterator[int]:
    """Run a peer; gives its process id once it has been quiet for two seconds."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    try:
        deadline, before = time.monotonic() + PEER_READY_S, -1.0
        while (used := spent([process.pid]).cpu_s) - before > QUIET_S or used < QUIET_S:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"{' '.join(command)} did not become ready")
            before = used
            time.sleep(2)
        yield process.pid
    finally:
        process.terminate()
        process.wait()


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
