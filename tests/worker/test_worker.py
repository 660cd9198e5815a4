"""Schedulers and workers in processes of their own, on a real PostgreSQL server."""

from __future__ import annotations

import json
import signal
import socket
import time
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest

from dagsched.stores import Address
from tests.daemon.served import PATIENCE_S, Served, ask, rows
from tests.postgres import new_address, own_server
from tests.worker.working import Working


@pytest.fixture
def address():
    return new_address()


@pytest.fixture
def home(tmp_path):
    """The scheduler's folder; workers have others."""
    found = tmp_path / "scheduler"
    found.mkdir()
    return found


def on(address):
    return ["--store", address.url, "--namespace", address.namespace]


def until(is_so):
    """Wait for what nobody tells by an event."""
    deadline = time.monotonic() + PATIENCE_S * 3
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def write(home, text):
    (home / "jobs.yaml").write_text("version: 1\n" + text)


def test_a_job_with_a_queue_is_done_by_a_worker_and_its_end_comes_back(home, tmp_path, address):
    write(home, """\
jobs:
  far: {queue: etl, run: 'echo fence $DAGSCHED_FENCE; echo rows=5 >> "$DAGSCHED_OUTPUT"; echo far > done'}
  near: {run: 'echo near $N > done', depends_on: [far], env: {N: {job: far, output: rows}}}
""")  # fmt: skip
    with Served(home, *on(address)) as scheduler, Working(tmp_path / "w", *on(address), "--queues", "etl"):
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "far")
        scheduler.until_type("run.succeeded", "far")
        scheduler.until_type("run.succeeded", "near")
        (row,) = rows(ask(home, "history", "far", "--json"))
        assert (row["state"], row["exit_code"], row["attempts"]) == ("success", 0, 1)
        assert ask(home, "logs", "far") == "fence 1\n"
        (attempt,) = json.loads(ask(home, "show", "far", "--json"))["attempt_list"]
        assert (attempt["outcome"], attempt["pid"] > 0) == ("success", True)
        assert attempt["started"] <= attempt["ended"]
        (worker,) = rows(ask(home, "workers", "--json"))
        assert (worker["state"], worker["queues"], worker["running"], worker["slots"]) == ("ready", ["etl"], 0, 1)
        assert attempt["place"] == worker["worker"]
        (attempt,) = json.loads(ask(home, "show", "near", "--json"))["attempt_list"]
        assert attempt["place"] == socket.gethostname()
        heads, cells = (line.split() for line in ask(home, "show", "far").splitlines()[-2:])
        assert cells[heads.index("WHERE")] == worker["worker"]
    assert (home / "done").read_text() == "near 5\n"


LONG = "queue: etl, run: 'echo $$ >> \"$PIDS\"; echo begun; exec sleep 300'"


def pids(home):
    path = home / "pids"
    return path.read_text().split() if path.exists() else []


def is_alive(pid):
    return Path(f"/proc/{pid}").exists()


def begun(home, number=1):
    until(lambda: len(pids(home)) == number)
    return pids(home)[-1]


def test_a_cancelled_attempt_is_ended_where_it_runs_and_its_output_can_be_followed(home, tmp_path, address):
    write(home, f"jobs: {{long: {{{LONG}}}, untaken: {{queue: nobody, run: 'true'}}}}\n")
    env = {"PIDS": str(home / "pids")}
    with (
        Served(home, *on(address)) as scheduler,
        Working(tmp_path / "w", *on(address), "--queues", "etl", env=env),
    ):
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "long")
        ask(home, "trigger", "untaken")
        pid = begun(home)
        until(lambda: ask(home, "logs", "long") == "begun\n")
        assert "queue nobody: 1 attempt waits" in ask(home, "workers")
        assert "attempt 1: no worker of queue nobody has taken it since 20" in ask(home, "why", "untaken")
        has_it = json.loads(ask(home, "why", "long", "--json"))["handed"]["worker"]
        assert json.loads(ask(home, "show", "long", "--json"))["attempt_list"][0]["place"] == has_it
        assert json.loads(ask(home, "show", "untaken", "--json"))["attempt_list"][0]["place"] is None
        ask(home, "cancel", "long")
        ask(home, "cancel", "untaken")
        for _ in range(2):
            scheduler.until_type("run.cancelled")
        assert not is_alive(pid)
        assert ask(home, "logs", "long", "-f") == "begun\n"
    assert not (home / "logs").exists()


