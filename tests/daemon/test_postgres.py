"""A daemon whose state is on a PostgreSQL server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from tests.daemon.served import PATIENCE_S, Served, ask, rows
from tests.daemon.several import on, sound, until
from tests.postgres import new_address, own_server

FILE = """\
version: 1
jobs:
  greet: {run: echo hello}
  after: {depends_on: [greet], run: echo after}
  beat: {schedule: {every: 1s}, run: "true", overlap: allow, catchup: all}
  long: {run: sleep 300}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "jobs.yaml").write_text(FILE)
    return tmp_path


def states(folder, job):
    return [row["state"] for row in rows(ask(folder, "history", job, "--json", "--limit", "0"))]


def test_a_daemon_keeps_its_state_on_the_server_and_commands_find_it(folder):
    address = new_address()
    with Served(folder, *on(address)) as daemon:
        daemon.until_type("daemon.started")
        ask(folder, "trigger", "greet")
        daemon.until_type("run.succeeded", "after")
        assert f"store     {address.shown}" in ask(folder, "status")
        ask(folder, "pause", "beat")
        daemon.until_type("job.paused", "beat")
        ask(folder, "stop")
        assert daemon.ended() == 0
    assert not (folder / ".dagsched" / "dagsched.db").exists()
    assert states(folder, "greet") == states(folder, "after") == ["success"]
    found = json.loads(ask(folder, "db", "status", "--json"))
    assert (found["layout"], found["holder"]) == (found["known"], None)
    # Left while nobody ran, carried out at the next start, which needs no `--store` any more.
    ask(folder, "resume", "beat")
    with Served(folder) as daemon:
        daemon.until_type("job.resumed", "beat")
        daemon.until_type("run.succeeded", "beat")
    assert "sound" in ask(folder, "doctor")


def test_the_next_daemon_adopts_what_a_killed_one_left_running(folder):
    address = new_address()
    with Served(folder, *on(address)) as daemon:
        daemon.until_type("daemon.started")
        ask(folder, "trigger", "long")
        daemon.until_type("run.started", "long")
        daemon.signal(signal.SIGKILL)
        daemon.ended()
    with Served(folder, "--grace", "0s") as daemon:
        daemon.until_type("daemon.started")
        [run] = rows(ask(folder, "history", "long", "--json"))
        assert (run["state"], run["attempts"]) == ("running", 1)
        ask(folder, "cancel", run["run"])
        daemon.until_type("run.cancelled", "long")


def test_a_killed_server_costs_no_run_and_the_daemon_goes_on(folder):
    server = own_server()
    with Served(folder, "--store", server.url) as daemon:
        daemon.until_type("run.succeeded", "beat")
        for crash in range(2):
            server.crash()
            until(lambda seen=crash: (folder / "stderr").read_text().count("nothing is started until") > seen)
            server.start()
            daemon.until_type("run.succeeded", "beat")
            daemon.until_type("run.succeeded", "beat")
        ask(folder, "stop")
        assert daemon.ended() == 0
    # A tick of the last moment may wait for the next start.
    assert set(states(folder, "beat")) - {"queued"} == {"success"}
    sound(folder)
    assert "sound" in ask(folder, "doctor")
    server.stop()


def test_an_edit_while_the_server_is_away_comes_into_force_when_it_is_back(folder):
    server = own_server()
    # An edge that an edit adds has history to be looked at.
    edge = "{job: beat, match: all}"
    edited = FILE + f"  later: {{depends_on: [{edge}], schedule: {{every: 1s}}, run: 'true', overlap: allow}}\n"
    with Served(folder, "--store", server.url) as daemon:
        daemon.until_type("run.succeeded", "beat")
        server.crash()
        (folder / "jobs.yaml").write_text(edited)
        until(lambda: "the reload is tried again" in (folder / "stderr").read_text())
        server.start()
        daemon.until_type("config.applied")
        daemon.until_type("run.succeeded", "later")
        ask(folder, "stop")
        assert daemon.ended() == 0
    server.stop()


def test_db_upgrade_makes_a_namespace_once_and_status_tells_of_it(folder):
    address = new_address()
    assert "not there yet" in ask(folder, "db", "status", *on(address), code=1)
    assert "from layout 0 to" in ask(folder, "db", "upgrade", *on(address))
    assert "up to date" in ask(folder, "db", "upgrade", *on(address))
    assert "active  nobody, epoch 0" in ask(folder, "db", "status", *on(address))


def test_programs_that_come_at_once_make_a_namespace_once(folder):
    address = new_address()
    makers = [begin(folder, "db", "upgrade", "--json", *on(address)) for _ in range(4)]
    said = [json.loads(maker.communicate(timeout=PATIENCE_S)[0]) for maker in makers]
    assert sorted(each["before"] for each in said) == [0] + [said[0]["layout"]] * 3


def begin(folder, *words):
    command = [sys.executable, "-m", "dagsched", *words]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)


def test_a_layout_of_a_later_program_is_refused(folder):
    import psycopg

    address = new_address()
    ask(folder, "db", "upgrade", *on(address))
    with psycopg.connect(address.url) as connection:
        connection.execute(f"INSERT INTO {address.schema}.layout SELECT max(number) + 1 FROM {address.schema}.layout")
    with Served(folder, *on(address)) as daemon:
        assert daemon.ended() == 4
    assert "of a later dagsched" in ask(folder, "history", *on(address), code=4)


def test_db_without_a_server_says_how_one_is_named(folder):
    assert "--store postgresql://" in ask(folder, "db", "status", code=2)


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--store", "mysql://x/y"], 2, "write postgresql://"),
        (["--store", "postgresql://x/y", "--namespace", "No-Good"], 2, "a namespace is at most 40"),
        (["--store", "postgresql://me:secret@127.0.0.1:1/y"], 4, "postgresql://me@127.0.0.1:1/y"),
    ],
    ids=["another engine", "a bad namespace", "nobody listens"],
)
def test_a_store_that_cannot_be_used_is_told_without_its_password(folder, words, code, said):
    told = ask(folder, "history", *words, code=code)
    assert said in told
    assert "secret" not in told
