"""Several schedulers on one PostgreSQL store: one is active, the others stand by."""

from __future__ import annotations

import json
import signal
import socket

import pytest

from tests.daemon.served import Served, ask, rows
from tests.daemon.several import SHORT, is_alive, on, sound, stands_by, until

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "true", overlap: allow}
  long: {run: "echo $$ >> pids; exec sleep 300", retry: 3}
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_one_that_stands_by_takes_over_and_the_old_one_writes_nothing_more(machines, address, how):
    first, second = machines
    with Served(first, *on(address), env=SHORT) as active, Served(second, *on(address), env=SHORT) as other:
        # Whichever came first.
        until(lambda: any("standing by" in (folder / "stderr").read_text() for folder in machines))
        if "standing by" in (first / "stderr").read_text():
            (first, active), (second, other) = (second, other), (first, active)
        active.until_type("run.succeeded", "beat")
        told = json.loads(ask(second, "status", "--json"))["schedulers"]
        assert [each["is_active"] for each in told] == [True, False]
        assert "\nstandby   process" in ask(second, "status")
        assert "\nstandby process" in ask(second, "db", "status")
        active.signal(how)
        other.until_type("daemon.started")
        other.until_type("run.succeeded", "beat")
        if how is signal.SIGSTOP:
            active.signal(signal.SIGCONT)
            assert active.ended() == 4
            other.until_type("run.succeeded", "beat")
        ask(second, "stop")
        assert other.ended() == 0
    sound(second)


def test_one_that_stands_by_ends_at_once_when_told_to(machines, address):
    first, second = machines
    with Served(first, *on(address)) as active:
        active.until_type("daemon.started")
        with Served(second, *on(address)) as other:
            stands_by(second)
            other.signal(signal.SIGTERM)
            assert other.ended() == 0
        active.until_type("run.succeeded", "beat")
        until(lambda: "standby" not in ask(first, "status"))


def test_a_command_given_where_one_stands_by_is_carried_out_by_the_active_one(machines, address):
    first, second = machines
    with Served(first, *on(address)) as active:
        active.until_type("daemon.started")
        with Served(second, *on(address)):
            stands_by(second)
            assert ask(second, "status").startswith("daemon    not active here (")
            assert "left for the active scheduler, process " in ask(second, "pause", "beat")
            assert active.until_type("job.paused", "beat")
            ask(second, "trigger", "long")
            active.until_type("run.started", "long")
            for folder in machines:
                assert f"attempt 1: it runs on {socket.gethostname()}" in ask(folder, "why", "long")
            [attempt] = json.loads(ask(second, "why", "long", "--json"))["attempts"]
            assert attempt["place"] == socket.gethostname()
            ask(second, "cancel", "long")
            active.until_type("run.cancelled", "long")
        assert json.loads(ask(first, "status", "--json"))["requests"] == []


def test_one_that_runs_until_idle_does_not_stand_by(machines, address):
    first, second = machines
    with Served(first, *on(address)) as active:
        active.until_type("daemon.started")
        with Served(second, "--until-idle", *on(address)) as other:
            assert other.ended() == 4
        assert "held by process" in (second / "stderr").read_text()


def test_an_attempt_of_a_killed_machine_is_ended_there_before_it_is_tried_elsewhere(machines, address):
    first, second = machines
    with Served(first, *on(address), env=SHORT) as active:
        active.until_type("daemon.started")
        ask(first, "trigger", "long")
        active.until_type("run.started", "long")
        until(lambda: (first / "pids").exists() and (first / "pids").read_text().strip())
        pid = int((first / "pids").read_text())
        with Served(second, *on(address), env=SHORT) as other:
            stands_by(second)
            active.signal(signal.SIGKILL)
            other.until_type("daemon.started")
            [run] = rows(ask(second, "history", "long", "--json"))
            assert (run["state"], run["attempts"]) == ("running", 1)
            # The stored configuration's folder is the first one's, whichever machine starts the job.
            until(lambda: len((first / "pids").read_text().split()) == 2)
            assert not is_alive(pid)
            [run] = rows(ask(second, "history", "long", "--json"))
            assert (run["state"], run["attempts"]) == ("running", 2)
            ask(second, "cancel", run["run"])
            other.until_type("run.cancelled", "long")
    sound(second)


def test_the_daemon_of_the_same_directory_adopts_what_is_in_time(machines, address):
    first, _ = machines
    with Served(first, *on(address)) as active:
        active.until_type("daemon.started")
        ask(first, "trigger", "long")
        active.until_type("run.started", "long")
        active.signal(signal.SIGKILL)
        active.ended()
    with Served(first) as active:
        active.until_type("daemon.started")
        [run] = rows(ask(first, "history", "long", "--json"))
        assert (run["state"], run["attempts"]) == ("running", 1)
        ask(first, "cancel", run["run"])
        active.until_type("run.cancelled", "long")


def test_a_lease_of_attempts_that_is_no_length_is_refused(machines, address):
    with Served(machines[0], *on(address), env={"DAGSCHED_ATTEMPT_LEASE": "1s"}) as active:
        assert active.ended() == 2
    assert "too short" in (machines[0] / "stderr").read_text()
