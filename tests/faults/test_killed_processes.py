"""kill -9 below the daemon: of a child, of its children, of the spawner, of both; and processes that will not end.

Whatever dies, the attempt's end is on record within a second and says what happened, and nothing of it lives on. Two
nets catch what a killed spawner left: a cgroup where one may be made, marks and sessions elsewhere.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dagsched.spawner import cgroups
from tests.daemon.served import Served, ask, rows
from tests.executor.harness import is_alive
from tests.faults.hands import attempts_of, spawner_of, tell, wait_until, write_jobs
from tests.faults.machine import at_most

STATE = ".dagsched"

# Ignores TERM, leaves its session, loses its parent, closes its output, and says its pid.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def live(): open(sys.argv[1], "a").write(f"{os.getpid()}\\n"); time.sleep(600)
if not os.fork():
    os.setsid()
    if os.fork(): os._exit(0)
    os.closerange(0, 3)
    live()
if not os.fork(): live()
live()
"""


def stubborn(pids: Path, *, naked: bool = False) -> str:
    clean = "env -i " if naked else ""
    return f"exec {clean}{shlex.quote(sys.executable)} -I -S -c {shlex.quote(STUBBORN)} {shlex.quote(str(pids))}"


def end(pids: Sequence[int]) -> None:
    """End processes that would not end by themselves, as nobody waits for the KILL that comes after ten seconds."""
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def pids_in(path: Path, count: int) -> list[int]:
    wait_until(lambda: path.exists() and len(path.read_text().split()) >= count, f"{count} processes")
    return [int(word) for word in path.read_text().split()]


def test_a_killed_child_is_a_failure_by_that_signal_within_a_second(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"a": {"run": "echo $$ > pid; exec sleep 600"}})
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="a")
        (pid,) = pids_in(tmp_path / "pid", 1)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        daemon.until_type("run.failed", "a")
        assert time.monotonic() - killed < at_most(1)
    (attempt,) = attempts_of(tmp_path, "a")
    assert (attempt["outcome"], attempt["signal"]) == ("failed", signal.SIGKILL)


def test_a_killed_grandchild_is_its_parents_affair(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"a": {"run": "sleep 600 & echo $! > pid; wait $!; test $? -eq 137 && exit 3"}})
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="a")
        (pid,) = pids_in(tmp_path / "pid", 1)
        os.kill(pid, signal.SIGKILL)
        killed = time.monotonic()
        daemon.until_type("run.failed", "a")
        assert time.monotonic() - killed < at_most(1)
    (attempt,) = attempts_of(tmp_path, "a")
    assert (attempt["outcome"], attempt["exit_code"]) == ("failed", 3)


# ---------------------------------------------------------------- the spawner


def without_cgroups() -> Sequence[str]:
    """Return what to put before a command so that it can make no cgroup; skips where that takes rights we lack."""
    mount = next((line.split()[4] for line in mounts() if " - cgroup2 " in line), None)
    if mount is None:
        return ()
    words = f'mount -o remount,bind,ro {shlex.quote(mount)} && exec "$@"'
    wrap = ("unshare", "--mount", "sh", "-c", words, "sh")
    if subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this needs the right to make a mount namespace")
    return wrap


def mounts() -> list[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def with_cgroups() -> Sequence[str]:
    """Return what to put before a command so that it can make a cgroup; skips where that takes rights we lack."""
    folder = cgroups.own_cgroup()
    if folder and os.access(f"{folder}/cgroup.procs", os.W_OK):
        return ()
    # A machine whose controllers are all on version 1 can have version 2 as well, seen by that command alone.
    wrap = ("unshare", "--mount", "sh", "-c", 'mount -t cgroup2 none /mnt && exec "$@"', "sh")
    trial = ("sh", "-c", "mkdir /mnt/dagsched-trial && rmdir /mnt/dagsched-trial")
    if subprocess.run([*wrap, *trial], capture_output=True, check=False).returncode:
        pytest.skip("this needs a cgroup (v2) in which one may be made")
    return wrap


NETS = pytest.mark.parametrize("net", [with_cgroups, without_cgroups], ids=["cgroup", "marks"])


@NETS
def test_attempts_of_a_killed_spawner_are_lost_within_a_second_and_nothing_of_them_lives(
    tmp_path: Path, net: Any
) -> None:
    pids = tmp_path / "pids"
    # One that has left its session and cleared its environment is found by a cgroup alone.
    run = stubborn(pids, naked=net is with_cgroups)
    write_jobs(tmp_path, {"a": {"run": run, "retry": {"max_attempts": 2, "delay": "10ms"}}})
    with Served(tmp_path, "--grace", "0s", wrap=net()) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="a")
        first = pids_in(pids, 3)
        spawner = spawner_of(tmp_path / STATE)
        assert in_a_group_of_ours(spawner) == (net is with_cgroups)
        os.kill(spawner, signal.SIGKILL)
        killed = time.monotonic()
        daemon.until_type("run.retrying", "a")
        assert time.monotonic() - killed < at_most(1)
        assert [pid for pid in first if is_alive(pid)] == []
        end(pids_in(pids, 6)[3:])
        daemon.until_type("run.failed", "a")
    assert [attempt["outcome"] for attempt in attempts_of(tmp_path, "a")] == ["lost", "failed"]


