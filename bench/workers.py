"""Jobs done by a worker, against bare procrastinate on the same server.

Measured: `--jobs` programs that do nothing (`run: "true"`), downstream of one, with a `queue`, by one `dagsched worker`
with eight slots: attempts a second, from the moment in which they are ready to the commit of the last end, with every
start and end durable, logs and events. And how long one alone waits, from being ready to its start.

Yardstick: procrastinate with as many tasks that each start the same program, eight at a time, in one worker; and with
tasks that do nothing at all, not even start a process. Both keep a row a task on the same server, which has `fsync` on.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from yard import ENV, Report, daemon, options, scratch, wait_until

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

try:
    import procrastinate  # noqa: F401
    import psycopg

    from tests.postgres import own_server
except ImportError as error:
    raise SystemExit(f"{error}; `./dev setup` installs what this measurement needs") from None

SLOTS = 8
SINGLE = 20
GOAL = 0.8


def main() -> None:
    parser = options(__doc__, runs=3)
    parser.add_argument("--jobs", type=int, default=400, metavar="N", help="programs (400)")
    args = parser.parse_args()
    report = Report(f"workers: {args.jobs} programs by one worker with {SLOTS} slots")
    server = own_server()
    rates: dict[str, list[float]] = {"dagsched": [], "program": [], "noop": []}
    waits: dict[str, list[float]] = {"dagsched": [], "program": []}
    for _ in range(args.runs):
        rate, alone = _ours(server.url, args.jobs)
        rates["dagsched"].append(rate)
        waits["dagsched"] += alone
        for kind in ("program", "noop"):
            found = _procrastinate(server.url, args.jobs, kind)
            rates[kind].append(found["rate"])
            if kind == "program":
                waits["program"] += found["waits_s"]
    server.stop()
    ours = report.add("attempts by a worker", "1/s", rates["dagsched"])
    theirs = report.add("procrastinate, tasks that start the program", "1/s", rates["program"])
    bare = report.add("procrastinate, tasks that do nothing", "1/s", rates["noop"])
    wait = report.add("one attempt alone, ready to start", "ms", [each * 1000 for each in waits["dagsched"]])
    their_wait = report.add(
        "procrastinate, one task alone, row to start", "ms", [each * 1000 for each in waits["program"]]
    )
    report.ratio("attempts a second, beside the same program", ours, theirs, GOAL, "at least")
    report.ratio("attempts a second, beside tasks that do nothing", ours, bare)
    report.ratio("the wait of one alone", wait, their_wait)
    report.print(as_json=args.json)


def _ours(url: str, jobs: int) -> tuple[float, list[float]]:
    namespace = f"b{uuid4().hex[:12]}"
    env = {**ENV, "DAGSCHED_STORE": url, "DAGSCHED_NAMESPACE": namespace}
    many = "".join(f"  f{number}: {{depends_on: [go], queue: far, run: 'true'}}\n" for number in range(jobs))
    with scratch() as folder:
        path, state = folder / "jobs.yaml", folder / "state"
        path.write_text(f"version: 1\njobs:\n  go: {{run: 'true'}}\n  one: {{queue: far, run: 'true'}}\n{many}")
        with (
            daemon(path, state, env),
            _worker(folder, env),
            psycopg.connect(url, autocommit=True, options=f"-csearch_path=dagsched_{namespace}") as connection,
        ):

            def asked(words: str, *parameters: object) -> list[tuple[float, ...]]:
                return connection.execute(words.encode(), parameters or None).fetchall()

            def trigger(job: str) -> None:
                command = [
                    sys.executable,
                    "-m",
                    "dagsched",
                    "trigger",
                    job,
                    "--file",
                    str(path),
                    "--state-dir",
                    str(state),
                ]
                subprocess.run(command, env=env, check=True, capture_output=True)

            def over(job: str, count: int) -> Callable[[], bool]:
                words = "SELECT count(*) FROM runs WHERE job LIKE %s AND live = 0"
                return lambda: asked(words, job)[0][0] >= count

            _wait(lambda: asked("SELECT count(*) FROM workers")[0][0] == 1)
            trigger("go")
            _wait(over("f%", jobs))
            [(ready,)] = asked("SELECT min(ready) FROM runs WHERE job LIKE 'f%'")
            [(last,)] = asked("SELECT max(time) FROM events WHERE type = 'run.succeeded' AND job LIKE 'f%'")
            for number in range(SINGLE):
                trigger("one")
                _wait(over("one", number + 1))
            alone = asked("SELECT attempts.started - ready FROM runs JOIN attempts USING (job, tick) WHERE job = 'one'")
            return jobs / ((last - ready) / 1000), [wait / 1000 for (wait,) in alone]


@contextmanager
def _worker(folder: Path, env: dict[str, str]) -> Iterator[None]:
    command = [sys.executable, "-m", "dagsched", "worker", "--queues", "far", "--slots", str(SLOTS)]
    process = subprocess.Popen(
        [*command, "--state-dir", str(folder / "worker")], env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _procrastinate(url: str, jobs: int, kind: str) -> dict[str, object]:
    program = ROOT / "bench" / "peers" / "run_procrastinate.py"
    words = [sys.executable, str(program), url, f"p{uuid4().hex[:12]}", str(jobs), str(SLOTS), kind]
    done = subprocess.run(words, env={**os.environ, **ENV}, capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _wait(is_so: Callable[[], bool]) -> None:
    wait_until(is_so, 0.02)


if __name__ == "__main__":
    main()
