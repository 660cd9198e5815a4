"""A daemon that is frozen, a machine that sleeps, a clock that is set, time zones whose rules change."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from dagsched.spawner import processes
from tests.daemon.served import Served, ask, rows
from tests.faults.faketime import WallClock
from tests.faults.hands import spawner_of, tell, wait_until, write_jobs
from tests.faults.injecting import LONG
from tests.faults.machine import at_most

STATE = ".dagsched"
HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)
HELD = "until [ -e go ]; do sleep 0.05; done"


def ticks(folder: Path, job: str) -> list[tuple[datetime, datetime, str, str]]:
    """Return the job's rows, oldest first: first tick, last tick, state, reason."""
    found = rows(ask(folder, "history", job, "--json", "--limit", "0"))
    made = [
        (datetime.fromisoformat(row["tick"]), datetime.fromisoformat(row["until"] or row["tick"]), row["state"],
         row["reason"])
        for row in found
    ]  # fmt: skip
    return sorted(made)


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Stop processes as SIGSTOP does, and let them go on afterwards."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def test_a_daemon_frozen_for_seconds_loses_no_tick_and_finds_what_ended_meanwhile(tmp_path: Path) -> None:
    write_jobs(
        tmp_path,
        {
            "often": {"schedule": {"every": "1s"}, "catchup": "all", "overlap": "queue", "run": "true"},
            "held": {"run": f"{HELD}; touch done"},
        },
    )
    with Served(tmp_path) as daemon:
        daemon.until_type("daemon.started")
        tell(tmp_path / STATE, "trigger", job="held")
        daemon.until_type("run.succeeded", "often")
        with frozen(daemon.process.pid):
            (tmp_path / "go").touch()
            wait_until(lambda: (tmp_path / "done").exists(), "the end of the attempt")
            time.sleep(2)  # what is tested is that nothing happens
        daemon.until_type("run.succeeded", "held")
        after = datetime.now(UTC)
        daemon.until(lambda event: event["type"] == "run.succeeded" and tick_of(event) > after, "a tick after all that")
    made = ticks(tmp_path, "often")
    firsts = [first for first, _, state, _ in made if state == "success"]
    assert firsts == [firsts[0] + number * SECOND for number in range(len(firsts))]
    assert len(firsts) >= 3


def tick_of(event: Any) -> datetime:
    return datetime.fromisoformat(event["run"].split(":", 2)[2])


@pytest.mark.parametrize("how", [pytest.param("set", marks=LONG), "suspend"])
def test_an_hour_forward_is_downtime_and_lengths_do_not_notice(tmp_path: Path, how: str) -> None:
    """A suspend looks like this from inside: nothing runs, then the wall clock is far ahead of the monotonic one."""
    wall = WallClock(tmp_path)
    write_jobs(
        tmp_path,
        {
            "newest": {"schedule": {"every": "10m"}, "run": "true"},
            "each": {"schedule": {"every": "10m"}, "catchup": "all", "overlap": "queue", "run": "true"},
            "none": {"schedule": {"every": "10m"}, "catchup": "none", "run": "true"},
            "held": {"run": HELD, "timeout": "30m"},
        },
    )
    wall.set(off := into_five_minutes())
    with Served(tmp_path, env=wall.env) as daemon:
        daemon.until_type("daemon.started")
        began = datetime.now(UTC) + off
        tell(tmp_path / STATE, "trigger", job="held")
        daemon.until_type("run.started", "held")
        if how == "suspend":
            attempt = processes.children(spawner := spawner_of(tmp_path / STATE))
            with frozen(daemon.process.pid, spawner, *attempt):
                wall.step(HOUR)
        else:
            wall.step(HOUR)
        assert re.match(r"by \+(1:00:0|0:59:5)\d$", daemon.until_type("clock.stepped")["reason"])
        for _ in range(6):
            daemon.until_type("run.succeeded", "each")
        (tmp_path / "go").touch()
        daemon.until_type("run.succeeded", "held")
    due = [first for first, *_ in ticks(tmp_path, "each")]
    assert len(due) == 6
    assert all(began < tick <= datetime.now(UTC) + off + HOUR for tick in due)
    assert {state for _, _, state, _ in ticks(tmp_path, "each")} == {"success"}
    left_out, ran = ticks(tmp_path, "newest")
    assert ran[0] == due[-1]
    assert ran[2] == "success"
    assert left_out[:3] == (due[0], due[-2], "missed")
    assert left_out[3].startswith("coalesced into")
    (missed,) = ticks(tmp_path, "none")
    assert missed[:3] == (due[0], due[-1], "missed")
    assert "down" in missed[3]


