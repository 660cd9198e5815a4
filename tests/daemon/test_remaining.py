"""What becomes of attempts on a machine whose scheduler is not the active one any more, on one PostgreSQL store."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from contextlib import contextmanager

import pytest

from tests.daemon.served import Served, ask, rows
from tests.daemon.several import is_alive, on, sound, stands_by, until
from tests.torture.processes import spawners

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "true", overlap: allow}
  gated:
    run: "echo $$ >> pids; while [ ! -e go ]; do sleep 0.02; done; echo value=$DAGSCHED_ATTEMPT > $DAGSCHED_OUTPUT"
    retry: 3
  below: {depends_on: [gated], run: "echo $VALUE >> seen", env: {VALUE: {job: gated, output: value}}}
"""
HANDOVER = "handover"
NOTHING: dict[str, str] = {}
# Long enough for a busy machine to start a scheduler meanwhile.
SHORT = {"DAGSCHED_ATTEMPT_LEASE": "15s"}
# From the last renewal on, nothing of an attempt is there after so long: the lease, and the grace until KILL.
ENDED_S = 15 + 5


def pids_in(folder):
    """Return the processes of the job's attempts; whichever machine starts it, its folder is the first one's."""
    until(lambda: (folder / "pids").exists() and (folder / "pids").read_text().strip())
    return [int(pid) for pid in (folder / "pids").read_text().split()]


@contextmanager
def lead_lost(machines, address, how=signal.SIGKILL, env=NOTHING):
    """Have the active scheduler killed, frozen or stopped in the middle of an attempt, and the other one take over."""
    first, second = machines
    with Served(first, *on(address), env=env) as active:
        active.until_type("daemon.started")
        with Served(second, *on(address), env=env) as other:
            stands_by(second)
            ask(first, "trigger", "gated")
            active.until_type("run.started", "gated")
            (pid,) = pids_in(first)
            if how is HANDOVER:
                ask(first, "stop", "--handover")
            else:
                active.signal(how)
            if how is not signal.SIGSTOP:
                active.ended()
            other.until_type("daemon.started")
            yield active, other, pid


def row_of(folder):
    [row] = rows(ask(folder, "history", "gated", "--json"))
    return row["state"], row["attempts"]


def ended_once(first, second, other):
    """Require that the one attempt there was counts as a success, and that its output went on."""
    other.until_type("run.succeeded", "gated")
    other.until_type("run.succeeded", "below")
    assert row_of(second) == ("success", 1)
    assert (first / "seen").read_text() == "1\n"
    [attempt] = json.loads(ask(second, "show", "gated", "--json"))["attempt_list"]
    assert attempt["place"] == socket.gethostname()
    assert len(pids_in(first)) == 1
    sound(second)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP, HANDOVER], ids=["killed", "frozen", "handed over"])
def test_what_ended_after_the_lead_was_lost_is_reported_and_not_done_again(machines, address, how):
    first, second = machines
    # The lease of attempts is a minute, so nobody calls it lost meanwhile.
    with lead_lost(machines, address, how) as (active, other, pid):
        (first / "go").touch()
        until(lambda: not is_alive(pid))
        if how is signal.SIGSTOP:
            active.signal(signal.SIGCONT)
            assert active.ended() == 4
        assert row_of(second) == ("running", 1)
        with Served(first):
            ended_once(first, second, other)


def test_what_lives_goes_on_while_its_scheduler_stands_by(machines, address):
    first, second = machines
    with lead_lost(machines, address, env=SHORT) as (_, other, pid), Served(first, env=SHORT):
        stands_by(first)
        over = time.monotonic() + ENDED_S + 2
        until(lambda: time.monotonic() > over)
        assert is_alive(pid)
        assert row_of(second) == ("running", 1)
        (first / "go").touch()
        ended_once(first, second, other)


def test_what_lives_is_ended_when_that_is_asked_for_where_the_lead_is(machines, address):
    first, second = machines
    with lead_lost(machines, address) as (_, other, pid), Served(first):
        ask(second, "cancel", rows(ask(second, "history", "gated", "--json"))[0]["run"])
        other.until_type("run.cancelled", "gated")
        assert not is_alive(pid)
    sound(second)


def test_what_lives_is_adopted_when_the_lead_comes_back(machines, address):
    first, _ = machines
    with lead_lost(machines, address) as (_, other, pid), Served(first) as again:
        stands_by(first)
        other.signal(signal.SIGKILL)
        again.until_type("attempt.adopted")
        assert is_alive(pid)
        (first / "go").touch()
        ended_once(first, first, again)


def test_a_scheduler_that_stands_by_leaves_nothing_running_when_it_is_stopped(machines, address):
    first, second = machines
    with lead_lost(machines, address) as (_, other, pid):
        with Served(first, "--grace", "1s") as again:
            stands_by(first)
            again.signal(signal.SIGTERM)
            assert again.ended() == 0
            assert not is_alive(pid)
        # It was told and not found out, so what was cut short is tried again at once.
        other.until_type("run.retrying", "gated")
        until(lambda: len(pids_in(first)) == 2)
        (first / "go").touch()
        other.until_type("run.succeeded", "gated")
        assert row_of(second) == ("success", 2)
    sound(second)


def test_what_died_with_its_spawner_is_lost_before_its_time_is_over(machines, address):
    first, second = machines
    with lead_lost(machines, address) as (_, other, pid):
        [spawner] = spawners(first / ".dagsched")
        os.kill(spawner, signal.SIGKILL)
        with Served(first):
            # The lease of attempts is a minute, and nobody waits that long here.
            other.until_type("run.retrying", "gated")
            assert not is_alive(pid)
            (first / "go").touch()
            other.until_type("run.succeeded", "gated")
        assert row_of(second) == ("success", 2)
    sound(second)
