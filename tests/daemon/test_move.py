"""`dagsched db move` between two lives of a daemon, there and back."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta

import pytest

from tests.daemon.served import Served, ask, rows
from tests.postgres import new_address

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "echo $DAGSCHED_TICK | tee -a ticks", overlap: allow, catchup: all}
  after: {depends_on: [beat], run: "true", overlap: allow}
  waits: {run: sleep 300, window: {from: "00:00", to: "00:01", days: [mon]}, depends_on: [never]}
  never: {run: "true"}
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "jobs.yaml").write_text(FILE)
    return tmp_path


def serve_a_while(folder, *arguments):
    with Served(folder, *arguments) as daemon:
        daemon.until_type("daemon.started")
        for _ in range(2):
            daemon.until_type("run.succeeded", "after")
        ask(folder, "stop")
        assert daemon.ended() == 0


def test_no_tick_is_lost_or_doubled_on_the_way_there_and_back(folder):
    address = new_address()
    serve_a_while(folder)
    ask(folder, "pause", "never")
    before = rows(ask(folder, "history", "--json", "--limit", "0"))
    told = ask(folder, "db", "move", "sqlite:", address.url, "--namespace", address.namespace)
    assert "checksum, the same on both sides" in told
    # The store is found from here on without being named, and holds all of it.
    assert rows(ask(folder, "history", "--json", "--limit", "0")) == before
    assert f"store     {address.shown}" in ask(folder, "status")
    ran = next(row["run"] for row in before if row["run"].startswith("job:beat:") and row["state"] == "success")
    assert ask(folder, "logs", ran)
    serve_a_while(folder)
    ask(folder, "resume", "never")
    done = json.loads(ask(folder, "db", "move", address.url, "sqlite:", "--namespace", address.namespace, "--json"))
    assert (done["from"], done["finished_earlier_move"]) == (address.shown, False)
    with Served(folder) as daemon:
        daemon.until_type("job.resumed", "never")
    serve_a_while(folder)
    assert "sound" in ask(folder, "doctor")
    ran = Counter((folder / "ticks").read_text().split())
    assert set(ran.values()) == {1}
    seen = [row for row in rows(ask(folder, "history", "beat", "--json", "--limit", "0")) if row["until"] is None]
    ticks = sorted(datetime.fromisoformat(row["tick"]) for row in seen)
    assert ticks == [ticks[0] + timedelta(seconds=number) for number in range(len(ticks))]
    assert Counter(row["tick"] for row in seen if row["state"] == "success").keys() == ran.keys()
    numbers = [event["seq"] for event in rows(ask(folder, "events", "--json"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_a_running_daemon_keeps_its_state_where_it_is(folder):
    address = new_address()
    with Served(folder) as daemon:
        daemon.until_type("daemon.started")
        told = ask(folder, "db", "move", "sqlite:", address.url, code=4)
        assert "held by process" in told
        daemon.until_type("run.succeeded", "beat")


def test_a_daemon_on_what_has_moved_says_where_to_go(folder):
    address = new_address()
    serve_a_while(folder)
    ask(folder, "db", "move", "sqlite:", address.url, "--namespace", address.namespace)
    with Served(folder, "--store", "sqlite:") as daemon:
        assert daemon.ended() == 4
    assert f"this state moved to {address.shown}" in (folder / "stderr").read_text()
    # Naming it was refused, so it is not remembered either.
    assert f"store     {address.shown}" in ask(folder, "status")
    assert "moved to" in ask(folder, "pause", "beat", "--store", "sqlite:", code=4)


def test_a_scheduler_that_stands_by_ends_when_the_state_moves_away(folder, tmp_path_factory):
    address, other = new_address(), tmp_path_factory.mktemp("other")
    (other / "jobs.yaml").write_text(FILE)
    on = ("--store", address.url, "--namespace", address.namespace)
    serve_a_while(folder, *on)
    ask(folder, "db", "move", address.url, "sqlite:", "--namespace", address.namespace)
    with Served(other, *on) as daemon:
        assert daemon.ended() == 4
    assert "this state moved to" in (other / "stderr").read_text()
    assert "moved   to" in ask(folder, "db", "status", *on)


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "takes two places"),
        (("sqlite:",), 2, "takes two places"),
        (("sqlite:", "sqlite:"), 2, "goes from sqlite: to a server"),
        (("postgresql:///a", "postgresql:///b"), 2, "pg_dump"),
        (("sqlite:", "mysql://u:secret@h/d"), 2, "write postgresql://"),
        (("sqlite:x.db", "postgresql:///b"), 2, "sqlite: for the state directory"),
        (("sqlite:", "postgresql:///b", "--namespace", "No"), 2, "a namespace is at most"),
        (("sqlite:", "postgresql:///b", "--store", "sqlite:"), 2, "leave --store out"),
        (("sqlite:", "postgresql:///b"), 4, "there is no state here yet"),
        (("postgresql://u:secret@127.0.0.1:1/b", "sqlite:"), 4, "127.0.0.1"),
    ],
)
def test_what_cannot_be_moved_is_told_and_changes_nothing(folder, words, code, why):
    told = ask(folder, "db", "move", *words, code=code)
    assert why in told
    assert "secret" not in told
    assert "Traceback" not in told
    assert not (folder / ".dagsched").exists()


def test_only_a_move_takes_places(folder):
    assert "unexpected argument 'sqlite:'" in ask(folder, "db", "status", "sqlite:", code=2)
    assert "unexpected argument 'sqlite:'" in ask(folder, "db", "upgrade", "sqlite:", code=2)
