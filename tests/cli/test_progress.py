"""What people see of runs that go by."""

from __future__ import annotations

import io
import json
from datetime import timedelta

import pytest
from rich.console import Console

from dagsched.cli.progress import Lines, Live, line_of, print_closing_table, summary
from dagsched.model import Config, Dependency, EventRow, Job, utc

from .test_board import TICK, happened

CONFIG = Config(
    {
        "extract": Job("extract", run="x"),
        "load": Job("load", run="x", depends_on=(Dependency("extract"),)),
    }
)
LATER = TICK + timedelta(seconds=90)


@pytest.mark.parametrize(
    ("event", "line"),
    [
        pytest.param(
            EventRow(1, TICK, "run.started", "load", TICK, 2, "queued", "running"),
            "2026-11-23T14:00:00.007Z  load 2026-11-23T14:00:00.007Z  started attempt 2",
            id="start",
        ),
        pytest.param(
            EventRow(1, TICK, "run.finished", "load", TICK, 2, "running", "failed", "exit 3"),
            "2026-11-23T14:00:00.007Z  load 2026-11-23T14:00:00.007Z  finished: failed  exit 3",
            id="end",
        ),
        pytest.param(
            EventRow(1, TICK, "run.queued", "load", TICK, None, "waiting", "queued"),
            "2026-11-23T14:00:00.007Z  load 2026-11-23T14:00:00.007Z  queued",
            id="event named like its state",
        ),
        pytest.param(
            EventRow(1, TICK, "run.succeeded", "load", TICK, 1, "running", "success"),
            "2026-11-23T14:00:00.007Z  load 2026-11-23T14:00:00.007Z  succeeded",
            id="event that tells its state",
        ),
        pytest.param(
            EventRow(1, TICK, "config.applied", reason="2 jobs added"),
            "2026-11-23T14:00:00.007Z  config applied  2 jobs added",
            id="about no run",
        ),
        pytest.param(
            EventRow(1, TICK, "run.finished", "load", TICK, 1, "running", "failed", "said \x1b[2J"),
            "2026-11-23T14:00:00.007Z  load 2026-11-23T14:00:00.007Z  finished: failed  said \\x1b[2J",
            id="cannot drive the terminal",
        ),
    ],
)
def test_an_event_is_one_readable_line(event, line):
    assert line_of(event) == line


def test_a_line_for_a_terminal_has_the_state_in_colour():
    event = EventRow(1, TICK, "run.finished", "load", TICK, 1, "running", "success")
    assert "\x1b[32mfinished: success\x1b[0m" in line_of(event, color=True)


def test_lines_are_printed_as_they_come_and_kept_on_the_board(capsys):
    with Lines() as view:
        happened(view, ("extract", "running"))
        assert capsys.readouterr().out.endswith("extract 2026-11-23T14:00:00.007Z  running attempt 1\n")
    assert [line.job for line in view.board] == ["extract"]


def test_a_daemon_s_lines_remember_no_run(capsys):
    with Lines(keeps_board=False) as view:
        happened(view, ("extract", "running"), ("extract", "success"))
    assert len(capsys.readouterr().out.splitlines()) == 2
    assert list(view.board) == []


def test_lines_as_json_are_event_rows(capsys):
    with Lines(as_json=True) as view:
        happened(view, ("extract", "queued"), ("extract", "running"))
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["seq"], row["to"]) for row in rows] == [(1, "queued"), (2, "running")]


def drawn(*events: tuple[str, str], height: int = 40, config: Config = CONFIG) -> list[str]:
    """Return what the live table shows after these events, seen at LATER."""
    screen = io.StringIO()
    console = Console(file=screen, width=100, height=height, force_terminal=False)
    view = Live(lambda: LATER, console)
    view.on_config(config)
    happened(view, *events)
    console.print(view.table())
    return [line.rstrip() for line in screen.getvalue().splitlines()]


def test_the_live_table_says_what_runs_how_long_and_who_waits_for_what():
    assert drawn(("extract", "running"), ("load", "waiting")) == [
        "extract               running  1m 30s",
        "load                  waiting          for extract",
        "1 waiting, 1 running",
    ]


def test_time_stands_still_for_what_has_ended():
    assert drawn(("extract", "running"), ("extract", "success"))[0].split() == ["extract", "success", "1.0s"]


def test_a_small_screen_shows_what_is_under_way_and_what_went_wrong_first():
    lines = drawn(("a", "success"), ("b", "waiting"), ("c", "running"), ("d", "failed"), ("e", "success"), height=4)
    assert [line.split()[0] for line in lines[:-1]] == ["c", "d"]
    assert lines[-1] == "1 waiting, 1 running, 2 success, 1 failed"


def test_the_live_table_is_taken_away_at_the_end():
    screen = io.StringIO()
    console = Console(file=screen, width=60, height=20, force_terminal=True, legacy_windows=False)
    with Live(lambda: utc(2026, 11, 23, 15), console) as view:
        happened(view, ("extract", "running"))
    assert "extract" in screen.getvalue()
    assert screen.getvalue().endswith("\x1b[2K") or "\x1b[1A" in screen.getvalue()


def test_the_closing_table_says_how_each_run_ended(capsys):
    board = happened(Lines().board, ("extract", "running"), ("extract", "success"), ("load", "skipped"))
    print_closing_table(board, LATER)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["JOB", "STATE", "TRIES", "TOOK", "REASON"],
        ["extract", "success", "1", "1.0s"],
        ["load", "skipped", "1"],
        ["1", "success,", "1", "skipped"],
    ]


def test_a_summary_of_nothing_says_so():
    assert summary(Lines().board) == "nothing yet"
