"""`events`: the log in pages, as rows or lines, and following it."""

from __future__ import annotations

import asyncio

import pytest

from dagsched.cli import events
from dagsched.stores import MemoryState, MemoryStore
from dagsched.stores.contract import Batch
from tests.cli.ledger import EVENTS

pytestmark = pytest.mark.usefixtures("home")


KEYS = ["seq", "time", "type", "job", "run", "attempt", "from", "to", "reason"]


def test_json_rows_have_exactly_the_promised_keys(call):
    rows = call("events", "--json").rows
    assert [list(row) for row in rows] == [KEYS] * 7
    assert rows[2] == {
        "seq": 3,
        "time": "2026-11-23T01:00:01Z",
        "type": "run.retrying",
        "job": "extract",
        "run": "job:extract:2026-11-23T01:00:00Z",
        "attempt": 1,
        "from": "running",
        "to": "retrying",
        "reason": "exit 7",
    }
    assert (rows[6]["run"], rows[6]["attempt"], rows[6]["from"]) == (None, None, None)


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        (["--since", "5"], [6, 7]),
        (["--since", "7"], []),
        (["--job", "load"], [6]),
        ([], [1, 2, 3, 4, 5, 6, 7]),
    ],
)
def test_events_are_chosen_by_number_and_job(call, words, numbers):
    assert [row["seq"] for row in call("events", "--json", *words).rows] == numbers


def test_a_line_says_when_what_happened_to_which_attempt_and_why(call):
    line = "     3  2026-11-23T01:00:01Z  run.retrying      extract 2026-11-23T01:00:00Z attempt 1  "
    assert call("events").lines[2] == line + "running → retrying  exit 7"


def test_a_long_log_is_read_in_pages(call, monkeypatch):
    monkeypatch.setattr(events, "PAGE", 3)
    assert [row["seq"] for row in call("events", "--json").rows] == [1, 2, 3, 4, 5, 6, 7]


def test_following_waits_for_what_comes():
    async def follow() -> list[int]:
        state = MemoryState()
        writer, reader = MemoryStore(state), MemoryStore(state)
        await writer.open(write=True)
        await writer.acquire("a test")
        await reader.open(write=False)
        coming = [EVENTS[:2], EVENTS[2:3], EVENTS[3:6]]

        async def wait(_: float) -> None:
            await writer.commit(Batch(events=coming.pop(0)))

        seen: list[int] = []
        async for page in events.pages(reader, 1, follow=True, wait=wait):
            seen += [event.seq for event in page]
            if not coming:
                break
        return seen

    assert asyncio.run(follow()) == [2, 3, 4, 5, 6]


def test_cloud_events_are_one_envelope_per_line(call):
    rows = call("events", "--format", "cloudevents", "--since", "2").rows
    assert [row["data"]["seq"] for row in rows] == [3, 4, 5, 6, 7]
    assert (rows[0]["type"], rows[0]["subject"]) == ("dev.dagsched.run.retrying", "job:extract:2026-11-23T01:00:00Z")
    assert rows[0]["source"].endswith("/a%20folder/.dagsched")


def test_formats_of_rows_are_the_option_of_old_too(call):
    assert call("events", "--format", "json").out == call("events", "--json").out
