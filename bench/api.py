"""What serving HTTP costs a daemon that nobody calls, and how long the first call and the ones after it take.

Measured: resident memory of an idle daemon with HTTP and with `--no-http`, in turns; the time of a first call, which
starts the process that serves it, and of calls after it (`/livez`, and the status of 1,000 jobs). Yardsticks: a
Python that imports starlette and uvicorn and ends; for the status of jobs, `/livez` on the same connection. Reads
/proc, so Linux alone.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from yard import ENV, Report, memory_mb, options, scratch, time_process, wait_for_socket

JOBS = 1000
CALLS = 200
SETTLE_S = 3.0
LIBRARIES = "import starlette.applications, uvicorn"
# Half a megabyte more in the daemon, and an answer before a person looks up.
GOALS = {"memory": 0.5, "first": 1.5, "status": 0.5}


def main() -> None:
    args = options(__doc__).parse_args()
    report = Report(f"api: HTTP of a daemon with {JOBS:,} jobs")
    memory: dict[str, list[float]] = {"with HTTP": [], "--no-http": []}
    first, live, status, libraries = [], [], [], []
    with scratch() as folder:
        jobs = folder / "jobs.yaml"
        lines = [f'  job-{n:04}: {{schedule: "0 3 * * *", run: "true"}}' for n in range(JOBS)]
        jobs.write_text("\n".join(["version: 1", "jobs:", *lines, ""]))
        for number in range(args.runs):
            with serving(jobs, folder / f"plain-{number}", "--no-http") as pid:
                time.sleep(SETTLE_S)
                memory["--no-http"].append(memory_mb(pid))
            state = folder / f"served-{number}"
            with serving(jobs, state, "--bind", "127.0.0.1:0") as pid:
                time.sleep(SETTLE_S)
                memory["with HTTP"].append(memory_mb(pid))
                transport = httpx.HTTPTransport(uds=str(state / "api.sock"))
                with httpx.Client(base_url="http://local", transport=transport, timeout=60) as client:
                    first.append(seconds(client, "/livez"))
                    live += [seconds(client, "/livez") for _ in range(CALLS)]
                    status += [seconds(client, "/api/v1/status") for _ in range(10)]
            libraries.append(time_process([sys.executable, "-c", LIBRARIES]).wall_s)
    ours, none = (report.add(f"resident memory {name}", "MB", samples) for name, samples in memory.items())
    report.limit("memory that HTTP adds to an idle daemon, MB", ours.median - none.median, goal=GOALS["memory"])
    begun = report.add("first call", "s", first)
    report.ratio("first call / importing the libraries", begun, report.add("importing the libraries", "s", libraries))
    report.limit("first call, s", begun.median, goal=GOALS["first"])
    lively = report.add("/livez", "s", live)
    told = report.add(f"status of {JOBS:,} jobs", "s", status)
    report.ratio("status / livez", told, lively)
    report.limit("status, s", told.median, goal=GOALS["status"])
    report.print(as_json=args.json)


def seconds(client: httpx.Client, path: str) -> float:
    """Return how long a call takes that must succeed."""
    start = time.perf_counter()
    client.get(path).raise_for_status()
    return time.perf_counter() - start


@contextmanager
def serving(jobs: Path, state: Path, *words: str) -> Iterator[int]:
    """Run a daemon with these options; gives its process id once it can be asked."""
    command = [sys.executable, "-m", "dagsched", "run", str(jobs), "--state-dir", str(state), *words]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENV)
    try:
        wait_for_socket(state, process)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


if __name__ == "__main__":
    main()