def into_five_minutes() -> timedelta:
    """Return how to set a clock so that the last and the next tick of a job that is due every ten are far away."""
    now = datetime.now(UTC)
    return timedelta(minutes=5) - (now - now.replace(minute=now.minute // 10 * 10, second=0, microsecond=0))


def test_an_hour_back_makes_no_tick_twice_and_delays_nothing_that_is_a_length(tmp_path: Path) -> None:
    wall = WallClock(tmp_path)
    write_jobs(
        tmp_path,
        {
            "often": {"schedule": {"every": "1s"}, "run": "true"},
            "shaky": {"run": "test -e second || { touch second; false; }", "retry": {"max_attempts": 2, "delay": "2s"}},
            "slow": {"run": "sleep 600", "timeout": "3s"},
        },
    )
    with Served(tmp_path, env=wall.env) as daemon:
        daemon.until_type("daemon.started")
        daemon.until_type("run.succeeded", "often")
        began = time.monotonic()
        tell(tmp_path / STATE, "trigger", job="slow")
        tell(tmp_path / STATE, "trigger", job="shaky")
        daemon.until_type("run.retrying", "shaky")
        wall.step(-HOUR)
        assert re.match(r"by -(1:00:0|0:59:5)\d$", daemon.until_type("clock.stepped")["reason"])
        ends = {"run.succeeded shaky", "run.failed slow"}
        while ends:
            event = daemon.until(lambda event: f"{event['type']} {event['job']}" in ends, f"one of {ends}")
            ends.remove(f"{event['type']} {event['job']}")
        assert time.monotonic() - began < 10
        before = ticks(tmp_path, "often")
        time.sleep(2)  # what is tested is that nothing happens
        assert ticks(tmp_path, "often") == before
        wall.step(HOUR)
        daemon.until_type("run.succeeded", "often")
    made = ticks(tmp_path, "often")
    spans = [(first, last) for first, last, *_ in made]
    assert all(last < first for (_, last), (first, _) in pairwise(spans))
    (attempt,) = json.loads(ask(tmp_path, "show", "slow", "--json"))["attempt_list"]
    assert attempt["outcome"] == "timed_out"


def test_changed_rules_of_a_time_zone_hold_from_the_next_start_and_fire_no_recorded_tick_again(tmp_path: Path) -> None:
    wall = WallClock(tmp_path)
    zones = tmp_path / "zones"
    rules(zones, "Etc/GMT")
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    # So long before noon that the daemon is up by then.
    early = min(15.0, at_most(3)) * SECOND
    wall.set(noon - early - datetime.now(UTC))
    env = {**wall.env, "PYTHONTZPATH": str(zones)}
    write_jobs(tmp_path, {"a": {"schedule": {"cron": "0 12 * * *", "timezone": "Europe/Paris"}, "run": "true"}})
    with Served(tmp_path, env=env) as daemon:
        daemon.until_type("run.succeeded", "a")
        rules(zones, "Etc/GMT+1")
        tell(tmp_path / STATE, "reload")
    wall.set(noon + HOUR - early - datetime.now(UTC))
    with Served(tmp_path, env=env) as daemon:
        daemon.until_type("daemon.started")
        daemon.until_type("run.succeeded", "a")
    assert [first for first, *_ in ticks(tmp_path, "a")] == [noon, noon + HOUR]


def rules(folder: Path, like: str) -> None:
    """Have the rules of Europe/Paris be those of another zone."""
    import tzdata

    place = folder / "Europe" / "Paris"
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path(tzdata.__file__).parent / "zoneinfo" / like, place)