def test_a_worker_that_was_killed_and_comes_back_goes_on_with_what_lives(home, tmp_path, address):
    script = 'echo $$ >> "$PIDS"; while [ ! -e "$GO" ]; do sleep 0.1; done; echo done'
    write(home, f"jobs: {{long: {{queue: etl, retry: 3, run: '{script}'}}}}\n")
    env = {"PIDS": str(home / "pids"), "GO": str(home / "go")}
    working = Working(tmp_path / "w", *on(address), "--queues", "etl", env=env)
    with Served(home, *on(address)) as scheduler, working:
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "long")
        pid = begun(home)
        working.process.kill()
        working.process.wait()
        with Working(working.folder, *on(address), "--queues", "etl", env=env) as again:
            again.ready()
            (home / "go").touch()
            scheduler.until_type("run.succeeded", "long")
        assert pids(home) == [pid]
        assert ask(home, "logs", "long") == "done\n"


def test_a_worker_that_drains_lets_what_runs_finish_or_hands_it_on(home, tmp_path, address):
    write(home, f"jobs: {{long: {{{LONG}, retry: {{max_attempts: 2, delay: 1s}}}}}}\n")
    env = {"PIDS": str(home / "pids")}
    first = Working(tmp_path / "one", *on(address), "--queues", "etl", "--grace", "1s", env=env)
    with Served(home, *on(address)) as scheduler, first:
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "long")
        pid = begun(home)
        first.signal(signal.SIGTERM)
        assert first.ended() == 0
        assert not is_alive(pid)
        assert scheduler.until_type("run.retrying", "long")["reason"] == "its worker was stopped"
        until(lambda: "queue etl: 1 attempt waits" in (said := ask(home, "workers")) and "no worker serves it" in said)
        with Working(tmp_path / "two", *on(address), "--queues", "etl", env=env):
            begun(home, 2)
            ask(home, "cancel", "long")
            scheduler.until_type("run.cancelled", "long")


SHORT = {"DAGSCHED_WORKER_LEASE": "18s"}


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_what_a_lost_worker_did_is_ended_before_another_one_does_it(home, tmp_path, address, how):
    watch = "echo $$ >> $PIDS; trap 'echo $$ ended >> $PIDS; exit' TERM; while :; do sleep 0.1; done"
    write(home, f'jobs: {{long: {{queue: etl, retry: 2, run: "{watch}"}}}}\n')
    env = {"PIDS": str(home / "pids"), **SHORT}
    lost = Working(tmp_path / "lost", *on(address), "--queues", "etl", env=env)
    with Served(home, *on(address)) as scheduler, lost:
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "long")
        pid = begun(home)
        lost.signal(how)
        with Working(tmp_path / "other", *on(address), "--queues", "etl", env=env):
            until(lambda: scheduler.has(lambda event: event["type"] == "run.retrying"))
            assert scheduler.seen[-1]["reason"].startswith("its worker was not heard of")
            assert not is_alive(pid)
            until(lambda: len(pids(home)) >= 4)
            assert pids(home)[:3] == [pid, pid, "ended"]
            if how is signal.SIGSTOP:
                lost.signal(signal.SIGCONT)
                until(lambda: "had been given up" in lost.stderr)
            ask(home, "cancel", "long")
            scheduler.until_type("run.cancelled", "long")
        (row,) = rows(ask(home, "history", "long", "--json"))
        assert row["attempts"] == 2


def test_a_scheduler_that_takes_over_takes_the_reports_of_workers(home, tmp_path, address):
    script = 'echo $$ >> "$PIDS"; while [ ! -e "$GO" ]; do sleep 0.1; done'
    after = "after: {depends_on: [long], run: 'true'}"
    write(home, f"jobs: {{long: {{queue: etl, retry: 3, run: '{script}'}}, {after}}}\n")
    env = {"PIDS": str(home / "pids"), "GO": str(home / "go")}
    with Working(tmp_path / "w", *on(address), "--queues", "etl", env=env):
        with Served(home, *on(address)) as first:
            first.until_type("daemon.started")
            ask(home, "trigger", "long")
            begun(home)
            first.process.kill()
            first.process.wait()
        (home / "go").touch()
        with Served(home, *on(address)) as second:
            second.until_type("run.succeeded", "after")
            assert len(pids(home)) == 1
            assert {each["type"] for each in second.seen}.isdisjoint({"run.retrying", "run.started long"})


def test_pools_hold_for_all_workers_together(home, tmp_path, address):
    script = "flock $LOCK sh -c 'echo + >> $PIDS'; sleep 0.3; flock $LOCK sh -c 'echo - >> $PIDS'"
    jobs = "".join(f'  j{n}: {{queue: etl, pool: two, run: "{script}"}}\n' for n in range(8))
    write(home, f"pools: {{two: 2}}\njobs:\n{jobs}")
    env = {"PIDS": str(home / "pids"), "LOCK": str(home / "lock")}
    workers = [Working(tmp_path / f"w{n}", *on(address), "--queues", "etl", "--slots", "4", env=env) for n in range(3)]
    with ExitStack() as stack:
        for worker in workers:
            stack.enter_context(worker)
        once = ask(home, "run", "--once", *on(address))
    assert once.count("success") >= 8
    running = [0]
    for sign in pids(home):
        running.append(running[-1] + (1 if sign == "+" else -1))
    assert (max(running), running[-1], len(running)) == (2, 0, 17)


