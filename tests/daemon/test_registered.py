"""Jobs that were registered over HTTP are part of the state, and go wherever that goes."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import httpx

from dagsched import registered
from tests.daemon.served import Served, ask
from tests.daemon.several import on, stands_by, until
from tests.postgres import new_address

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "true", overlap: allow}
"""
PING = "run: pwd >> said  # a comment"


def serve(folder, *arguments):
    return Served(folder, "--allow-api-commands", "--bind", "127.0.0.1:0", *arguments)


def served(daemon):
    """Wait until its doors are open: right after it has said that it has started."""
    daemon.until_type("daemon.started")
    until(lambda: (daemon.folder / ".dagsched" / "api.sock").exists())


def http(folder, verb, path, **more):
    transport = httpx.HTTPTransport(uds=str(folder / ".dagsched" / "api.sock"))
    with httpx.Client(base_url="http://local", transport=transport, timeout=20) as client:
        return client.request(verb, f"/api/v1{path}", **more)


def register(folder, id, text=PING):
    answer = http(folder, "PUT", f"/jobs/{id}", content=text, headers={"Content-Type": "application/yaml"})
    assert answer.status_code in (200, 201), answer.text
    return answer


def ran(daemon, id):
    """Have a job run; it runs where the job files are, whoever had it registered where."""
    ask(daemon.folder, "trigger", id)
    daemon.until_type("run.succeeded", id)
    return Path((daemon.folder / "said").read_text().split()[-1])


def test_they_are_there_after_another_machine_has_taken_over(machines):
    first, second = machines
    address = new_address()
    with serve(first, *on(address)) as active:
        served(active)
        with serve(second, *on(address)) as other:
            stands_by(second)
            register(first, "ping")
            active.signal(signal.SIGKILL)
            served(other)
            assert http(second, "GET", "/jobs/ping").json()["source"] == "api"
            assert "# a comment" in http(second, "GET", "/jobs/ping/yaml").text
            ask(second, "trigger", "ping")
            other.until_type("run.succeeded", "ping")
            # It stays when the files of this machine are read, and is replaced and removed here as well.
            (second / "jobs.yaml").write_text(FILE + "  late: {run: 'true'}\n")
            other.until_type("config.applied")
            assert http(second, "GET", "/jobs/ping").json()["removed"] is False
            assert register(second, "ping", "run: 'false'").status_code == 200
            assert http(second, "DELETE", "/jobs/ping").status_code == 200
            assert http(second, "GET", "/jobs/ping").json()["removed"] is True
        # What is said of files that differ is said of real ones alone.
        assert "registered:" not in (second / "stderr").read_text()


def test_files_that_are_not_in_force_stay_so_when_a_job_is_registered(machines):
    first, second = machines
    address = new_address()
    (second / "jobs.yaml").write_text(FILE + "  other: {run: 'true'}\n")
    with serve(first, *on(address)) as active:
        served(active)
        with serve(second, *on(address)) as other:
            stands_by(second)
            active.signal(signal.SIGKILL)
            served(other)
            register(second, "ping")
            # Touched, and the same as before: nobody has asked for it.
            (second / "jobs.yaml").write_text((second / "jobs.yaml").read_text())
            other.until_type("run.succeeded", "beat")
            jobs = {each["job"] for each in json.loads(ask(second, "status", "--json"))["jobs"]}
            assert jobs == {"beat", "ping"}
            ask(second, "reload")
            jobs = {each["job"] for each in json.loads(ask(second, "status", "--json"))["jobs"]}
            assert jobs == {"beat", "ping", "other"}


def test_they_go_along_when_the_state_moves(machines):
    first, second = machines
    address = new_address()
    with serve(first) as daemon:
        served(daemon)
        register(first, "ping")
        assert ran(daemon, "ping") == first
        ask(first, "stop", "--wait")
    ask(first, "db", "move", "sqlite:", address.url, "--namespace", address.namespace)
    # A machine that has never seen the state directory.
    with serve(second, *on(address)) as daemon:
        served(daemon)
        assert http(second, "GET", "/jobs/ping").json()["source"] == "api"
        ask(second, "stop", "--wait")
    ask(first, "db", "move", address.url, "sqlite:", "--namespace", address.namespace)
    with serve(first) as daemon:
        served(daemon)
        assert ran(daemon, "ping") == first


def test_a_kill_at_any_time_leaves_a_job_registered_or_not(machines):
    first, _ = machines
    with serve(first) as daemon:
        served(daemon)
        register(first, "ping")
        daemon.signal(signal.SIGKILL)
        daemon.ended()
    with serve(first) as daemon:
        served(daemon)
        assert ran(daemon, "ping") == first


def test_a_file_of_an_earlier_release_goes_on_under_its_new_name(tmp_path):
    state = tmp_path / ".dagsched"
    files = {"/srv/jobs.yaml": "a", str(state / "registered" / "ping.yaml"): "b", "/srv/registered/x.yaml": "c"}
    found = registered.brought_over(files, state, Path("/srv"))
    assert found == {"/srv/jobs.yaml": "a", "/srv/registered:ping.yaml": "b", "/srv/registered/x.yaml": "c"}
    assert registered.among(found) == {"/srv/registered:ping.yaml": "b"}
    assert registered.found(found, "ping") == "/srv/registered:ping.yaml"
