"""A million finished runs in the store, beside a store with next to none: what a start and each reading command take.

Measured: the daemon's start (until it can be asked) and how late its first tick is; the newest 50 runs of a job as
the store gives them; every reading command as a whole process. Yardstick: the same on a state whose 200 jobs have
ten finished runs each (for the start: none), in turns. Both states are made with the store's own statements and have
the same job file; one job of it ticks every second.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

from yard import ENV, Report, options, scratch, time_process, wait_for_socket

from dagsched.model import Attempt, EventRow, Outcome, Run, RunState, format_instant, run_name
from dagsched.stores import SqliteStore, codec
from dagsched.stores.queries import queries

JOBS = 200
RUNS = 1_000_000
RUNS_SMALL = 2_000
CHUNK = 50_000
EVENTS_PER_RUN = 3
DIGEST = "ab" * 32
FAILED_EACH = 50
STEADY = "job-00100"
SQL = queries("sqlite")
GOALS = {"last": 5.0, "start": 1.2, "read": 1.5}


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--rows", type=int, default=RUNS, metavar="N", help=f"finished runs ({RUNS:,})")
    args = parser.parse_args()
    with scratch() as folder:
        jobs = folder / "jobs.yaml"
        jobs.write_text(job_file())
        full, small, empty = (made(jobs, folder / name, rows) for name, rows in states(args.rows))
        report = Report(f"history: {args.rows:,} finished runs of {JOBS} jobs beside {RUNS_SMALL:,}")
        start(report, jobs, full, empty, args.runs)
        last_runs(report, full, small, args.runs)
        commands(report, jobs, full, small, args.runs)
    report.print(as_json=args.json)


def states(rows: int) -> list[tuple[str, int]]:
    return [("full", rows), ("small", RUNS_SMALL), ("empty", 0)]


def job_file() -> str:
    """Return 200 hourly jobs that are not due for half an hour, and one that is each second."""
    minute = (datetime.now(UTC).minute + 30) % 60
    hourly = [f'  job-{number:05}: {{schedule: "{minute} * * * *", run: "true"}}' for number in range(JOBS)]
    return "\n".join(["version: 1", "jobs:", *hourly, "  each-second: {schedule: {every: 1s}, run: ['true']}", ""])


# ---------------------------------------------------------------- a state to measure


def made(jobs: Path, state: Path, rows: int) -> Path:
    """Return a state on which a daemon has been, with that many finished runs from before."""
    with run_daemon(jobs, state):
        pass
    fill(state, finished_runs(rows))
    return state


def fill(state: Path, runs: Iterator[Run]) -> None:
    """Put finished runs with their attempts and events into a state that no daemon holds."""
    with closing(sqlite3.connect(state / "dagsched.db", isolation_level=None)) as connection:
        for setting in ("synchronous = off", "journal_mode = off", "cache_size = -400000"):
            connection.execute(f"PRAGMA {setting}").fetchall()
        connection.execute("BEGIN")
        ((last_event,),) = connection.execute("SELECT last_event FROM ledger").fetchall()
        while chunk := list(islice(runs, CHUNK)):
            last_event = write(connection, chunk, last_event)
        connection.execute("UPDATE ledger SET last_event = ?", (last_event,))
        connection.execute("COMMIT")
        connection.execute("PRAGMA journal_mode = wal").fetchall()


def write(connection: sqlite3.Connection, runs: list[Run], last_event: int) -> int:
    connection.executemany(SQL["put_run"], map(codec.run_columns, runs))
    attempts = (attempt_of(run) for run in runs)
    connection.executemany(SQL["new_attempt"], map(codec.attempt_columns, attempts))
    numbered = zip(runs, range(last_event, last_event + EVENTS_PER_RUN * len(runs), EVENTS_PER_RUN), strict=True)
    events = (event for run, before in numbered for event in events_of(run, before))
    connection.executemany(SQL["new_event"], map(codec.event_columns, events))
    return last_event + len(runs) * EVENTS_PER_RUN


def finished_runs(count: int, jobs: int = JOBS) -> Iterator[Run]:
    """Yield runs of all jobs, hour by hour up to the last full one, in the order in which they would have been made."""
    newest = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    for number in range(count):
        tick = newest - timedelta(hours=(count - 1 - number) // jobs)
        started = tick + timedelta(milliseconds=number % 97)
        state = RunState.FAILED if number % FAILED_EACH == FAILED_EACH - 1 else RunState.SUCCESS
        yield Run(
            f"job-{number % jobs:05}", tick, state,
            created=tick, ready=tick, started=started, ended=started + timedelta(milliseconds=500 + number % 1009),
            attempts=1, exit_code=int(state is RunState.FAILED), definition=DIGEST, config=1,
        )  # fmt: skip


def attempt_of(run: Run) -> Attempt:
    assert run.started is not None
    outcome = Outcome(run.state.value)
    return Attempt(run.job, run.tick, 1, run.started, run.ended, outcome, run.exit_code, pid=4711, definition=DIGEST)


def events_of(run: Run, seq: int) -> list[EventRow]:
    steps = [("run.created", None, "", "queued"), ("run.started", 1, "queued", "running")]
    steps.append((f"run.{run.state}", 1, "running", str(run.state)))
    return [
        EventRow(seq + place, run.tick, kind, run.job, run.tick, attempt, before, after)
        for place, (kind, attempt, before, after) in enumerate(steps, 1)
    ]


# ---------------------------------------------------------------- what is measured


def start(report: Report, jobs: Path, full: Path, empty: Path, runs: int) -> None:
    """Tell the time from the command to the control socket, and that with the lateness of the first tick after it."""
    starts: dict[Path, list[float]] = {full: [], empty: []}
    late: dict[Path, list[float]] = {full: [], empty: []}
    for _ in range(runs):
        for state in (full, empty):
            with run_daemon(jobs, state) as took:
                starts[state].append(took * 1000)
                ready = datetime.now(UTC)
                time.sleep(2.5)
            late[state].append(first_lateness_ms(state, ready))
    both = {state: [ready + tick for ready, tick in zip(starts[state], late[state], strict=True)] for state in starts}
    for label, samples, goal in (
        ("start", starts, GOALS["start"]),
        ("lateness of the first tick", late, None),
        ("start and first tick", both, GOALS["start"]),
    ):
        ours = report.add(f"{label}, full", "ms", samples[full])
        theirs = report.add(f"{label}, empty", "ms", samples[empty])
        report.ratio(f"{label}, full / empty", ours, theirs, goal=goal)


class run_daemon:
    """A daemon on this state; entering gives the seconds until it could be asked."""

    def __init__(self, jobs: Path, state: Path) -> None:
        self._command = [sys.executable, "-m", "dagsched", "run", str(jobs), "--state-dir", str(state)]
        self._state = state

    def __enter__(self) -> float:
        begun = time.perf_counter()
        self._process = subprocess.Popen(
            self._command, env=ENV, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_socket(self._state, self._process)
        return time.perf_counter() - begun

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()


def first_lateness_ms(state: Path, ready: datetime) -> float:
    """Return how long after its tick the first attempt started whose tick came after the daemon was ready."""
    with closing(sqlite3.connect(state / "dagsched.db")) as connection:
        found = connection.execute(
            "SELECT started - tick FROM runs WHERE job = 'each-second' AND tick > ? AND started IS NOT NULL"
            " ORDER BY tick LIMIT 1",
            (codec.ms_of(ready),),
        ).fetchone()
    if found is None:
        raise SystemExit("no tick started within two seconds")
    return float(found[0])


def last_runs(report: Report, full: Path, small: Path, runs: int) -> None:
    """Tell what the store takes for the newest 50 runs of a job, decoded."""
    seconds = {state: asyncio.run(read_last(state, runs)) for state in (full, small)}
    ours = report.add("newest 50 runs of a job, full", "ms", [each * 1000 for each in seconds[full]])
    report.add("newest 50 runs of a job, small (it has 10)", "ms", [each * 1000 for each in seconds[small]])
    report.limit("newest 50 runs of a job, ms", ours.median, goal=GOALS["last"])


async def read_last(state: Path, runs: int) -> list[float]:
    """Return the seconds of one read after another, each on a store opened anew."""
    found = []
    for _ in range(runs):
        store = SqliteStore(state / "dagsched.db")
        await store.open(write=False)
        try:
            begun = time.perf_counter()
            await store.rows(STEADY, limit=50)
            found.append(time.perf_counter() - begun)
        finally:
            await store.close()
    return found


def commands(report: Report, jobs: Path, full: Path, small: Path, runs: int) -> None:
    """Tell each reading command's whole time on both states."""
    seconds: dict[tuple[str, Path], list[float]] = {}
    for _ in range(runs):
        for label in readings(full):
            for state in (full, small):
                words = [sys.executable, "-m", "dagsched", *readings(state)[label], "--file", str(jobs)]
                if not label.startswith(("next", "graph")):
                    words += ["--state-dir", str(state)]
                seconds.setdefault((label, state), []).append(time_process(words).wall_s)
    for label in readings(full):
        ours = report.add(f"{label}, full", "ms", [each * 1000 for each in seconds[label, full]])
        theirs = report.add(f"{label}, small", "ms", [each * 1000 for each in seconds[label, small]])
        report.ratio(f"{label}, full / small", ours, theirs, goal=GOALS["read"])


