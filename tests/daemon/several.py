"""Schedulers and workers on one store: how they are started, waited for, and what their record must be."""

from __future__ import annotations

import time

from tests.daemon.served import PATIENCE_S, ask, rows

SHORT = {"DAGSCHED_ATTEMPT_LEASE": "5s"}


def on(address):
    return ["--store", address.url, "--namespace", address.namespace]


def until(is_so):
    """Wait for what nobody tells by an event."""
    # An attempt whose scheduler is gone is given up after some fifteen seconds.
    deadline = time.monotonic() + 4 * PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def stands_by(folder):
    until(lambda: "standing by: process" in (folder / "stderr").read_text())


def sound(folder):
    """Require an event log without a gap and one row for each run."""
    numbers = [event["seq"] for event in rows(ask(folder, "events", "--json"))]
    assert numbers == list(range(1, len(numbers) + 1))
    names = [row["run"] for row in rows(ask(folder, "history", "--json", "--limit", "0"))]
    assert len(names) == len(set(names))


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
