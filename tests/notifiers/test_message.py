"""Messages in words and as data."""

from __future__ import annotations

import json

import pytest

from dagsched.notifiers import Item, Message, message_of, test_message
from tests.notifiers.samples import FAILURE, LOAD, SOURCE


def told(kind: str, *items: Item, problems=()) -> Message:
    return message_of("msg_1", kind, "ops", "2026-11-23T14:00:17Z", SOURCE, items, problems)


def test_a_failure_names_the_run_the_cause_and_what_did_not_start():
    assert FAILURE.title == "load failed (exit 3); 47 after it did not start"
    assert FAILURE.text.splitlines() == [
        "job:load:2026-11-23T14:00:00Z: failed (exit 3)",
        "  attempt 3, from 2026-11-23T14:00:01Z to 2026-11-23T14:00:07Z",
        "  Loads the night",
        "  owner: data-team",
        "  did not start because of it: report, publish and 45 more",
        "  dagsched logs job:load:2026-11-23T14:00:00Z",
    ]


@pytest.mark.parametrize(
    ("kind", "items", "title"),
    [
        ("recovered", [LOAD._replace(affected=0)], "load works again"),
        ("late", [LOAD._replace(affected=0, reason="deadline 14:00")], "load is late (deadline 14:00)"),
        ("success", [LOAD._replace(affected=0), LOAD._replace(job="b", affected=0)], "2 runs succeeded: load, b"),
        ("failure", [LOAD, LOAD._replace(job="b")], "2 runs failed: load, b; 94 after them did not start"),
        ("failure", [LOAD._replace(state="cancelled", reason="", affected=1)],
         "load was cancelled; 1 after it did not start"),
    ],
)  # fmt: skip
def test_a_title_says_it_all_in_one_line(kind, items, title):
    assert told(kind, *items).title == title


def test_of_very_many_runs_the_first_are_told_and_the_rest_counted():
    message = told("failure", *(LOAD._replace(job=f"j{number}", affected=0) for number in range(50)))
    assert (len(message.items), message.more) == (20, 30)
    assert message.title == "50 runs failed: j0, j1, j2, …"
    assert message.text.endswith("\nand 30 more")


def test_words_of_jobs_stay_on_their_line_and_drive_no_terminal():
    message = told("failure", LOAD._replace(reason="x\r\nBcc: all@example.com\x1b[2J" + "y" * 1000))
    assert "\n" not in message.title
    assert len(message.title) == 150
    assert "\x1b" not in message.text
    assert "Bcc" in message.text.splitlines()[0]


def test_rejected_job_files_are_told_with_their_places():
    problem = {"file": "jobs.yaml", "line": 6, "column": 18, "code": "E201", "message": "unknown upstream job 'x'"}
    message = told("config_rejected", problems=[problem])
    assert message.title == "the job files cannot be used: 1 problem; the last good ones stay in force"
    assert message.text == "jobs.yaml:6:18: E201: unknown upstream job 'x'"


@pytest.mark.parametrize("message", [FAILURE, test_message("m", "ops", "2026-11-23T14:00:17Z", SOURCE)])
def test_a_message_comes_back_from_json_as_it_was(message):
    assert Message.from_json(json.loads(json.dumps(message.as_json()))) == message


def test_a_message_is_a_cloud_event():
    event = FAILURE.cloud_event()
    assert (event["specversion"], event["id"], event["source"]) == ("1.0", "msg_1", SOURCE)
    assert (event["type"], event["subject"]) == ("dev.dagsched.notification.failure", LOAD.run)
    assert event["data"]["items"][0]["affected"] == 47