def readings(state: Path) -> dict[str, list[str]]:
    """Return each reading command by what it is called in the report."""
    run, last_event = newest(state)
    since = str(last_event - 1000)
    name = run_name(run.job, run.tick)
    return {
        "status": ["status"],
        "history": ["history"],
        "history JOB --limit 50": ["history", STEADY, "--limit", "50"],
        "history --state failed": ["history", "--state", "failed"],
        "show RUN": ["show", name],
        "logs RUN": ["logs", name],
        "why JOB": ["why", STEADY],
        "why JOB TICK": ["why", STEADY, format_instant(run.tick)],
        "events --since": ["events", "--since", since],
        "events --since --job": ["events", "--since", since, "--job", STEADY],
        "stats": ["stats"],
        "stats JOB": ["stats", STEADY],
        "stats --since 1d": ["stats", "--since", "1d"],
        "next": ["next"],
        "graph": ["graph"],
    }


def newest(state: Path) -> tuple[Run, int]:
    """Return the steady job's newest run and the number of the newest event."""

    async def asked() -> tuple[Run, int]:
        store = SqliteStore(state / "dagsched.db")
        await store.open(write=False)
        try:
            return (await store.rows(STEADY, limit=1))[0], (await store.snapshot({})).last_event
        finally:
            await store.close()

    return asyncio.run(asked())


if __name__ == "__main__":
    main()
