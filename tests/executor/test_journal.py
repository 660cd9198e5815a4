"""The durable file of starts and exits."""

import json
import os

import pytest

from dagsched.spawner import journal

RUN = "job:j:2026-11-23T14:00:00Z"
HEAD = {"t": "H", "boot": "b", "rebooted": False, "cgroup": "/c", "next": 5}
START = {"t": "S", "run": RUN, "attempt": 1, "at": 1.5}
PROCESS = {"t": "P", "run": RUN, "attempt": 1, "pid": 7, "ticks": [1, 2]}
EXIT = {"t": "X", "seq": 9, "run": RUN, "attempt": 1, "status": 0, "output": "a=\udcff"}


def line_of(record):
    return journal.line_of(journal.body_of(record))


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "journal")


@pytest.fixture
def written(path):
    made = journal.Journal(path)
    made.rewrite(map(journal.body_of, [HEAD, START, PROCESS]))
    yield made
    made.close()


def test_start_without_exit_is_open_and_has_its_process(path, written):
    past = journal.read(path)
    assert (past.boot, past.cgroup, past.next_seq, past.problems) == ("b", "/c", 5, [])
    assert (past.open, past.processes, past.exits) == ({(RUN, 1): START}, {(RUN, 1): PROCESS}, {})


def test_exit_closes_its_start_and_numbers_go_on_after_it(path, written):
    written.append([journal.body_of(EXIT)])
    past = journal.read(path)
    assert (past.open, past.processes, past.exits, past.next_seq) == ({}, {}, {9: EXIT}, 10)


def test_no_file_tells_nothing(path):
    past = journal.read(path)
    assert (past.boot, past.open, past.exits, past.problems) == ("", {}, {}, [])


@pytest.mark.parametrize("cut", [1, 10, 60])
def test_line_without_its_end_is_left_out_without_a_word(path, written, cut):
    written.append([journal.body_of(EXIT)])
    os.truncate(path, os.path.getsize(path) - cut)
    past = journal.read(path)
    assert (past.exits, past.problems) == ({}, [])
    assert (RUN, 1) in past.open


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"nonsense", id="no record"),
        pytest.param(line_of(EXIT).strip().replace(b'"status":0', b'"status":1'), id="flipped"),
        pytest.param(b"\0" * 100, id="zeros after power loss"),
        pytest.param(line_of({"t": "S", "run": RUN}).strip(), id="lacks its attempt"),
        pytest.param(line_of({"t": "X", "run": RUN, "attempt": 1, "seq": "x"}).strip(), id="wrong type"),
    ],
)
def test_damaged_line_in_the_middle_is_reported_by_its_number_and_the_rest_read(path, written, line):
    with open(path, "ab") as file:
        file.write(line + b"\n" + line_of(EXIT))
    past = journal.read(path)
    assert past.exits == {9: EXIT}
    assert [problem.split(": ")[0] for problem in past.problems] == [f"{path}:4"]


def test_rewriting_leaves_one_private_file_with_only_what_was_given(path, written):
    written.append([journal.body_of(EXIT)])
    written.rewrite([journal.body_of(HEAD)])
    written.append([journal.body_of(START)])
    assert os.listdir(os.path.dirname(path)) == ["journal"]
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert journal.read(path).open == {(RUN, 1): START}
    assert written.bytes_written == os.path.getsize(path)


def test_append_that_fails_half_way_leaves_whole_lines(path, written, monkeypatch):
    with open(path, "rb") as file:
        before = file.read()
    real = os.write
    calls = iter([lambda fd, data: real(fd, data[:10]), _no_space])
    monkeypatch.setattr(os, "write", lambda fd, data: next(calls)(fd, data))
    with pytest.raises(OSError, match="No space"):
        written.append([journal.body_of(EXIT)])
    monkeypatch.undo()
    with open(path, "rb") as file:
        assert file.read() == before
    written.append([journal.body_of(EXIT)])
    assert journal.read(path).exits == {9: EXIT}


def _no_space(fd, data):
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("run", [RUN, 'job:a"b\\c\udcff\u20ac:2026-11-23T14:00:00Z'], ids=["plain", "odd"])
def test_records_put_together_say_what_they_were_given(run):
    name = journal.name_of((run, 2))
    who = {"run": run, "attempt": 2}
    assert json.loads(journal.start_body(name, 1795817791.1239)) == {"t": "S", **who, "at": 1795817791.123}
    assert json.loads(journal.process_body(name, 7, (1, 2))) == {"t": "P", **who, "pid": 7, "ticks": [1, 2]}


@pytest.mark.parametrize(
    ("status", "parts"),
    [
        pytest.param(0, {"output": "", "output_error": "", "log": "", "bytes": 0}, id="silent"),
        pytest.param(
            256, {"output": "a=\udcff", "output_error": "", "log": "logs/j/1.log", "bytes": 9}, id="with output"
        ),
        pytest.param(None, {"error": 'cannot enter "x"'}, id="never started"),
        pytest.param(None, {}, id="stopped before its start"),
    ],
)
def test_exit_put_together_says_what_it_was_given(status, parts):
    said = {"seq": 9, "pid": 7, "status": status, "cause": "cancel", "started": 0.0, "ended": 1.25, "leftovers": 1}
    body = journal.exit_body(journal.name_of((RUN, 1)), parts=parts, **said)
    assert json.loads(body) == {"t": "X", "run": RUN, "attempt": 1, **said, **parts}