def in_a_group_of_ours(pid: int) -> bool:
    return "/dagsched-" in Path(f"/proc/{pid}/cgroup").read_text()


@pytest.mark.parametrize(
    ("net", "first"), [(with_cgroups, "daemon"), (without_cgroups, "spawner")], ids=["cgroup", "marks, spawner first"]
)
def test_after_the_death_of_daemon_and_spawner_the_next_start_tells_what_was_lost(
    tmp_path: Path, net: Any, first: str
) -> None:
    pids = tmp_path / "pids"
    write_jobs(tmp_path, {"a": {"run": stubborn(pids), "retry": {"max_attempts": 2, "delay": "10ms"}}})
    with Served(tmp_path, wrap=net()) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="a")
        alone = pids_in(pids, 3)
        both = [daemon.process.pid, spawner_of(tmp_path / STATE)]
        for pid in both if first == "daemon" else reversed(both):
            os.kill(pid, signal.SIGKILL)
        daemon.ended()
    if first == "daemon":  # else it may have had the time to start another spawner, whose first deed is the same
        assert [pid for pid in alone if is_alive(pid)] == alone
    with Served(tmp_path, "--grace", "0s", wrap=net()) as daemon:
        began = time.monotonic()
        daemon.until_type("daemon.started")
        assert time.monotonic() - began < at_most(2)
        assert [pid for pid in alone if is_alive(pid)] == []
        end(pids_in(pids, 6)[3:])
        daemon.until_type("run.failed", "a")
    assert [attempt["outcome"] for attempt in attempts_of(tmp_path, "a")] == ["lost", "failed"]


def test_a_spawner_killed_with_a_finished_attempt_on_its_hands_does_not_lose_it(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"a": {"run": "until [ -e go ]; do sleep 0.01; done; echo x >> journal", "retry": 3}})
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="a")
        daemon.until_type("run.started", "a")
        daemon.process.kill()
        daemon.ended()
        (tmp_path / "go").touch()
        spawner = spawner_of(tmp_path / STATE)
        wait_until(lambda: not is_alive(spawner), "the end of a spawner that has nothing more to do")
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "a")
    assert (tmp_path / "journal").read_text() == "x\n"
    assert [attempt["outcome"] for attempt in attempts_of(tmp_path, "a")] == ["success"]


# ---------------------------------------------------------------- what will not end


def test_nothing_survives_a_timeout_a_cancel_or_a_stop(tmp_path: Path) -> None:
    """All at once, because each of them takes the ten seconds between TERM and KILL."""
    jobs = {
        f"{how}-{kind}": {"run": stubborn(tmp_path / f"{how}-{kind}.pids", naked=kind == "naked")}
        | ({"timeout": "1s"} if how == "timeout" else {})
        for how in ("timeout", "cancel", "stop")
        for kind in ("marked", "naked")
    }
    write_jobs(tmp_path, jobs)
    with Served(tmp_path, "--grace", "0s") as daemon:
        daemon.until_type("daemon.started")
        for job in jobs:
            tell(tmp_path / STATE, "trigger", job=job)
        found = {job: pids_in(tmp_path / f"{job}.pids", 3) for job in jobs}
        wait_until(lambda: (tmp_path / "timeout-naked.pids").stat().st_mtime + 1.2 < time.time(), "the timeouts")
        running = [row["run"] for row in rows(daemon.ask("history", "--json")) if row["job"].startswith("cancel-")]
        for run in running:
            tell(tmp_path / STATE, "cancel", run=run)
        daemon.signal(signal.SIGTERM)
        assert daemon.ended() == 0
        assert [job for job, pids in found.items() if any(map(is_alive, pids))] == []
    ends = {row["job"]: (row["state"], row["reason"]) for row in rows(ask(tmp_path, "history", "--json"))}
    assert {job: state for job, (state, _) in ends.items()} == {
        job: "cancelled" if job.startswith("cancel") else "failed" for job in jobs
    }
    assert [job for job, (_, reason) in ends.items() if reason == "daemon stopped"] == ["stop-naked", "stop-marked"]
    outcomes = {"timeout": "timed_out", "cancel": "cancelled", "stop": "cancelled"}
    for job in jobs:
        (attempt,) = attempts_of(tmp_path, job)
        assert attempt["outcome"] == outcomes[job.partition("-")[0]]


def test_output_that_is_closed_or_kept_open_by_others_delays_no_end(tmp_path: Path) -> None:
    write_jobs(
        tmp_path,
        {
            "closes": {"run": "echo before; exec >&- 2>&-; sleep 0.2"},
            "is-kept": {"run": "echo before; (trap '' HUP; exec sleep 600) & exit 0"},
        },
    )
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        for job in ("closes", "is-kept"):
            tell(tmp_path / STATE, "trigger", job=job)
            daemon.until_type("run.started", job)
            began = time.monotonic()
            daemon.until_type("run.succeeded", job)
            assert time.monotonic() - began < at_most(1)
            assert daemon.ask("logs", job) == "before\n"
