"""A run's life: one table of transitions, and `step`, the only way to take one.

    waiting ──▶ queued ──▶ running ⇄ retrying ──▶ success failed skipped upstream_failed missed cancelled

A run is *waiting* for its upstreams, *queued* for a slot, its pool or its turn, *running* while an attempt is
under way and *retrying* while it waits for the next one. The other six states are terminal; only a person's
`rerun` or `backfill` leads out of them. `docs/lifecycle.md` draws its picture from TRANSITIONS.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from dagsched.model import EMPTY, Link, Origin, Run, RunState

W, Q, R, Y = RunState.WAITING, RunState.QUEUED, RunState.RUNNING, RunState.RETRYING


class Joined(NamedTuple):
    """Its trigger rule holds."""

    at: datetime
    reason: str = ""


class Unjoined(NamedTuple):
    """An upstream run it had been joined with was re-opened before it started."""

    at: datetime
    reason: str = ""


class Blocked(NamedTuple):
    """Its trigger rule can no longer hold because of a bad upstream."""

    at: datetime
    reason: str = ""


class LeftOut(NamedTuple):
    """It will not run; the reason says why.

    `stand_in`: the tick of the same job whose run stands in for it, None without one.
    """

    at: datetime
    reason: str = ""
    stand_in: datetime | None = None


class Started(NamedTuple):
    """An attempt is about to start.

    `definition`: hash of the job as it is now; `config`: number of the configuration.
    """

    at: datetime
    reason: str = ""
    definition: str = ""
    config: int = 0


class Succeeded(NamedTuple):
    """Its attempt ended by itself with exit 0."""

    at: datetime
    reason: str = ""
    outputs: Mapping[str, str] = EMPTY


class Retried(NamedTuple):
    """Its attempt did not succeed and another one follows.

    `not_before`: the instant at which its backoff ends.
    """

    at: datetime
    reason: str = ""
    not_before: datetime | None = None
    exit_code: int | None = None


class Failed(NamedTuple):
    """Its last attempt did not succeed and nobody will retry it."""

    at: datetime
    reason: str = ""
    exit_code: int | None = None


class Cancelled(NamedTuple):
    """A person, an edit or its own overlap policy ended it."""

    at: datetime
    reason: str = ""
    stand_in: datetime | None = None
    exit_code: int | None = None


class Reopened(NamedTuple):
    """A person asked for it again.

    `grant`: how many attempts more it may have; `links`: what it is judged against, None leaves that as it was;
    `origin`: what makes its tick from now on, None leaves that, too.
    """

    at: datetime
    reason: str = ""
    grant: int = 1
    links: tuple[Link, ...] | None = None
    origin: Origin | None = None


Change = Joined | Unjoined | Blocked | LeftOut | Started | Succeeded | Retried | Failed | Cancelled | Reopened
"""Something that happened to a run at the instant `at`."""

EVENTS: Mapping[type[Change], str] = {
    Joined: "run.queued",
    Unjoined: "run.waiting",
    Blocked: "run.upstream_failed",
    LeftOut: "run.skipped",
    Started: "run.started",
    Succeeded: "run.succeeded",
    Retried: "run.retrying",
    Failed: "run.failed",
    Cancelled: "run.cancelled",
    Reopened: "run.reopened",
}
"""What each change is called in the event log."""

TRANSITIONS: Mapping[RunState, Mapping[type[Change], RunState]] = {
    W: {Joined: Q, Blocked: RunState.UPSTREAM_FAILED, LeftOut: RunState.SKIPPED, Cancelled: RunState.CANCELLED},
    Q: {Started: R, Unjoined: W, LeftOut: RunState.SKIPPED, Cancelled: RunState.CANCELLED},
    R: {
        Succeeded: RunState.SUCCESS,
        Retried: Y,
        Failed: RunState.FAILED,
        Cancelled: RunState.CANCELLED,
    },
    Y: {Started: R, Failed: RunState.FAILED, Cancelled: RunState.CANCELLED},
    **{
        terminal: {Reopened: W}
        for terminal in (
            RunState.SUCCESS,
            RunState.FAILED,
            RunState.SKIPPED,
            RunState.UPSTREAM_FAILED,
            RunState.MISSED,
            RunState.CANCELLED,
        )
    },
}


class Impossible(AssertionError):
    """A transition that the table does not have: a defect of the engine, never of a user."""


def step(run: Run, change: Change) -> Run:
    """Return the run after `change`; raises Impossible when its state has no such transition."""
    state = TRANSITIONS[run.state].get(type(change))
    if state is None:
        raise Impossible(f"{run.name} is {run.state} and cannot become {type(change).__name__}")
    # As `_replace` does it, which looks for each of the fields among those to be changed.
    fields = list(run)
    fields[_PLACES["state"]], fields[_PLACES["reason"]] = state, change.reason
    for name, value in _FIELDS[type(change)](run, change).items():
        fields[_PLACES[name]] = value
    return Run._make(fields)


_PLACES = {name: place for place, name in enumerate(Run._fields)}


def _joined(run: Run, change: Any) -> dict[str, Any]:
    return {"ready": change.at}


def _unjoined(run: Run, change: Any) -> dict[str, Any]:
    return {"ready": None}


def _ended(run: Run, change: Any) -> dict[str, Any]:
    return {"ended": change.at}


def _left_out(run: Run, change: Any) -> dict[str, Any]:
    return {"ended": change.at, "stand_in": change.stand_in}


def _started(run: Run, change: Any) -> dict[str, Any]:
    # Counted before the process exists: a crash in between must still use up the number.
    return {
        "attempts": run.attempts + 1,
        "started": change.at,
        "ended": None,
        "not_before": None,
        "exit_code": None,
        "definition": change.definition,
        "config": change.config,
    }


def _succeeded(run: Run, change: Any) -> dict[str, Any]:
    return {"ended": change.at, "exit_code": 0, "outputs": change.outputs, "stopping": "", "stand_in": None}


def _retried(run: Run, change: Any) -> dict[str, Any]:
    return {"not_before": change.not_before, "exit_code": change.exit_code, "stopping": "", "stand_in": None}


def _failed(run: Run, change: Any) -> dict[str, Any]:
    return {
        "ended": change.at,
        "exit_code": change.exit_code,
        "not_before": None,
        "stopping": "",
        "stand_in": None,
    }


def _cancelled(run: Run, change: Any) -> dict[str, Any]:
    return {
        "ended": change.at,
        "exit_code": change.exit_code,
        "not_before": None,
        "stand_in": change.stand_in,
        "stopping": "",
    }


def _reopened(run: Run, change: Any) -> dict[str, Any]:
    return {
        "ended": None,
        "ready": None,
        "exit_code": None,
        "stand_in": None,
        "acked": False,
        "patient": True,
        "not_before": None,
        "outputs": EMPTY,
        "attempt_limit": run.attempts + change.grant,
        "links": run.links if change.links is None else change.links,
        "origin": run.origin if change.origin is None else change.origin,
    }


_FIELDS: Mapping[type[Change], Any] = {
    Joined: _joined,
    Unjoined: _unjoined,
    Blocked: _ended,
    LeftOut: _left_out,
    Started: _started,
    Succeeded: _succeeded,
    Retried: _retried,
    Failed: _failed,
    Cancelled: _cancelled,
    Reopened: _reopened,
}
