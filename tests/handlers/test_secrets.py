"""Where secrets are looked up, and what is said when one is not there: never a value."""

from __future__ import annotations

import os

import pytest

from dagsched.errors import HandlerError
from dagsched.handlers.http import filled
from dagsched.handlers.launch import launch
from dagsched.handlers.secrets import exposed_files, hidden_variables, resolved
from dagsched.model import Config, Job, Run, RunState, utc


def test_values_come_from_the_environment_files_and_credentials(tmp_path, monkeypatch):
    (tmp_path / "token").write_text("from a file\n\n")
    monkeypatch.setenv("PROD_PW", "from the environment")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "api-key").write_text("from systemd")
    references = {"A": "env:PROD_PW", "B": f"file:{tmp_path}/token", "C": "credential:api-key"}
    assert resolved(references) == {"A": "from the environment", "B": "from a file\n", "C": "from systemd"}


@pytest.mark.parametrize(
    ("reference", "content", "words"),
    [
        ("env:NOWHERE", None, "secret X: env:NOWHERE: the scheduler's environment has no such variable"),
        ("file:{dir}/none", None, "secret X: file:{dir}/none cannot be read: No such file or directory"),
        ("file:{dir}", None, "is no regular file|Is a directory"),
        ("file:{dir}/x", b"abc\n", "has fewer than 4 characters: it could not be masked"),
        ("file:{dir}/x", b"", "is empty"),
        ("file:{dir}/x", b"\xff\xfe\xfd\xfc", "is not UTF-8 text"),
        ("file:{dir}/x", b"hunter2\0", "holds a NUL"),
        ("file:{dir}/x", b"x" * 70_000, "is longer than 65,536 bytes"),
        ("credential:x", None, "systemd has given the scheduler no credentials"),
    ],
)
def test_what_gives_no_value_is_named_and_no_value_is(tmp_path, monkeypatch, reference, content, words):
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(HandlerError, match=words.replace("{dir}", str(tmp_path))) as caught:
        resolved({"X": reference.replace("{dir}", str(tmp_path))})
    assert "hunter2" not in str(caught.value)


def test_a_pipe_is_no_secret_and_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(HandlerError, match="no regular file"):
        resolved({"X": f"file:{tmp_path}/pipe"})


def test_variables_that_are_secrets_are_hidden_but_those_nobody_can_do_without():
    jobs = [Job("a", secrets={"A": "env:PROD_PW", "B": "file:/x", "C": "env:PATH"}), Job("b")]
    headers = {"X": {"env": "KEY"}, "Y": "env"}
    ops = {"type": "webhook", "url": {"env": "OPS_URL"}, "secret": {"file": "x"}, "headers": headers}
    config = Config({job.id: job for job in jobs}, notifiers={"ops": {**ops, "folder": "/srv"}})
    assert hidden_variables(config) == {"PROD_PW", "OPS_URL", "KEY"}


def test_files_that_everybody_may_read_are_named(tmp_path):
    for name, mode in (("open", 0o644), ("closed", 0o600)):
        (tmp_path / name).write_text("value")
        (tmp_path / name).chmod(mode)
    references = {name: f"file:{tmp_path}/{name}" for name in ("open", "closed", "none")}
    mail = {"smtp": {"host": "h", "password": {"file": "relative"}}, "folder": str(tmp_path)}
    (tmp_path / "relative").write_text("value")
    config = Config({"a": Job("a", secrets=references)}, notifiers={"mail": mail})
    assert list(exposed_files(config)) == [f"{tmp_path}/open", f"{tmp_path}/relative"]


def test_a_handlers_context_has_the_names_of_secrets_and_no_value_and_is_never_forked():
    job = Job("a", handler="python", with_={"function": "m:f", "reuse": True}, secrets={"PW": "env:PROD_PW"})
    order = launch(job, Run("a", utc(2026, 1, 1), RunState.RUNNING), 1, env={}, secrets={"PW": "hunter2"})
    assert (order.env["PW"], order.secrets, order.fork) == ("hunter2", ("PW",), None)
    assert order.stdin is not None
    assert '"secrets": ["PW"]' in order.stdin
    assert "hunter2" not in order.stdin
    assert "hunter2" not in repr(order)


def test_http_settings_refer_to_secrets():
    asked = {
        "url": {"secret": "HOOK"},
        "headers": {"Authorization": {"secret": "TOKEN", "prefix": "Bearer "}, "Accept": "x"},
        "params": {"key": {"secret": "TOKEN"}},
        "json": {"a": [{"secret": "TOKEN"}], "secret": "as it is", "b": {"secret": "not one"}},
    }
    assert filled(asked, {"HOOK": "https://x/y", "TOKEN": "hunter2"}) == {
        "url": "https://x/y",
        "headers": {"Authorization": "Bearer hunter2", "Accept": "x"},
        "params": {"key": "hunter2"},
        "json": {"a": ["hunter2"], "secret": "as it is", "b": {"secret": "not one"}},
    }
    with pytest.raises(HandlerError, match="no secret 'HOOK'"):
        filled(asked, {})
