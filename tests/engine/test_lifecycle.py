"""The table of transitions, and the page that draws it."""

from itertools import product
from pathlib import Path
from typing import get_args

import pytest

from dagsched.engine.lifecycle import EVENTS, TRANSITIONS, Change, Impossible, Reopened, Started, step
from dagsched.model import LIVE, Run, RunState, utc
from tests.engine.draw_lifecycle import PAGE, drawn, page_with

NOW = utc(2026, 3, 2, 9)
CHANGES = get_args(Change)


def run_in(state: RunState) -> Run:
    return Run("a", NOW, state)


@pytest.mark.parametrize(
    ("state", "change"), list(product(RunState, CHANGES)), ids=lambda item: getattr(item, "__name__", None) or str(item)
)
def test_a_run_takes_the_steps_of_the_table_and_no_others(state, change):
    after = TRANSITIONS[state].get(change)
    if after is None:
        with pytest.raises(Impossible):
            step(run_in(state), change(NOW))
    else:
        assert step(run_in(state), change(NOW)).state is after


def test_every_state_has_its_row_in_the_table():
    assert set(TRANSITIONS) == set(RunState)


def test_every_change_has_its_name_in_the_event_log():
    assert set(EVENTS) == set(CHANGES)


def test_a_terminal_state_is_left_by_reopening_alone():
    for state in set(RunState) - LIVE:
        assert set(TRANSITIONS[state]) == {Reopened}


def test_every_live_state_leads_to_an_end():
    for state in LIVE:
        reached, frontier = set(), [state]
        while frontier:
            for after in TRANSITIONS[frontier.pop()].values():
                if after in LIVE and after not in reached:
                    reached.add(after)
                    frontier.append(after)
                elif after not in LIVE:
                    reached.add(after)
        assert reached - LIVE


def test_what_ran_is_never_skipped():
    for state in (RunState.RUNNING, RunState.RETRYING):
        assert RunState.SKIPPED not in TRANSITIONS[state].values()


def test_an_attempt_is_counted_when_it_is_about_to_start():
    assert step(run_in(RunState.QUEUED), Started(NOW)).attempts == 1


def test_the_lifecycle_page_is_drawn_from_the_table():
    text = Path(PAGE).read_text(encoding="utf-8")
    assert text == page_with(text, drawn()), "run: python -m tests.engine.draw_lifecycle"