def test_secrets_are_looked_up_on_the_worker_and_kept_from_all_other_jobs(home, tmp_path, address):
    write(home, """\
jobs:
  has:
    {queue: etl, secrets: {TOKEN: "env:API_TOKEN"}, run: 'echo "$TOKEN"; echo "length=${#TOKEN}" >> "$DAGSCHED_OUTPUT"'}
  has_not: {queue: etl, run: 'echo "none:$API_TOKEN$TOKEN"'}
  function: {queue: etl, handler: python, with: {function: "os:getcwd"}}
  lacks: {queue: etl, secrets: {TOKEN: "env:OTHER"}, run: 'true'}
""")  # fmt: skip
    worker = Working(tmp_path / "w", *on(address), "--queues", "etl", "--slots", "2", env={"API_TOKEN": "s3cret-value"})
    with worker:
        ask(home, "run", "--once", *on(address), code=1)
        states = {row["job"]: (row["state"], row["reason"]) for row in rows(ask(home, "history", "--json"))}
        assert ask(home, "logs", "has") == "***\n"
        assert ask(home, "logs", "has_not") == "none:\n"
        assert json.loads(ask(home, "show", "has", "--json"))["outputs"] == {"length": "12"}
    why = "secret TOKEN: env:OTHER: the worker's environment has no such variable"
    assert states == {
        "has": ("success", ""), "has_not": ("success", ""), "function": ("success", ""), "lacks": ("failed", why),
    }  # fmt: skip


def test_a_server_that_comes_back_in_time_costs_no_attempt(home, tmp_path):
    server = own_server()
    address = Address(server.url, "outage")
    script = 'echo $$ >> "$PIDS"; while [ ! -e "$GO" ]; do sleep 0.1; done; echo done'
    write(home, f"jobs: {{one: {{queue: etl, retry: 3, run: '{script}'}}, two: {{queue: etl, run: 'true'}}}}\n")
    env = {"PIDS": str(home / "pids"), "GO": str(home / "go")}
    working = Working(tmp_path / "w", *on(address), "--queues", "etl", env=env)
    with Served(home, *on(address)) as scheduler, working:
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "one")
        begun(home)
        server.crash()
        (home / "go").touch()  # it ends while nobody can be told
        until(lambda: "cannot be reported yet" in working.stderr)
        server.start()
        scheduler.until_type("run.succeeded", "one")
        ask(home, "trigger", "two")
        scheduler.until_type("run.succeeded", "two")
        assert len(pids(home)) == 1
        assert ask(home, "logs", "one") == "done\n"


def test_a_worker_of_another_release_finishes_what_it_has_and_ends(home, tmp_path, address):
    script = 'echo $$ >> "$PIDS"; while [ ! -e "$GO" ]; do sleep 0.1; done'
    write(home, f"jobs: {{long: {{queue: etl, run: '{script}'}}}}\n")
    env = {"PIDS": str(home / "pids"), "GO": str(home / "go"), **SHORT}
    old = Working(tmp_path / "old", *on(address), "--queues", "etl", "--grace", "0s", env=env)
    with Served(home, *on(address)) as scheduler, old:
        scheduler.until_type("daemon.started")
        ask(home, "trigger", "long")
        begun(home)
        with psycopg.connect(address.url, autocommit=True) as connection:
            connection.execute(f"UPDATE {address.schema}.guidance SET version = '99.0'")
        until(lambda: "is dagsched 99.0 and this worker" in old.stderr)
        (home / "go").touch()
        scheduler.until_type("run.succeeded", "long")
        assert old.ended() == 4
        with Working(tmp_path / "new", *on(address), "--queues", "etl") as refused:
            assert refused.ended() == 4
            assert "install the same release on both" in refused.stderr


def test_without_a_shared_state_a_job_for_workers_fails_and_says_why(home):
    write(home, "jobs: {far: {queue: etl, run: 'echo no > ran'}}\n")
    said = ask(home, "run", "--once", code=1)
    assert "far needs workers" in said
    (row,) = rows(ask(home, "history", "far", "--json"))
    assert row["state"] == "failed"
    assert row["reason"].startswith("queue 'etl' is for workers, and the state of this scheduler is its own")
    assert not (home / "ran").exists()
