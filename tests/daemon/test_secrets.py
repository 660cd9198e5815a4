"""A secret is in no file of a state, whatever becomes of the attempts that have it."""

from __future__ import annotations

import base64
import os
import signal
from pathlib import Path

from tests.daemon.served import Served, ask, rows

VALUE = "hunter2-Zebra-41"
JOBS = """\
version: 1
jobs:
  fine: {secrets: {PW: "env:PROD_PW"}, run: 'echo "log $PW"; echo "got=$PW" >> "$DAGSCHED_OUTPUT"'}
  below: {depends_on: [fine], env: {GOT: {job: fine, output: got}}, run: 'echo "below $GOT"'}
  twice: {secrets: {PW: "env:PROD_PW"}, retry: {max_attempts: 2, delay: 10ms}, run: 'echo "log $PW" >&2; exit 3'}
  killed:
    secrets: {PW: "env:PROD_PW"}
    run: 'echo "log $PW"; echo "got=$PW" >> "$DAGSCHED_OUTPUT"; touch ready; sleep 60'
  function: {secrets: {PW: "env:PROD_PW"}, handler: python, with: {function: "work:work", path: .}}
  absent: {secrets: {PW: "env:NOWHERE"}, retry: {max_attempts: 2, delay: 10ms}, run: 'true'}
  others: {run: 'echo "[$PROD_PW]"'}
"""
WORK = """\
def work():
    import os
    print(os.environ["PW"])
    raise ValueError("no luck with " + os.environ["PW"])
"""


def leaks(folder: Path) -> list[str]:
    wanted = (VALUE.encode(), base64.b64encode(VALUE.encode())[:20])
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [str(path) for path in files if any(each in path.read_bytes() for each in wanted)]


def test_no_file_of_the_state_has_the_value_after_success_failure_retry_and_crash(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text(JOBS)
    (tmp_path / "work.py").write_text(WORK)
    with Served(tmp_path, env={"PROD_PW": VALUE}) as daemon:
        daemon.until_type("daemon.started")
        for job, end in (
            ("fine", ""),
            ("twice", "failed"),
            ("function", "failed"),
            ("absent", "failed"),
            ("others", ""),
        ):
            ask(tmp_path, "trigger", job)
            daemon.until_type(f"run.{end or 'succeeded'}", job)
        assert leaks(tmp_path) == []
        ask(tmp_path, "trigger", "killed")
        daemon.until_type("run.started", "killed")
        while not (tmp_path / "ready").exists():
            os.sched_yield()
        spawner = next(
            int(pid) for pid in os.listdir("/proc") if pid.isdigit() and is_spawner_of(int(pid), tmp_path / ".dagsched")
        )
        daemon.signal(signal.SIGKILL)
        os.kill(spawner, signal.SIGKILL)
        daemon.ended()
    with Served(tmp_path, env={"PROD_PW": VALUE}) as again:
        again.until_type("run.failed", "killed")
        assert leaks(tmp_path) == []
        assert ask(tmp_path, "logs", "fine") == "log ***\n"
        assert ask(tmp_path, "logs", "below") == "below ***\n"
        assert ask(tmp_path, "logs", "others") == "[]\n"
        assert "ValueError: no luck with ***" in ask(tmp_path, "logs", "function")
        told = {row["job"]: row["reason"] for row in rows(ask(tmp_path, "history", "--json"))}
        assert told["absent"] == "secret PW: env:NOWHERE: the scheduler's environment has no such variable"
    assert leaks(tmp_path) == []


def is_spawner_of(pid: int, state: Path) -> bool:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return str(state).encode() in words and any(word.endswith(b"spawner/__main__.py") for word in words)
