"""How soon a scheduler that stands by goes on, and how soon a cancel reaches a worker's child, against their limits.

Measured, on PostgreSQL with `fsync` on: from the moment in which the active scheduler is killed, or frozen, to the
commit by which another one says that it has started; and from `dagsched cancel` to the death of the process that a
worker had started, with notifications and without any, when worker and scheduler only look from time to time.

Yardstick: the lease, three seconds, renewed each second: before what is left of it has passed nobody may go on. For a
cancel, how long a command takes that only asks the daemon something.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from yard import ENV, Report, options, scratch, wait_until

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

try:
    import psycopg

    from dagsched.stores.lease import LEASE_S
    from tests.postgres import own_server
except ImportError as error:
    raise SystemExit(f"{error}; `./dev setup` installs what this measurement needs") from None

TAKEOVER_S, CANCEL_S, UNHEARD_S = 5, 1, 10
DAGSCHED = [sys.executable, "-m", "dagsched"]
JOBS = "version: 1\njobs:\n  long: {queue: far, run: 'exec sleep 600', retry: 9}\n"
# Python runs a module of this name at its start.
DEAF = """\
from dagsched.stores.postgres_listener import Listener

Listener.start = lambda self: None
"""


def main() -> None:
    args = options(__doc__).parse_args()
    report = Report("takeover: schedulers that stand by, and workers that are told to stop")
    server = own_server()
    try:
        killed = [_takeover(server.url, signal.SIGKILL) for _ in range(args.runs)]
        frozen = [_takeover(server.url, signal.SIGSTOP) for _ in range(args.runs)]
        heard, asked = _cancels(server.url, args.runs, is_deaf=False)
        unheard, _ = _cancels(server.url, args.runs, is_deaf=True)
    finally:
        server.stop()
    lease = report.add("the lease", "s", [LEASE_S])
    for label, samples in (("killed", killed), ("frozen", frozen)):
        figure = report.add(f"{label}, until another one has started", "s", samples)
        report.ratio(f"{label}, beside the lease", figure, lease)
        report.limit(f"{label}, the longest, in seconds", max(samples), TAKEOVER_S)
    command = report.add("a command that asks the daemon", "s", asked)
    figure = report.add("cancel, until the worker's child is dead", "s", heard)
    report.ratio("cancel, beside a command that asks", figure, command)
    report.limit("cancel, the longest, in seconds", max(heard), CANCEL_S)
    report.add("cancel without notifications", "s", unheard)
    report.limit("cancel without notifications, the longest, in seconds", max(unheard), UNHEARD_S)
    report.print(as_json=args.json)


def _takeover(url: str, how: signal.Signals) -> float:
    with _place(url) as (folder, env, asked), ExitStack() as stack:

        def started() -> int:
            return asked("SELECT count(*) FROM events WHERE type = 'daemon.started'")[0][0]

        active = stack.enter_context(_process(folder, env, "a", "run", "jobs.yaml"))
        _wait(lambda: started() == 1)
        stack.enter_context(_process(folder, env, "b", "run", "jobs.yaml"))
        _wait(lambda: asked("SELECT count(*) FROM schedulers")[0][0] == 2)
        began = time.monotonic()
        active.send_signal(how)
        _wait(lambda: started() == 2)
        return time.monotonic() - began


def _cancels(url: str, runs: int, *, is_deaf: bool) -> tuple[list[float], list[float]]:
    """Return how long cancels took, and commands that only ask."""
    cancels, asks = [], []
    with _place(url) as (folder, env, asked):
        if is_deaf:
            (folder / "deaf").mkdir()
            (folder / "deaf" / "sitecustomize.py").write_text(DEAF)
            env = {**env, "PYTHONPATH": os.pathsep.join([str(folder / "deaf"), env.get("PYTHONPATH", "")])}
        with (
            _process(folder, env, "a", "run", "jobs.yaml"),
            _process(folder, env, "w", "worker", "--queues", "far", "--slots", "1"),
        ):
            _wait(lambda: (folder / "a" / "control.sock").exists() and asked("SELECT count(*) FROM workers")[0][0] == 1)
            for number in range(1, runs + 1):
                _give(folder, env, "trigger", "long")
                _wait(lambda: _pid(asked) is not None)
                pid = _pid(asked)
                assert pid is not None
                began = time.monotonic()
                _give(folder, env, "cancel", "long")
                _wait(lambda pid=pid: not Path(f"/proc/{pid}").exists())
                cancels.append(time.monotonic() - began)
                _wait(lambda n=number: asked("SELECT count(*) FROM events WHERE type = 'run.cancelled'")[0][0] == n)
                began = time.monotonic()
                _give(folder, env, "pause", "long")
                asks.append(time.monotonic() - began)
                _give(folder, env, "resume", "long")
    return cancels, asks


def _pid(asked: Callable[[str], list[tuple[int, ...]]]) -> int | None:
    """Return the process of the attempt that is under way, once its worker has told of it."""
    found = asked("SELECT pid FROM attempts WHERE ended IS NULL AND pid IS NOT NULL")
    return found[0][0] if found else None


@contextmanager
def _place(url: str) -> Iterator[tuple[Path, Mapping[str, str], Callable[[str], list[tuple[int, ...]]]]]:
    """Give a folder with a job file, the environment of commands there, and what asks its store."""
    namespace = f"t{uuid4().hex[:12]}"
    with scratch() as folder:
        (folder / "jobs.yaml").write_text(JOBS)
        with psycopg.connect(url, autocommit=True, options=f"-csearch_path=dagsched_{namespace}") as connection:

            def asked(words: str) -> list[tuple[int, ...]]:
                # Before the first scheduler has made them there are no tables.
                with suppress(psycopg.errors.UndefinedTable):
                    return connection.execute(words.encode()).fetchall()
                return [(0,)]

            yield folder, {**ENV, "DAGSCHED_STORE": url, "DAGSCHED_NAMESPACE": namespace}, asked


@contextmanager
def _process(folder: Path, env: Mapping[str, str], place: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [*DAGSCHED, *words, "--state-dir", place],
        cwd=folder,
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.send_signal(signal.SIGTERM)
        process.wait()


def _give(folder: Path, env: Mapping[str, str], *words: str) -> None:
    command = [*DAGSCHED, *words, "--file", "jobs.yaml", "--state-dir", "a"]
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)


def _wait(is_so: Callable[[], bool]) -> None:
    wait_until(is_so, 0.005)


if __name__ == "__main__":
    main()
