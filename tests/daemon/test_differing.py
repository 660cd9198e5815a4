"""Schedulers on one store whose job files are not the same."""

from __future__ import annotations

import json
import signal
import subprocess

import pytest

from tests.daemon.served import Served, ask
from tests.daemon.several import SHORT, on, stands_by, until

FILE = """\
version: 1
jobs:
  beat: {schedule: {every: 1s}, run: "true", overlap: allow}
"""
SECOND = FILE + "  other: {run: 'true'}\n"
DIFFERS = "the job files here are not those of configuration 1, which is in force: "


def write(folder, text):
    (folder / "jobs.yaml").write_text(text)


class On(Served):
    """A scheduler that finds its folder's file at the path that every machine has it at, by a mount of its own."""

    def __init__(self, folder, address, **more):
        place = folder.parent / "etc"
        place.mkdir(exist_ok=True)
        (place / "jobs.yaml").touch()
        mounted = ["unshare", "--mount", "sh", "-c", f'mount --bind {folder} {place} && exec "$@"', "sh"]
        words = (str(place / "jobs.yaml"), "--state-dir", str(folder / ".dagsched"))
        super().__init__(folder, *words, *on(address), wrap=mounted, env=SHORT, **more)


@pytest.fixture(autouse=True)
def _may_mount():
    done = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("mounts of their own are not allowed here")


def config_of(folder):
    return json.loads(ask(folder, "status", "--json", "--state-dir", ".dagsched"))["config"]


def said_by(folder):
    return (folder / "stderr").read_text()


def test_one_that_stands_by_with_other_files_says_so_and_takes_over_with_what_is_stored(machines, address):
    first, second = machines
    write(second, SECOND)
    with On(first, address) as active:
        active.until_type("run.succeeded", "beat")
        with On(second, address) as other:
            stands_by(second)
            until(lambda: DIFFERS in said_by(second))
            until(lambda: DIFFERS in ask(first, "status"))
            assert DIFFERS in ask(first, "db", "status")
            told = json.loads(ask(first, "status", "--json"))["schedulers"]
            assert [DIFFERS in each["remark"] for each in told] == [False, True]
            active.signal(signal.SIGKILL)
            other.until_type("daemon.started")
            other.until_type("run.succeeded", "beat")
            assert "takes over with configuration 1 as it is stored" in said_by(second)
            assert config_of(second)["number"] == 1
            until(lambda: "takes over with configuration 1 as it is stored" in ask(second, "status"))
            assert not other.has(lambda event: event["type"] == "config.applied")
            # Whoever asks gets what the files say.
            ask(second, "reload")
            other.until_type("config.applied")
            assert config_of(second)["number"] == 2
            until(lambda: "as it is stored" not in ask(second, "status"))
            ask(second, "trigger", "other")
            other.until_type("run.succeeded", "other")


def test_a_change_of_the_files_after_the_takeover_counts(machines, address):
    first, second = machines
    write(second, SECOND)
    with On(first, address) as active:
        active.until_type("daemon.started")
        with On(second, address) as other:
            until(lambda: DIFFERS in said_by(second))
            active.signal(signal.SIGKILL)
            other.until_type("daemon.started")
            write(second, SECOND + "  third: {run: 'true'}\n")
            other.until_type("config.applied")
            ask(second, "trigger", "third")
            other.until_type("run.succeeded", "third")


def test_an_edit_that_the_active_one_did_not_live_to_see_comes_into_force_after_the_takeover(machines, address):
    first, second = machines
    write(second, SECOND)
    with On(first, address) as active:
        active.until_type("daemon.started")
        with On(second, address) as other:
            until(lambda: DIFFERS in said_by(second))
            write(second, FILE)
            until(lambda: "are those in force again" in said_by(second))
            write(second, SECOND)
            active.signal(signal.SIGKILL)
            other.until_type("config.applied")
            assert "takes over with configuration 1 as it is stored" in said_by(second)
            assert "so they come into force next" in said_by(second)
            assert config_of(second)["number"] == 2
            ask(second, "trigger", "other")
            other.until_type("run.succeeded", "other")


def test_files_that_become_the_same_are_nothing_to_speak_of(machines, address):
    first, second = machines
    write(second, "version: 1\njobs: {x: {runn: 1}}\n")
    with On(first, address) as active:
        active.until_type("daemon.started")
        with On(second, address) as other:
            until(lambda: "1 problem in the job files here, the first at" in said_by(second))
            # An edit that reaches the machine that stands by before the active one.
            write(second, SECOND)
            until(lambda: DIFFERS in said_by(second))
            write(first, SECOND)
            active.until_type("config.applied")
            until(lambda: "are those in force again" in said_by(second))
            until(lambda: "not those of" not in ask(first, "status"))
            active.signal(signal.SIGKILL)
            other.until_type("daemon.started")
            assert "as it is stored" not in said_by(second)
            assert config_of(second)["number"] == 2
