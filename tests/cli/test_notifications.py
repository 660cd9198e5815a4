"""`notifications`, `notify test`, and what `doctor` says of them."""

from __future__ import annotations

from contextlib import closing

import pytest

from dagsched.cli.doctor import told
from dagsched.stores.notices import Notices
from tests.cli.conftest import NOW

JOBS = """\
notifiers:
  script: {type: command, run: [sh, -c, "cat > got"]}
  broken: {type: command, run: [sh, -c, "echo no luck; exit 1"]}
jobs: {}
"""


@pytest.fixture
def queue(here):
    home = here / ".dagsched"
    home.mkdir(mode=0o700)
    with closing(Notices(home, write=True)) as notices:
        for number in range(3):
            notices.queue(f"m{number}", "ops", "failure", f"title {number}", {}, NOW)
        notices.failed(notices.waiting()[0], NOW, "status 404")
        notices.delivered(notices.waiting()[0], NOW)
    return home


def test_messages_are_listed_newest_first(call, queue):
    rows = call("notifications", "--json").rows
    assert [(row["id"], row["state"], row["tries"]) for row in rows] == [
        ("m2", "waiting", 0), ("m1", "delivered", 1), ("m0", "failed", 1),
    ]  # fmt: skip
    assert rows[2] == {
        "id": "m0", "notifier": "ops", "kind": "failure", "title": "title 0", "state": "failed",
        "created": "2026-11-23T14:30:00Z", "tries": 1, "next_try": None, "ended": "2026-11-23T14:30:00Z",
        "error": "status 404",
    }  # fmt: skip


def test_what_nobody_got_is_chosen(call, queue):
    assert [row["id"] for row in call("notifications", "--failed", "--json").rows] == ["m0"]
    assert [row["id"] for row in call("notifications", "--limit", "1", "--json").rows] == ["m2"]
    assert "status 404" in call("notifications").out


def test_where_nobody_was_told_there_is_nothing_to_list(call, home):
    assert call("notifications").out == ""


def test_the_doctor_tells_of_what_nobody_got(queue):
    [check] = told(queue)
    assert (check.level, check.detail) == ("warning", "1 not delivered")
    (queue / "notices.db").write_bytes(b"nonsense" * 1000)
    [check] = told(queue)
    assert check.level == "error"


def test_a_test_message_is_sent_at_once(call, here):
    (here / "jobs.yaml").write_text(JOBS)
    assert (call("notify", "test", "script").out, (here / "got").exists()) == ("script: delivered\n", True)
    result = call("notify", "test", "broken", "--json")
    assert (result.code, result.json["delivered"], result.json["error"]) == (1, False, "exit 1: no luck")


def test_a_notifier_that_is_not_declared_is_named_with_the_nearest(call, here):
    (here / "jobs.yaml").write_text(JOBS)
    result = call("notify", "test", "skript")
    assert result.code == 2
    assert "did you mean 'script'" in result.err


def test_status_tells_of_what_nobody_got(call, queue, no_daemon):
    status = call("status", "--json").json
    assert status["undelivered"] == 1
    assert "told      1 not delivered, see `dagsched notifications --failed`" in call("status").lines
