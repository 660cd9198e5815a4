"""The program's own log: lines for people, or JSON."""

from __future__ import annotations

import json
import logging
import subprocess
import sys

import pytest

from dagsched.logs import JsonLines
from tests.daemon.served import environment

SAY = """\
import logging
from dagsched.logs import set_up
set_up({form!r})
logging.getLogger("dagsched.x").warning("it is %s\\n", 5)
"""


@pytest.mark.parametrize(("form", "starts"), [("text", "dagsched: WARNING: it is 5"), ("json", '{"time": "')])
def test_a_warning_is_a_line_in_the_format_asked_for(form, starts):
    done = subprocess.run([sys.executable, "-c", SAY.format(form=form)], capture_output=True, text=True, check=True)
    assert done.stderr.startswith(starts)
    if form == "json":
        [line] = done.stderr.splitlines()
        said = json.loads(line)
        assert (said["level"], said["logger"], said["message"]) == ("warning", "dagsched.x", "it is 5\n")
        assert said["time"].endswith("Z")


def test_an_exception_stays_on_the_line():
    try:
        raise KeyError("x")
    except KeyError:
        record = logging.LogRecord("n", logging.ERROR, "f", 1, "broke", (), sys.exc_info())
    line = JsonLines().format(record)
    assert "\n" not in line
    assert "KeyError: 'x'" in json.loads(line)["exception"]


@pytest.mark.parametrize("words", [["--log-format", "json"], []])
def test_a_daemon_writes_json_when_asked(tmp_path, words):
    (tmp_path / "jobs.yaml").write_text("jobs: {a: {run: 'true'}}\n")
    environ = environment() | ({} if words else {"DAGSCHED_LOG_FORMAT": "json"})
    command = [sys.executable, "-m", "dagsched", "run", "--until-idle", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60, check=True)
    types = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert types == ["config.applied", "daemon.started", "daemon.stopped"]
