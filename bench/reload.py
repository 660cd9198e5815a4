"""From a saved job file to the new configuration in force, against checking all files.

Measured: one job's command changed in one of 100 files with 10,000 jobs in all, under a daemon that serves them: the
processor time the daemon uses until it rests again, and the time from the rename over the file to the event
`config.applied`. Yardstick: `dagsched.config.load` of the same files, processor seconds of the call in a new process.
They take turns.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from yard import ENV, Report, answer_apart, is_part, options, realistic_jobs, scratch, threads_cpu_s

JOBS, FILES = 10_000, 100
RATIO_GOAL = 0.05
IN_FORCE_MS_GOAL = 300
REST_S = 1.0


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS, metavar="N", help=f"jobs in all (default: {JOBS})")
    args = parser.parse_args()
    reloads, checks, delays = [], [], []
    with scratch() as folder:
        files = write_files(folder / "jobs", args.jobs)
        with daemon(folder) as process:
            until_event(process, "config.applied")
            for number in range(args.runs):
                time.sleep(REST_S)
                used = threads_cpu_s(process.pid)
                delays.append(save_until_applied(process, files[number * 7 % len(files)], number))
                time.sleep(REST_S)
                # What it uses at rest is used in the time waited as well.
                idle = threads_cpu_s(process.pid)
                time.sleep(REST_S)
                resting = threads_cpu_s(process.pid) - idle
                reloads.append(idle - used - resting * (REST_S + delays[-1]) / REST_S)
                checks.append(answer_apart(__file__, "load", str(folder / "jobs"))["seconds"])
    report = Report(f"reload: one of {len(files)} files changed, {args.jobs:,} jobs in all")
    reload = report.add("reload in the daemon, processor", "ms", [each * 1000 for each in reloads])
    check = report.add("dagsched.config.load of all, processor", "ms", [each * 1000 for each in checks])
    delay = report.add("from the save to config.applied", "ms", [each * 1000 for each in delays])
    report.ratio("reload / load of all", reload, check, goal=RATIO_GOAL)
    report.limit("in force after the save, ms", delay.median, goal=IN_FORCE_MS_GOAL)
    report.print(as_json=args.json)


def write_files(folder: Path, jobs: int) -> list[Path]:
    """Write the jobs in `FILES` files, each with the defaults; return them. None is due before half a year is over."""
    folder.mkdir()
    head, _, body = realistic_jobs(jobs).partition("jobs:\n")
    month = (datetime.now(UTC).month + 5) % 12 + 1
    body = re.sub(r'schedule: "(\S+ \S+) [^"]*"', rf'schedule: "\1 15 {month} *"', body)
    blocks = re.split(r"(?m)^(?=  load-)", body)[1:]
    share = -(-len(blocks) // FILES)
    files = []
    for start in range(0, len(blocks), share):
        files.append(folder / f"jobs-{start:05}.yaml")
        files[-1].write_text(head + "jobs:\n" + "".join(blocks[start : start + share]))
    return files


@contextmanager
def daemon(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Serve the folder's jobs."""
    command = [sys.executable, "-m", "dagsched", "run", "--json", "--state-dir", "state", "--grace", "1s", "jobs"]
    with (folder / "stderr").open("w") as stderr:
        process = subprocess.Popen(command, cwd=folder, env=ENV, stdout=subprocess.PIPE, stderr=stderr, text=True)
    try:
        yield process
    finally:
        process.terminate()
        process.communicate(timeout=60)


def until_event(process: subprocess.Popen[str], kind: str) -> None:
    assert process.stdout is not None, "it was opened"
    for line in process.stdout:
        if json.loads(line)["type"] == kind:
            return
    raise SystemExit(f"the daemon ended before {kind}")


def save_until_applied(process: subprocess.Popen[str], file: Path, number: int) -> float:
    """Put a changed file in the place of `file`; return the seconds until it was in force."""
    beside = file.with_suffix(".new")
    beside.write_text(file.read_text().replace("run: python", f"run: PYTHONHASHSEED={number} python", 1))
    start = time.perf_counter()
    os.replace(beside, file)
    until_event(process, "config.applied")
    return time.perf_counter() - start


def load(folder: Path) -> dict[str, float]:
    from dagsched import config

    start = time.process_time()
    loaded = config.load([folder], datetime.now(UTC))
    seconds = time.process_time() - start
    assert loaded.config is not None, config.render(loaded.problems, "human")
    return {"seconds": seconds}


if __name__ == "__main__":
    if is_part():
        print(json.dumps(load(Path(sys.argv[3]))))
    else:
        main()
