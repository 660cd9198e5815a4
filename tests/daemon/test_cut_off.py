"""Schedulers that a cut wire parts from the server, and several namespaces on the same machines."""

from __future__ import annotations

import signal
import time

from dagsched.stores.lease import LEASE_S
from tests.daemon.served import Served, ask, rows
from tests.daemon.several import SHORT, is_alive, on, sound, stands_by, until
from tests.daemon.test_standby import FILE
from tests.postgres import new_address
from tests.wire import Wire


def pid_in(folder):
    until(lambda: (folder / "pids").exists() and (folder / "pids").read_text().strip())
    return int((folder / "pids").read_text().split()[0])


def test_an_active_scheduler_that_is_cut_off_ends_its_attempts_before_they_are_tried_elsewhere(machines):
    first, second = machines
    there = new_address()
    with Wire(there) as wire, Served(first, *on(wire.address), env=SHORT) as active:
        active.until_type("daemon.started")
        ask(first, "trigger", "long")
        pid = pid_in(first)
        with Served(second, *on(there), env=SHORT) as other:
            stands_by(second)
            wire.cut()
            other.until_type("daemon.started")
            [run] = rows(ask(second, "history", "long", "--json"))
            assert (run["state"], run["attempts"]) == ("running", 1)
            # The stored configuration's folder is the first one's, whichever machine starts the job.
            until(lambda: len((first / "pids").read_text().split()) == 2)
            assert not is_alive(pid)
            # It lives and does not know; what it had meant to write is refused, and it ends.
            assert active.process.poll() is None
            wire.mend()
            assert active.ended() == 4
            other.until_type("run.succeeded", "beat")
            ask(second, "cancel", run["run"])
            other.until_type("run.cancelled", "long")
            ask(second, "stop")
            assert other.ended() == 0
    sound(second)


def test_a_scheduler_that_is_cut_off_for_a_moment_goes_on_and_keeps_what_runs(machines):
    first, _ = machines
    with Wire(new_address()) as wire, Served(first, *on(wire.address), env={"DAGSCHED_ATTEMPT_LEASE": "60s"}) as active:
        active.until_type("daemon.started")
        ask(first, "trigger", "long")
        pid = pid_in(first)
        wire.cut()
        # Longer than the lease, which nobody else takes.
        over = time.monotonic() + 2 * LEASE_S
        until(lambda: time.monotonic() > over)
        started = started_lines(active)
        wire.mend()
        until(lambda: started_lines(active) > started)
        assert is_alive(pid)
        [run] = rows(ask(first, "history", "long", "--json"))
        assert (run["state"], run["attempts"]) == ("running", 1)
        ask(first, "cancel", run["run"])
        active.until_type("run.cancelled", "long")
        sound(first)


def started_lines(daemon):
    """Return how many runs the daemon has told to have started."""
    daemon.has(lambda event: False)
    return sum(event["type"] == "run.started" for event in daemon.seen)


def test_namespaces_on_the_same_machines_are_led_apart(machines):
    """Each machine runs a scheduler for both; the death of one moves that one namespace and no other."""
    first, second = machines
    one, two = new_address(), new_address()

    def serve(folder, address):
        home = folder / address.namespace
        home.mkdir()
        (home / "jobs.yaml").write_text(FILE)
        return Served(home, *on(address), env=SHORT)

    with serve(first, one) as one_first, serve(second, two) as two_second:
        one_first.until_type("daemon.started")
        two_second.until_type("daemon.started")
        with serve(second, one) as one_second, serve(first, two) as two_first:
            stands_by(one_second.folder)
            stands_by(two_first.folder)
            one_first.signal(signal.SIGKILL)
            one_second.until_type("daemon.started")
            one_second.until_type("run.succeeded", "beat")
            two_second.until_type("run.succeeded", "beat")
            assert "takes over" not in (two_first.folder / "stderr").read_text()
            ask(two_second.folder, "stop")
            two_first.until_type("daemon.started")
    sound(one_second.folder)
    sound(two_first.folder)
