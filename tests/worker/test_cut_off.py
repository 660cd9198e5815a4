"""A worker that a cut wire parts from the database."""

from __future__ import annotations

import pytest

from tests.daemon.served import Served, ask, rows
from tests.postgres import new_address
from tests.wire import Wire
from tests.worker.test_worker import SHORT, begun, is_alive, on, pids, until, write
from tests.worker.working import Working


@pytest.fixture
def home(tmp_path):
    found = tmp_path / "scheduler"
    found.mkdir()
    return found


def test_a_worker_that_is_cut_off_ends_its_child_before_another_one_starts(home, tmp_path):
    there = new_address()
    watch = "echo $$ >> $PIDS; trap 'echo $$ ended >> $PIDS; exit' TERM; while :; do sleep 0.1; done"
    write(home, f'jobs: {{long: {{queue: etl, retry: 2, run: "{watch}"}}}}\n')
    env = {"PIDS": str(home / "pids"), **SHORT}
    with Wire(there) as wire, Served(home, *on(there)) as scheduler:
        scheduler.until_type("daemon.started")
        with Working(tmp_path / "lost", *on(wire.address), "--queues", "etl", env=env) as lost:
            ask(home, "trigger", "long")
            pid = begun(home)
            with Working(tmp_path / "other", *on(there), "--queues", "etl", env=env):
                wire.cut()
                # The lease, TERM, KILL and a margin: longer than anything else takes.
                until(lambda: "whoever had it was not heard of" in (home / "stderr").read_text())
                assert scheduler.until_type("run.retrying", "long")["reason"].startswith("its worker was not heard of")
                assert not is_alive(pid)
                until(lambda: len(pids(home)) >= 4)
                # Ended by its own machine, before the other one began.
                assert pids(home)[:3] == [pid, pid, "ended"]
                wire.mend()
                until(lambda: "had been given up" in lost.stderr)
                [row] = rows(ask(home, "history", "long", "--json"))
                assert (row["state"], row["attempts"]) == ("running", 2)
                ask(home, "cancel", "long")
                scheduler.until_type("run.cancelled", "long")
                # It is as good as any other again.
                until(lambda: all(each["state"] == "ready" for each in rows(ask(home, "workers", "--json"))))
