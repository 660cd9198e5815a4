"""Output without end, and the limits of the machine: files, processes, memory."""

from __future__ import annotations

import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dagsched.model import parse_instant
from tests.daemon.served import Served, ask
from tests.executor.harness import is_alive
from tests.faults.hands import attempts_of, spawner_of, tell, wait_until, write_jobs
from tests.faults.injecting import LONG, TAKES_ALL
from tests.faults.memory import GROWTH_MAX, resident_kb

STATE = ".dagsched"
MEGABYTE = 1 << 20
CAP = 10 * MEGABYTE
PYTHON = f"{shlex.quote(sys.executable)} -I -S"


# ---------------------------------------------------------------- output

# The ordinary tests have 60 MB of it, six times what is kept.
ENDLESS_LINE = "head -c 1000000000 /dev/zero | tr '\\0' x"
BINARY = "head -c 1000000000 /dev/urandom"
LINES = "yes 'a line that nobody will ever read' | head -c 1000000000"


@pytest.mark.parametrize(
    "output",
    [
        pytest.param(ENDLESS_LINE, id="one endless line"),
        pytest.param(BINARY, id="binary", marks=LONG),
        pytest.param(LINES, id="lines", marks=LONG),
    ],
)
def test_a_gigabyte_of_output_is_capped_and_marked_and_costs_no_memory(tmp_path: Path, output: str) -> None:
    size = 1_000_000_000 if TAKES_ALL else 60_000_000
    write_jobs(
        tmp_path,
        {"loud": {"run": output.replace("1000000000", str(size))}, "quiet": {"run": "true"}},
    )
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        for _ in range(3):  # so that what is loaded when it is needed first is there
            tell(tmp_path / STATE, "trigger", job="quiet")
            daemon.until_type("run.succeeded", "quiet")
        pids = {"daemon": daemon.process.pid, "spawner": spawner_of(tmp_path / STATE)}
        before = {name: resident_kb(pid) for name, pid in pids.items()}
        (run,) = tell(tmp_path / STATE, "trigger", job="loud")["runs"]
        daemon.until_type("run.started", "loud")
        largest = dict(before)
        while not daemon.has(lambda event: event["type"] == "run.succeeded" and event["job"] == "loud"):
            largest = {name: max(largest[name], resident_kb(pid)) for name, pid in pids.items()}
            time.sleep(0.05)
        # The tail is in the spawner's hands for a moment when it is put behind the head.
        assert largest["daemon"] - before["daemon"] < before["daemon"] * GROWTH_MAX
        assert resident_kb(pids["spawner"]) - before["spawner"] < 1024
        (log,) = (tmp_path / STATE / "logs" / "loud").iterdir()
        assert CAP <= log.stat().st_size < CAP + 200
        with log.open("rb") as file:
            file.seek(CAP // 2)
            mark = file.read(120)
        assert f"[dagsched: {size - CAP} bytes left out".encode() in mark
    assert attempts_of(tmp_path, run)[0]["output_bytes"] == size
    shown = subprocess.run(
        [sys.executable, "-m", "dagsched", "logs", run], cwd=tmp_path, capture_output=True, check=True
    )
    assert len(shown.stdout) > CAP


# ---------------------------------------------------------------- files and processes


@contextmanager
def limited(pid: int, which: int, limit: int) -> Iterator[None]:
    """Lower a limit of a process, and give it back."""
    usual = resource.prlimit(pid, which, (limit, resource.prlimit(pid, which)[1]))
    yield
    resource.prlimit(pid, which, usual)


DELAY_S = 0.2
BACKOFF = {"max_attempts": 9, "delay": f"{DELAY_S}s", "backoff": "exponential"}


def backs_off(attempts: Sequence[Mapping[str, Any]]) -> bool:
    """Whether each attempt waited twice as long after its predecessor as that one had."""
    ends = [(parse_instant(each["ended"]), parse_instant(later["started"])) for each, later in pairwise(attempts)]
    waits_s = [(started - ended).total_seconds() for ended, started in ends]
    # Instants in the record are cut to milliseconds.
    return all(waited_s > DELAY_S * 2**number - 0.002 for number, waited_s in enumerate(waits_s))


def test_without_file_descriptors_the_daemon_lives_and_answers_once_there_are_some(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"often": {"schedule": {"every": "1s"}, "run": "true"}})
    with Served(tmp_path) as daemon:
        daemon.until_type("run.succeeded", "often")
        pid = daemon.process.pid
        with limited(pid, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{pid}/fd"))):
            for _ in range(2):
                daemon.until_type("run.succeeded", "often")  # the spawner's descriptors are its own
        tell(tmp_path / STATE, "status")
        daemon.until_type("run.succeeded", "often")
    assert "Traceback" not in (tmp_path / "stderr").read_text()


def test_a_spawner_without_file_descriptors_says_so_and_the_run_is_tried_again(tmp_path: Path) -> None:
    write_jobs(tmp_path, {"a": {"run": "echo x >> journal", "retry": BACKOFF}})
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        spawner = spawner_of(tmp_path / STATE)
        with limited(spawner, resource.RLIMIT_NOFILE, len(os.listdir(f"/proc/{spawner}/fd"))):
            tell(tmp_path / STATE, "trigger", job="a")
            for _ in range(2):
                daemon.until_type("run.retrying", "a")
        daemon.until_type("run.succeeded", "a")
    first, *_, last = attempts = attempts_of(tmp_path, "a")
    assert (first["outcome"], last["outcome"]) == ("spawn_error", "success")
    assert backs_off(attempts)
    assert "Too many open files" in first["reason"]
    assert (tmp_path / "journal").read_text() == "x\n"


@contextmanager
def by_turns(command: Sequence[str], first: str, last: str) -> Iterator[None]:
    """Run a command with one word before, and with the other one afterwards."""
    subprocess.run([*command, first], check=True)
    yield
    subprocess.run([*command, last], check=True)


# The right to read files is kept, for Python's may be root's; the rights that lift the limit are not.
KEPT = "-all,+dac_override,+dac_read_search"


@pytest.fixture
def somebody() -> Iterator[tuple[Path, Sequence[str]]]:
    """A folder, and what makes a command run as a user who owns it and runs nothing else."""
    uid = 54321
    if os.geteuid() != 0:
        pytest.skip("only root can be another user")
    folder = Path(tempfile.mkdtemp(prefix="dagsched-somebody-", dir="/tmp"))
    os.chown(folder, uid, uid)
    wrap = ("setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", f"--inh-caps={KEPT}",
            f"--ambient-caps={KEPT}", f"--bounding-set={KEPT}")  # fmt: skip
    if subprocess.run([*wrap, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this needs setpriv, and the right to keep capabilities")
    yield folder, wrap
    shutil.rmtree(folder)


def test_without_room_for_a_process_the_start_is_a_spawn_error_with_backoff(
    somebody: tuple[Path, Sequence[str]],
) -> None:
    """The limit counts all processes of a user, and root has none."""
    folder, wrap = somebody
    write_jobs(folder, {"a": {"run": ["true"], "retry": BACKOFF}})
    with Served(folder, wrap=wrap) as daemon:
        daemon.until_type("daemon.started")
        spawner = spawner_of(folder / STATE)
        _, most = resource.getrlimit(resource.RLIMIT_NPROC)
        # Set by that user: the right to set the limits of others is one that root may not have in a container.
        with by_turns([*wrap, "prlimit", f"--pid={spawner}"], "--nproc=1:", f"--nproc={most}:"):
            tell(folder / STATE, "trigger", job="a")
            for _ in range(2):
                daemon.until_type("run.retrying", "a")
        daemon.until_type("run.succeeded", "a")
    first, *_, last = attempts = attempts_of(folder, "a")
    assert (first["outcome"], last["outcome"]) == ("spawn_error", "success")
    assert backs_off(attempts)
    assert "Resource temporarily unavailable" in first["reason"]


# ---------------------------------------------------------------- memory


def test_a_child_that_runs_out_of_memory_fails_and_takes_nobody_along(tmp_path: Path) -> None:
    hungry = "x = []\nwhile True: x.append(bytearray(1 << 20))"
    write_jobs(
        tmp_path,
        {
            "limited": {"run": f"ulimit -v 300000; exec {PYTHON} -c {shlex.quote(hungry)}"},
            "killed": {"run": "echo $$ > pid; exec sleep 600"},
        },
    )
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        (run,) = tell(tmp_path / STATE, "trigger", job="limited")["runs"]
        daemon.until_type("run.failed", "limited")
        assert "MemoryError" in daemon.ask("logs", run)
        tell(tmp_path / STATE, "trigger", job="killed")
        wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip(), "the pid")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)  # which is what the kernel does
        daemon.until_type("run.failed", "killed")
    assert attempts_of(tmp_path, "killed")[0]["signal"] == signal.SIGKILL


def own_memory_group() -> Path | None:
    """Return a new memory cgroup with room for 64 MB, of either version; None where none can be made."""
    for above, limit in (("memory", "memory.limit_in_bytes"), ("", "memory.max")):
        folder = Path("/sys/fs/cgroup", above, f"dagsched-test-{os.getpid()}")
        try:
            folder.mkdir()
            (folder / limit).write_text(str(64 * MEGABYTE))
        except OSError:
            if folder.is_dir():
                folder.rmdir()
            continue
        return folder
    return None


def test_a_child_killed_by_the_kernel_for_its_memory_is_a_failure_by_signal_9(tmp_path: Path) -> None:
    group = own_memory_group()
    if group is None:
        pytest.skip("this needs a memory cgroup that can be written")
    hungry = "x = []\nwhile True: x.append(bytearray(b'x' * (1 << 20)))"
    command = f"echo $$ > {group}/cgroup.procs && exec {PYTHON} -c {shlex.quote(hungry)}"
    try:
        write_jobs(tmp_path, {"a": {"run": command}})
        with Served(tmp_path) as daemon:
            daemon.until_type("daemon.started")
            tell(tmp_path / STATE, "trigger", job="a")
            daemon.until_type("run.failed", "a")
        assert attempts_of(tmp_path, "a")[0]["signal"] == signal.SIGKILL
    finally:
        group.rmdir()


def test_a_daemon_out_of_memory_leaves_a_sound_state_and_the_next_one_adopts(tmp_path: Path) -> None:
    write_jobs(
        tmp_path,
        {
            "often": {"schedule": {"every": "1s"}, "run": "echo $DAGSCHED_RUN >> journal"},
            "held": {"run": "until [ -e go ]; do sleep 0.05; done"},
        },
    )
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="held")
        daemon.until_type("run.started", "held")
        daemon.until_type("run.succeeded", "often")
        pid = daemon.process.pid
        used = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        with limited(pid, resource.RLIMIT_AS, used // 2):
            # A file too long for what is left: to read it takes more than there is.
            padding = "\n".join(f"# {number}" for number in range(2_000_000))
            (tmp_path / "jobs.yaml").write_text((tmp_path / "jobs.yaml").read_text() + "\n" + padding)
            time.sleep(3)
            survived = is_alive(pid)
            if survived:
                write_jobs(tmp_path, {"held": {"run": "until [ -e go ]; do sleep 0.05; done"}})
        if not survived:
            assert daemon.ended() != 0
        else:
            daemon.process.kill()
            daemon.ended()
        daemon.drain()
        shown = {event["run"] for event in daemon.seen if event["type"] == "run.started"}
        started = set((tmp_path / "journal").read_text().split())
        assert started <= shown
    write_jobs(tmp_path, {"held": {"run": "until [ -e go ]; do sleep 0.05; done"}})
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        assert "attempt.adopted" in [event["type"] for event in daemon.seen]
        (tmp_path / "go").touch()
        daemon.until_type("run.succeeded", "held")
    assert "ok" in ask(tmp_path, "doctor")
