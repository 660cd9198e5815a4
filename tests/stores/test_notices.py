"""The queue of notices: durable, bounded, and readable beside its writer."""

from __future__ import annotations

import re
import sqlite3
import stat
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from dagsched.errors import StoreCorrupt, StoreMissing
from dagsched.model import EventRow, utc
from dagsched.stores import notices as module
from dagsched.stores.codec import ms_of
from dagsched.stores.notices import Group, Notices
from dagsched.stores.queries import migrations

NOW = utc(2026, 11, 23, 14)
SECOND = timedelta(seconds=1)
ROW = EventRow(7, NOW, "run.failed", "load", NOW, 2, "running", "failed", "exit 3", {"a": [1]})


@pytest.fixture
def notices(tmp_path):
    with closing(Notices(tmp_path, write=True)) as opened:
        yield opened


def again(notices: Notices) -> Notices:
    notices.close()
    return Notices(notices.path.parent, write=True)


def test_what_was_written_is_there_after_a_restart_and_for_its_owner_alone(notices):
    with notices.transaction():
        notices.gather("ops", "failure", ROW, NOW + SECOND)
        notices.move("notices", 7)
    assert stat.S_IMODE(notices.path.stat().st_mode) == 0o600
    with closing(again(notices)) as opened:
        assert opened.cursor("notices") == 7
        assert opened.groups() == [Group("ops", "failure", NOW + SECOND)]
        [row] = opened.news("ops", "failure")
        assert row == ROW._replace(type="failure", from_state="")


def test_a_transaction_that_fails_leaves_nothing(notices):
    with suppress(KeyError), notices.transaction():
        notices.gather("ops", "failure", ROW, NOW)
        notices.move("notices", 7)
        raise KeyError
    assert (notices.cursor("notices"), notices.groups()) == (None, [])


def test_a_group_is_due_when_its_first_news_said(notices):
    notices.gather("ops", "failure", ROW, NOW + SECOND)
    notices.gather("ops", "failure", ROW._replace(seq=8), NOW + 60 * SECOND)
    assert notices.groups() == [Group("ops", "failure", NOW + SECOND)]
    assert notices.is_gathered("ops", "failure", "load")
    notices.drop("ops", "failure", 7)
    assert [row.seq for row in notices.news("ops", "failure")] == [8]


def test_news_and_messages_of_one_id_are_kept_once(notices):
    notices.gather("ops", "failure", ROW, NOW)
    notices.gather("ops", "failure", ROW._replace(reason="other"), NOW)
    notices.queue("m1", "ops", "failure", "t", {"x": 1}, NOW)
    notices.queue("m1", "ops", "failure", "t", {"x": 2}, NOW)
    assert [row.reason for row in notices.news("ops", "failure")] == ["exit 3"]
    assert [each.body for each in notices.waiting()] == [{"x": 1}]


def test_messages_of_one_notifier_are_delivered_in_order(notices):
    for id, notifier in (("m1", "ops"), ("m2", "ops"), ("m3", "mail")):
        notices.queue(id, notifier, "failure", "t", {}, NOW)
    assert [each.id for each in notices.waiting()] == ["m1", "m3"]
    notices.postponed(notices.waiting()[0], NOW + SECOND, "no answer")
    first = notices.waiting()[0]
    assert (first.id, first.tries, first.next_try) == ("m1", 1, NOW + SECOND)
    notices.delivered(notices.waiting()[0], NOW)
    assert [each.id for each in notices.waiting()] == ["m2", "m3"]
    notices.failed(notices.waiting()[0], NOW, "status 404")
    told = {each.id: (each.state, each.tries, each.error) for each in notices.messages()}
    assert told == {"m1": ("delivered", 2, ""), "m2": ("failed", 1, "status 404"), "m3": ("waiting", 0, "")}
    assert notices.counts() == {"delivered": 1, "failed": 1, "waiting": 1}
    assert [each.id for each in notices.messages(failed=True)] == ["m2"]


def test_a_full_queue_drops_what_comes_and_says_so(notices, monkeypatch):
    monkeypatch.setattr(module, "WAITING_MAX", 2)
    for number in range(4):
        notices.queue(f"m{number}", "ops", "failure", "t", {}, NOW)
    notices.queue("other", "mail", "failure", "t", {}, NOW)
    assert notices.counts() == {"waiting": 3, "dropped": 2}
    assert [(each.id, each.error) for each in notices.messages(failed=True)] == [
        ("m3", "2 messages wait already"),
        ("m2", "2 messages wait already"),
    ]


def test_old_messages_are_forgotten_and_waiting_ones_never(notices, monkeypatch):
    monkeypatch.setattr(module, "DELIVERED_KEPT", 2)
    for number in range(5):
        notices.queue(f"m{number}", "ops", "failure", "t", {}, NOW)
    for _ in range(4):
        notices.delivered(notices.waiting()[0], NOW)
    assert [(each.id, each.state) for each in notices.messages()] == [
        ("m4", "waiting"), ("m3", "delivered"), ("m2", "delivered"),
    ]  # fmt: skip


def test_what_a_notifier_knows(notices, monkeypatch):
    monkeypatch.setattr(module, "TOLD_KEPT", 2)
    for number in range(3):
        notices.tell("ops", "load", NOW + number * SECOND, number)
    assert [notices.was_told("ops", "load", NOW + number * SECOND) for number in range(3)] == [False, True, True]
    notices.spare("ops", "late", "load")
    assert notices.last_told("ops", "late", "load") is None
    notices.troubled("ops", "late", "load", NOW)
    assert [notices.is_troubled(*each, "load") for each in (("ops", "late"), ("ops", "failure"), ("mail", "late"))] == [
        True, False, False,
    ]  # fmt: skip
    notices.spare("ops", "late", "load")
    notices.spare("ops", "late", "load")
    assert notices.last_told("ops", "late", "load") == (NOW, 2)
    notices.troubled("ops", "late", "load", NOW + SECOND)
    assert notices.last_told("ops", "late", "load") == (NOW + SECOND, 0)
    notices.mended("ops", "late", "load")
    assert not notices.is_troubled("ops", "late", "load")


def test_a_reader_sees_what_is_committed_and_makes_nothing(notices, tmp_path):
    notices.queue("m1", "ops", "failure", "t", {}, NOW)
    with closing(Notices(tmp_path, write=False)) as reader:
        assert reader.counts() == {"waiting": 1}
    with pytest.raises(StoreMissing):
        Notices(tmp_path / "elsewhere", write=False)


def test_a_damaged_file_is_refused_in_our_words(tmp_path):
    (tmp_path / "notices.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreCorrupt, match=r"notices\.db"):
        Notices(tmp_path, write=True)


def test_what_an_earlier_version_told_of_failing_jobs_is_known_after_an_upgrade(tmp_path):
    with closing(sqlite3.connect(tmp_path / module.FILE, isolation_level=None)) as old:
        for script in migrations("notices")[:2]:
            old.executescript(script)
        old.execute("INSERT INTO broken (notifier, job, told, spared) VALUES ('ops', 'load', ?, 3)", (ms_of(NOW),))
    with closing(Notices(tmp_path, write=True)) as notices:
        assert notices.last_told("ops", "failure", "load") == (NOW, 3)
        assert not notices.is_troubled("ops", "late", "load")


def test_no_query_numbers_its_placeholders():
    # Python 3.14 refuses them for a sequence; `:name` and a mapping say the same.
    folder = Path(module.__file__).parent / "sql"
    assert [file.name for file in folder.rglob("*.sql") if re.search(r"\?\d", file.read_text())] == []
