from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from dagsched.errors import NotifierError
from dagsched.notifiers import Message
from tests.notifiers.samples import FAILURE, deliver

ENVIRON = {"PATH": os.environ["PATH"]}


def spec_of(folder, *run, **more):
    return {"type": "command", "run": list(run), "folder": str(folder), **more}


def test_a_command_gets_the_message_on_standard_input_and_the_gist_in_variables(tmp_path):
    words = " ".join(f"$DAGSCHED_{name}" for name in ("NOTICE", "NOTICE_ID", "NOTIFIER", "JOB", "RUN"))
    script = f'cat > got; echo "{words}" > gist'
    deliver(spec_of(tmp_path, "sh", "-c", script), ENVIRON)
    assert Message.from_json(json.loads((tmp_path / "got").read_text())) == FAILURE
    assert (tmp_path / "gist").read_text().split() == ["failure", "msg_1", "ops", "load", FAILURE.items[0].run]


def test_a_command_finds_no_secret_of_others_and_nothing_that_only_the_scheduler_is_told(tmp_path):
    others = {"NOTIFY_SOCKET": "/run/systemd", "DAGSCHED_STORE": "postgresql://u:pw@h/db", "DB_PASSWORD": "hunter22"}
    spec = {**spec_of(tmp_path, "sh", "-c", "env > got"), "secrets": {"KEY": {"env": "PAGER"}}}
    deliver(spec, {**ENVIRON, **others, "PAGER": "p4ger", "LANG": "C"}, hidden=frozenset({"DB_PASSWORD", "PAGER"}))
    found = dict(line.split("=", 1) for line in (tmp_path / "got").read_text().splitlines())
    assert (found["KEY"], found["LANG"], found["PATH"]) == ("p4ger", "C", ENVIRON["PATH"])
    assert not found.keys() & {*others, "PAGER"}


def test_a_secret_of_a_command_that_is_not_there_is_named_and_the_value_is_never_told(tmp_path):
    spec = {**spec_of(tmp_path, "sh", "-c", "echo $KEY; exit 1"), "secrets": {"KEY": {"env": "PAGER"}}}
    with pytest.raises(NotifierError, match="env:PAGER: the scheduler's environment has no such variable"):
        deliver(spec, ENVIRON)
    with pytest.raises(NotifierError, match=r"exit 1: \[secret\]"):
        deliver(spec, {**ENVIRON, "PAGER": "p4ger"})


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path):
    with pytest.raises(NotifierError, match="exit 7: no luck") as caught:
        deliver(spec_of(tmp_path, "sh", "-c", "echo no luck >&2; exit 7"), ENVIRON)
    assert not caught.value.is_final


def test_a_command_that_is_not_there_is_named(tmp_path):
    with pytest.raises(NotifierError, match=r"cannot start \./nothing"):
        deliver(spec_of(tmp_path, "./nothing"), ENVIRON)


def test_a_command_that_reads_nothing_is_fine(tmp_path):
    deliver(spec_of(tmp_path, "true"), ENVIRON, FAILURE._replace(text="x" * 500_000))


def test_a_command_that_takes_too_long_is_ended_with_all_its_children(tmp_path):
    began = time.monotonic()
    with pytest.raises(NotifierError, match=r"no answer within 0.5 s"):
        deliver(spec_of(tmp_path, "sh", "-c", "sleep 60 & echo $! > child; wait", timeout="500ms"), ENVIRON)
    assert time.monotonic() - began < 30
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 10
    while is_alive(child):
        assert time.monotonic() < deadline


def is_alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
