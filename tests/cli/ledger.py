"""One day of three jobs, as a daemon would have stored it.

`extract` ran at 01:00 (one retry) and is running for 14:00; `load` after it failed at 01:00 and waits for
14:00; `tidy` slept through a range of ticks while it was paused, and is paused still.
"""

from __future__ import annotations

from pathlib import Path

from dagsched.model import (
    Attempt,
    ConfigVersion,
    EventRow,
    JobMark,
    Link,
    Origin,
    Outcome,
    Run,
    RunState,
    utc,
)
from dagsched.stores.contract import Batch

ONE, TWO = utc(2026, 11, 23, 1), utc(2026, 11, 23, 14)
MANUAL = utc(2026, 11, 23, 2, ms=7)

EXTRACT_ONE = Run(
    "extract", ONE, RunState.SUCCESS, created=ONE, started=utc(2026, 11, 23, 1, ms=40),
    ended=utc(2026, 11, 23, 1, 3, 12, 40), attempts=2, attempt_limit=3, exit_code=0, config=1,
    outputs={"rows": "17"},
)  # fmt: skip
EXTRACT_TWO = Run("extract", TWO, RunState.RUNNING, created=TWO, started=TWO, attempts=1, attempt_limit=3, config=1)
LOAD_ONE = Run(
    "load", ONE, RunState.FAILED, reason="exit 3", created=ONE, started=utc(2026, 11, 23, 1, 4),
    ended=utc(2026, 11, 23, 1, 4, 2), attempts=1, exit_code=3, links=(Link("extract", ONE),), config=1,
)  # fmt: skip
LOAD_MANUAL = Run(
    "load", MANUAL, RunState.SUCCESS, origin=Origin.MANUAL, created=MANUAL, started=MANUAL,
    ended=utc(2026, 11, 23, 2, 0, 1), attempts=1, exit_code=0, params={"day": "mon"}, config=1,
)  # fmt: skip
LOAD_TWO = Run("load", TWO, RunState.WAITING, reason="waits for extract", links=(Link("extract", TWO),), config=1)
TIDY = Run(
    "tidy", utc(2026, 11, 23, 3), RunState.SKIPPED, until=utc(2026, 11, 23, 13), reason="paused",
    ended=utc(2026, 11, 23, 13), config=1,
)  # fmt: skip

ATTEMPTS = [
    Attempt("extract", ONE, 1, utc(2026, 11, 23, 1, ms=40), utc(2026, 11, 23, 1, 0, 1), Outcome.FAILED, 7,
            reason="exit 7", log="logs/extract.1"),
    Attempt("extract", ONE, 2, utc(2026, 11, 23, 1, 0, 3), utc(2026, 11, 23, 1, 3, 12, 40), Outcome.SUCCESS,
            0, log="logs/extract.2"),
    Attempt("extract", TWO, 1, TWO, pid=4711, log="logs/extract.3"),
    Attempt("load", ONE, 1, utc(2026, 11, 23, 1, 4), utc(2026, 11, 23, 1, 4, 2), Outcome.FAILED, 3,
            reason="exit 3"),
    Attempt("load", MANUAL, 1, MANUAL, utc(2026, 11, 23, 2, 0, 1), Outcome.SUCCESS, 0),
]  # fmt: skip

LOGS = {
    "logs/extract.1": b"no luck\n",
    "logs/extract.2": b"17 rows\nof \xff bytes",
    "logs/extract.3": b"so far",
}

EVENTS = [
    EventRow(1, ONE, "run.created", "extract", ONE, to_state="queued"),
    EventRow(2, utc(2026, 11, 23, 1, ms=40), "run.started", "extract", ONE, 1, "queued", "running"),
    EventRow(3, utc(2026, 11, 23, 1, 0, 1), "run.retrying", "extract", ONE, 1, "running", "retrying", "exit 7"),
    EventRow(4, utc(2026, 11, 23, 1, 0, 3), "run.started", "extract", ONE, 2, "retrying", "running"),
    EventRow(5, utc(2026, 11, 23, 1, 3, 12), "run.finished", "extract", ONE, 2, "running", "success"),
    EventRow(6, utc(2026, 11, 23, 1, 4, 2), "run.finished", "load", ONE, 1, "running", "failed", "exit 3"),
    EventRow(7, utc(2026, 11, 23, 9), "job.paused", "tidy", reason="by a person"),
]

MARKS = [
    JobMark("extract", TWO, started_runs=2),
    JobMark("load", TWO),
    JobMark("tidy", TWO, paused=utc(2026, 11, 23, 2)),
]

DAY = Batch(
    runs=[EXTRACT_ONE, EXTRACT_TWO, LOAD_ONE, LOAD_MANUAL, LOAD_TWO, TIDY],
    new_attempts=ATTEMPTS,
    events=EVENTS,
    marks=MARKS,
)

JOBS = """\
version: 1
timezone: America/New_York
jobs:
  extract:
    schedule: "0 9 * * *"
    run: ./extract
    retry: 3
  load:
    depends_on: [extract]
    run: ./load
    params:
      day: {type: string, default: sun}
      rows: {type: integer, default: 10}
  tidy:
    schedule: {cron: "0 * * * *", timezone: UTC, max_runs: 3}
    run: ./tidy
"""


def config_of(text: str = JOBS, number: int = 1) -> ConfigVersion:
    """Return a configuration as the daemon stores it."""
    return ConfigVersion(number, ONE, "ab" * 32, {"/srv/jobs.yaml": text}, "3 jobs added")


def write_logs(home: Path) -> None:
    (home / "logs").mkdir(exist_ok=True)
    for path, data in LOGS.items():
        (home / path).write_bytes(data)
