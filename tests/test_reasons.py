"""Reasons are read as what they were written as, also those that older rows have."""

from __future__ import annotations

import pytest

from dagsched import reasons
from dagsched.engine.verdicts import BY_NAME, gate_of
from dagsched.model import Run, RunState, utc
from dagsched.reasons import REASONS, At, Reason, read

# As they stand in the rows of released versions: none of these may ever be read as something else.
ON_RECORD = {
    "disabled": reasons.DISABLED,
    "paused": reasons.PAUSED,
    "calendar bank: 2026-12-25 Christmas Day": reasons.DAY_OFF,
    "down": reasons.DOWN,
    "down from 2026-03-02T01:00:00Z to 2026-03-02T03:00:00.250Z": reasons.DOWN_FROM,
    "coalesced into 2026-03-02T01:00:00Z": reasons.COALESCED,
    "too old: catch-up reaches back 1 day, 0:00:00": reasons.TOO_OLD,
    "schedule changed": reasons.SCHEDULE_CHANGED,
    "job removed": reasons.JOB_REMOVED,
    "queue full: 1 runs are not over yet": reasons.QUEUE_FULL,
    "queue full: 100 runs are not over yet": reasons.QUEUE_FULL,
    "queue full: 1 run is not over yet": reasons.QUEUE_FULL,
    "extract has never had a tick, and no schedule will make one": reasons.NEVER_A_TICK,
    "superseded: extract has never had a tick": reasons.SUPERSEDED,
    "upstream extract has no tick at this one": reasons.NO_SUCH_TICK,
    "upstream extract has no tick at or before this one": reasons.NO_EARLIER_TICK,
    "upstream extract upstream_failed": reasons.UPSTREAM,
    "its rule one_success can no longer hold": reasons.RULE,
    'when: output("u", "rows", "0") > 0 is false (rows = "0")': reasons.WHEN,
    "when: local.day == 31 is false": reasons.WHEN,
    "overlap: job:u:2026-03-02T01:00:00Z was active": reasons.OVERLAP,
    "replaced by 2026-03-02T02:00:00Z": reasons.REPLACED,
    "window: closed outside 06:00-08:00, 22:00-24:00": reasons.OUTSIDE,
}


@pytest.mark.parametrize(("text", "reason"), ON_RECORD.items(), ids=list(ON_RECORD))
def test_a_row_on_record_is_read_as_what_it_was(text: str, reason: Reason) -> None:
    assert read(text) is reason


def test_every_reason_is_among_those_on_record() -> None:
    assert set(ON_RECORD.values()) == set(REASONS)


@pytest.mark.parametrize("filled", ["upstream", "when:", "{}", "", "overlap: x was active"])
def test_what_is_filled_in_never_makes_a_reason_another_gates(filled: str) -> None:
    for reason in REASONS:
        found = read(reason(*[filled] * reason.words.count("{}")))
        assert found is not None, (reason, filled)
        assert found.at is reason.at, (reason, filled)


@pytest.mark.parametrize("text", ["", "cancelled by request", "paused for lunch", "exit code 1", "not down", "overlap"])
def test_what_somebody_else_says_is_no_reason_of_the_engine(text: str) -> None:
    assert read(text) is None


def test_a_run_that_an_edit_took_away_ended_at_no_gate_but_its_missed_tick_did() -> None:
    row = Run("a", utc(2026, 3, 2), RunState.CANCELLED, reason=reasons.JOB_REMOVED())
    assert gate_of(row, None) is None
    assert gate_of(row._replace(state=RunState.MISSED), None) is BY_NAME[At.CATCH_UP]
