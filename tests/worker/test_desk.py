"""The attempts that a worker has, compared with what the state and the spawner say."""

from __future__ import annotations

import pytest

from dagsched.clock import SystemClock
from dagsched.declaration import Job
from dagsched.executor import Inventory
from dagsched.executor.reports import Living
from dagsched.model import Exit, Outcome, Run, RunState, run_name
from dagsched.stores.postgres_crew import Taken
from dagsched.worker.desk import Desk
from tests.stores.make import at


class Hand:
    """An executor that only writes down what is asked of it; `waiting`: it may not start anything now."""

    def __init__(self):
        self.started, self.stopped, self.acknowledged, self.waiting = [], [], [], False

    def start(self, launches):
        self.started += launches

    def drop_starts(self):
        dropped, self.started = self.started, []
        return dropped

    def stop(self, run, attempt, cause, grace_s):
        self.stopped.append((run, attempt, cause))

    def acknowledge(self, seq):
        self.acknowledged.append(seq)

    def hide(self, names):
        self.hidden = names

    def settled(self):
        pass


@pytest.fixture
def hand():
    return Hand()


@pytest.fixture
def desk(hand):
    return Desk(hand, SystemClock(), lambda: None)


def taken(id="a", fence=7, stopping="", **job):
    run = Run(id, at(), RunState.RUNNING, attempts=1)
    return Taken(run, Job(id=id, run="true", queue="etl", **job), fence, stopping, {}, frozenset({"SECRET"}))


def key(id="a"):
    return run_name(id, at()), 1


def outcomes(desk):
    return {each.taken.job.id: each.exit.outcome for each in desk.over()}


def test_what_is_taken_is_started_once_and_is_told_its_fence(desk, hand):
    desk.begin(taken())
    desk.begin(taken())
    (launch,) = hand.started
    assert (launch.run, launch.attempt, launch.env["DAGSCHED_FENCE"]) == (*key(), "7")
    assert hand.hidden == {"SECRET"}


def test_what_was_stopped_before_it_came_never_starts(desk, hand):
    desk.begin(taken(stopping="cancel"))
    assert (hand.started, outcomes(desk)) == ([], {"a": Outcome.CANCELLED})


def test_what_lacks_its_secret_ends_without_a_start(desk, hand):
    desk.begin(taken(secrets={"X": "env:SURELY_NOT_THERE"}))
    assert (hand.started, outcomes(desk)) == ([], {"a": Outcome.SPAWN_ERROR})


def test_what_the_state_does_not_say_is_ours_any_more_is_ended(desk, hand):
    for id in "abc":
        desk.begin(taken(id))
    desk.compare([taken("a"), taken("b", fence=8), taken("c", stopping="cancel")], list(desk.mine), adopts=False)
    assert hand.stopped == [(*key("b"), "lease"), (*key("c"), "cancel")]
    desk.compare([], [key("a")], adopts=False)
    assert hand.stopped[2:] == [(*key("a"), "lease")]


def test_what_was_taken_while_the_state_was_asked_is_left_alone(desk, hand):
    known = list(desk.mine)
    desk.begin(taken())
    desk.compare([], known, adopts=False)
    assert hand.stopped == []


def test_only_what_cannot_be_over_and_reported_since_is_adopted(desk, hand):
    desk.compare([taken()], [], adopts=False)
    assert hand.started == []
    desk.compare([taken()], [], adopts=True)
    assert len(hand.started) == 1


def test_what_could_not_start_in_time_is_lost(desk, hand):
    desk.begin(taken())
    desk.lose_unstarted()
    assert (hand.started, outcomes(desk)) == ([], {"a": Outcome.LOST})


def test_a_new_spawner_says_what_lives_what_is_lost_and_what_it_never_heard_of(desk, hand):
    for id in ("lives", "ended", "lost", "unheard", "given_up"):
        desk.begin(taken(id))
    desk.compare([taken(id) for id in ("lives", "ended", "lost", "unheard")], list(desk.mine), adopts=False)
    hand.started.clear()
    hand.stopped.clear()
    ended = Exit(*key("ended"), Outcome.SUCCESS, at(1), seq=3)
    recorded = frozenset({key("lives"), key("ended"), key("lost")})
    living = (Living(*key("lives"), 42), Living(*key("nobody's"), 43))
    desk.settle(Inventory(living, (ended,), recorded))
    assert [launch.run for launch in hand.started] == [key("unheard")[0]]
    assert outcomes(desk) == {"ended": Outcome.SUCCESS, "lost": Outcome.LOST, "given_up": Outcome.LOST}
    assert hand.stopped == [(*key("nobody's"), "lease")]


def test_an_end_that_is_not_ours_is_forgotten_at_once(desk, hand):
    desk.end(Exit(*key("other"), Outcome.SUCCESS, at(1), seq=9))
    assert hand.acknowledged == [9]


@pytest.mark.parametrize(
    ("cause", "words"),
    [("lease", "could not reach the state"), ("stop", "its worker was stopped"), ("timeout", "too long")],
)
def test_ends_of_our_own_making_are_told_in_our_words(desk, cause, words):
    desk.begin(taken())
    desk.end(Exit(*key(), Outcome.LOST, at(1), cause=cause, reason="too long"))
    (each,) = desk.over()
    assert words in each.exit.reason
