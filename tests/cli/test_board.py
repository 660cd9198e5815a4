"""The board learns from events alone what became of every run."""

from __future__ import annotations

from datetime import timedelta

import pytest

from dagsched.cli.board import Board
from dagsched.model import Config, Dependency, EventRow, Job, RunState, utc

TICK = utc(2026, 11, 23, 14, ms=7)


def happened(board: Board, *events: tuple[str, str], start: int = 0) -> Board:
    """Tell the board that these jobs came into these states, one second after the other."""
    board.on_events(
        [
            EventRow(number + 1, TICK + timedelta(seconds=number), f"run.{state}", job, TICK, 1, to_state=state)
            for number, (job, state) in enumerate(events, start)
        ]
    )
    return board


def states(board: Board) -> dict[str, str]:
    return {line.job: str(line.state) for line in board}


def test_a_run_is_in_the_state_of_its_last_event():
    board = happened(Board(), ("a", "waiting"), ("b", "queued"), ("a", "queued"), ("a", "running"))
    assert states(board) == {"a": "running", "b": "queued"}


def test_a_run_has_taken_time_since_its_first_start():
    board = happened(Board(), ("a", "running"), ("a", "retrying"), ("a", "running"), ("a", "success"))
    [line] = board
    assert (line.started, line.since) == (TICK, TICK + timedelta(seconds=3))


def test_events_about_no_run_are_passed_over():
    board = Board()
    board.on_events([EventRow(1, TICK, "config.applied"), EventRow(2, TICK, "job.paused", "a")])
    assert list(board) == []


def test_a_waiting_run_waits_for_upstreams_that_are_under_way():
    jobs = {
        "a": Job("a", run="x"),
        "b": Job("b", run="x"),
        "c": Job("c", run="x", depends_on=(Dependency("a"), Dependency("b"))),
    }
    board = Board()
    board.on_config(Config(jobs))
    happened(board, ("a", "success"), ("b", "running"), ("c", "waiting"))
    assert [board.waits_for(line) for line in board] == [[], [], ["b"]]


def test_counts_come_in_the_order_of_the_states():
    board = happened(Board(), ("a", "failed"), ("b", "success"), ("c", "waiting"), ("d", "success"))
    assert list(board.counts().items()) == [
        (RunState.WAITING, 1),
        (RunState.SUCCESS, 2),
        (RunState.FAILED, 1),
    ]


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("success", 0), ("skipped", 0), ("failed", 1), ("upstream_failed", 1), ("cancelled", 1), ("missed", 1),
        ("running", 1), ("waiting", 1),
    ],
)  # fmt: skip
def test_only_success_and_skipped_exit_0(last, code):
    assert happened(Board(), ("a", "success"), ("b", last)).exit_code() == code


def test_nothing_to_do_is_no_failure():
    assert Board().exit_code() == 0
