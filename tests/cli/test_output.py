"""What a person sees on a terminal, and what a pipe gets."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from dagsched.cli.output import complain, may_color, note, print_json, print_table, printable


class Terminal(io.StringIO):
    """A stream that a person looks at."""

    encoding = "utf-8"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch) -> Callable[[], Terminal]:
    """Put a terminal in the place of stdout and stderr; to be called in the test, after pytest did the same."""

    def begin() -> Terminal:
        screen = Terminal()
        monkeypatch.setattr(sys, "stdout", screen)
        monkeypatch.setattr(sys, "stderr", screen)
        return screen

    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return begin


ROWS = [["extract", "success"], ["load", "failed"]]


def test_a_pipe_gets_aligned_text(capsys):
    print_table(("job", "state"), ROWS)
    assert capsys.readouterr().out == "JOB      STATE\nextract  success\nload     failed\n"


def test_numbers_stand_right(capsys):
    print_table(("job", "n"), [["a", "5"], ["b", "10"]], right=("n",))
    assert capsys.readouterr().out == "JOB   N\na     5\nb    10\n"


def test_a_person_gets_states_in_colour(terminal):
    screen = terminal()
    print_table(("job", "state"), ROWS)
    assert "\x1b[32msuccess" in screen.getvalue()
    assert "\x1b[1;31mfailed" in screen.getvalue()


def test_no_color_is_obeyed(terminal, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    screen = terminal()
    print_table(("job", "state"), ROWS)
    complain("no")
    assert "success" in screen.getvalue()
    assert "31m" not in screen.getvalue()
    assert "32m" not in screen.getvalue()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [("NO_COLOR", "1", False), ("NO_COLOR", "", True), ("TERM", "dumb", False), ("TERM", "xterm", True)],
)
def test_colour_is_for_terminals_that_have_some(terminal, monkeypatch, name, value, expected):
    monkeypatch.setenv(name, value)
    terminal()
    assert may_color() is expected


def test_a_table_without_rows_is_nothing(capsys):
    print_table(("job", "state"), [])
    assert capsys.readouterr().out == ""


def test_remarks_are_for_people_alone(capsys):
    note("try this")
    assert capsys.readouterr().err == ""


def test_remarks_reach_a_person(terminal):
    screen = terminal()
    note("try this")
    assert screen.getvalue() == "try this\n"


def test_json_is_indented_for_a_person_and_one_line_for_a_pipe(capsys, terminal):
    print_json({"a": [1], "b": "é"})
    assert capsys.readouterr().out == '{"a": [1], "b": "é"}\n'
    screen = terminal()
    print_json({"a": 1})
    assert screen.getvalue() == '{\n  "a": 1\n}\n'


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 完", "plain é 完"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc", "a\\nb\\tc"),
        ("\u202ereversed", "\\u202ereversed"),
    ],
)
def test_words_of_jobs_cannot_drive_the_terminal(text, shown):
    assert printable(text) == shown
