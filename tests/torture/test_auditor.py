"""The auditor finds nothing wrong with an honest record, and each promise's breach by that promise's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.torture.audit_journal import UNHEARD
from tests.torture.auditor import audit, repeated_work
from tests.torture.evidence import Evidence
from tests.torture.story import Story, at

EXTRACT = {"schedule": {"every": "10s"}, "retry": {"max_attempts": 1}}
LOAD = {"depends_on": [{"job": "extract", "match": "latest"}]}
BOTH: dict[str, Any] = {"extract": EXTRACT, "load": LOAD}


def honest(jobs: dict[str, Any] | None = None, pools: dict[str, int] | None = None) -> Story:
    """Return a round in which extract ran at :10, :20 and :30, and load after each of them."""
    story = Story(jobs or BOTH, pools)
    for tick in (10, 20, 30):
        extract = story.born("extract", tick)
        load = story.born("load", tick, links=[extract], trigger="upstream")
        story.ran(extract, tick + 0.1, tick + 0.5)
        story.ran(load, tick + 0.6, tick + 0.9)
    return story


def run_of(job: str, second: int) -> str:
    return f"job:{job}:2026-03-02T12:00:{second:02}Z"


def broken(evidence: Evidence) -> set[str]:
    return {violation.promise for violation in audit(evidence)}


def test_an_honest_record_breaks_no_promise():
    assert audit(honest().evidence()) == []


# ---------------------------------------------------------------- a story that goes wrong


def a_tick_with_two_rows(story: Story) -> None:
    story.left_out("extract", 8, "missed", "down from a to b", until=10)
    story.sheets[0][1][0]["jobs"]["extract"] = EXTRACT | {"schedule": {"every": "2s"}, "catchup": "none"}


def a_second_process_of_one_attempt(story: Story) -> None:
    story.write(10.3, "start", run_of("extract", 10), pid=77)


def a_start_while_the_upstream_runs(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["early"] = LOAD
    early = story.born("early", 20, links=[run_of("extract", 20)], trigger="upstream")
    story.ran(early, 20.2, 20.4)
    for second in (10, 30):
        story.ran(story.born("early", second, links=[run_of("extract", second)]), second + 0.6, second + 0.7)


def a_link_to_yesterday(story: Story) -> None:
    story.rows[run_of("load", 20)]["upstream"][0]["run"] = run_of("extract", 10)


def a_tick_without_a_row(story: Story) -> None:
    for job in ("extract", "load"):
        del story.rows[run_of(job, 20)]
    story.events = [event for event in story.events if ":20Z" not in event["run"]]
    story.lines = [line for line in story.lines if ":20Z" not in line[2]]


def a_success_without_an_end(story: Story) -> None:
    story.lines = [line for line in story.lines if line[1:3] != ("end", run_of("load", 10))]


def a_success_that_was_told_to_end(story: Story) -> None:
    story.write(10.7, "term", run_of("load", 10))


def a_skipped_run_that_ran(story: Story) -> None:
    run = story.left_out("extract", 40, "skipped", "paused")
    story.stopped = 45
    story.write(40.2, "start", run)


def a_finished_attempt_called_lost(story: Story) -> None:
    attempt = story.rows[run_of("load", 10)]["attempt_list"][0]
    attempt |= {"outcome": "lost", "exit_code": None}


def a_failure_that_was_told_to_end(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["third"] = EXTRACT | {"schedule": {"every": "30s"}}
    run = story.born("third", 30)
    story.ran(run, 30.2, 30.8, code=143)
    story.write(30.7, "term", run)


def a_living_attempt_called_lost(story: Story) -> None:
    attempt = story.rows[run_of("load", 10)]["attempt_list"][0]
    attempt |= {"outcome": "lost", "exit_code": None}
    story.lines = [line for line in story.lines if line[1:3] != ("end", run_of("load", 10))]


def a_timeout_that_is_not_kept(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["third"] = EXTRACT | {"schedule": {"every": "30s"}, "timeout": "1s"}
    story.ran(story.born("third", 30), 30.2, 33.8)


def good_work_that_is_done_again(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["load"] = LOAD | {"retry": {"max_attempts": 2}}
    run = run_of("load", 30)
    story.events[-1] |= {"type": "run.retrying", "to": "retrying"}
    story.rows[run] |= {"state": "retrying", "attempt_limit": 2}
    story.rows[run]["attempt_list"][-1] |= {"outcome": "failed", "exit_code": 0}
    story.ran(run, 31, 32, attempt=2)


def a_process_without_a_row(story: Story) -> None:
    story.write(12, "start", run_of("load", 12))


def a_process_before_its_row(story: Story) -> None:
    story.lines = [(line[0] - 0.1, *line[1:]) if line[1] == "start" else line for line in story.lines]


def a_run_that_never_ends(story: Story) -> None:
    story.born("extract", 40)
    story.stopped = 41


def more_attempts_than_declared(story: Story) -> None:
    run = run_of("load", 30)
    story.events[-1] |= {"type": "run.retrying", "to": "retrying"}
    story.rows[run] |= {"state": "retrying", "attempt_limit": 2}
    story.rows[run]["attempt_list"][-1] |= {"outcome": "failed", "exit_code": 0}
    story.ran(run, 31, 32, attempt=2)


def another_attempt_after_a_loss(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["load"] = LOAD | {"on_crash": "fail", "retry": {"max_attempts": 2}}
    run = run_of("load", 30)
    story.events[-1] |= {"type": "run.retrying", "to": "retrying"}
    story.rows[run] |= {"state": "retrying", "attempt_limit": 2}
    story.rows[run]["attempt_list"][-1]["outcome"] = "lost"
    story.lines = [line for line in story.lines if line[1:3] != ("end", run)]
    story.ran(run, 31, 32, attempt=2)


def a_child_beyond_the_recorded_end(story: Story) -> None:
    story.write(10.95, "beat", run_of("load", 10), role="child")


def a_child_in_the_next_attempt(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["load"] = LOAD | {"retry": {"max_attempts": 2}}
    run = run_of("load", 30)
    story.events[-1] |= {"type": "run.retrying", "to": "retrying"}
    story.rows[run] |= {"state": "retrying", "attempt_limit": 2}
    story.rows[run]["attempt_list"][-1] |= {"outcome": "failed", "exit_code": 0}
    story.ran(run, 31, 32, attempt=2)
    story.write(31.5, "beat", run, 1, role="child")


def too_many_slots_taken(story: Story) -> None:
    story.sheets[0][1][0]["pools"] = {"narrow": 1}
    for job in ("extract", "load"):
        story.sheets[0][1][0]["jobs"][job] = BOTH[job] | {"pool": "narrow"}
    story.sheets[0][1][0]["jobs"]["third"] = EXTRACT | {"pool": "narrow", "schedule": {"every": "30s"}}
    story.ran(story.born("third", 30), 30.2, 30.8)


def two_runs_where_one_may_be(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["extract"] = EXTRACT | {"overlap": "queue"}
    story.verbs.append({"args": ["trigger", "extract", "--only"], "code": 0, "out": ""})
    story.ran(story.born("extract", 20.05, trigger="manual", only=True), 20.2, 20.4)


def a_skip_beside_nobody(story: Story) -> None:
    story.left_out("extract", 40, "skipped", f"overlap: {run_of('extract', 30)} was active")
    story.stopped = 41


def a_newcomer_that_was_not_skipped(story: Story) -> None:
    story.sheets[0][1][0]["jobs"]["extract"] = EXTRACT | {"schedule": {"every": "30s"}}
    story.rows.clear(), story.events.clear(), story.lines.clear()
    del story.sheets[0][1][0]["jobs"]["load"]
    story.stopped = 61
    first, second = story.born("extract", 30), ""
    story.started(first, 30)
    second = story.born("extract", 60)
    story.write(30.02, "start", first)
    story.write(60.4, "end", first, extra="0")
    story.ended(first, 60.5, code=0, to="success")
    story.ran(second, 60.6, 60.8)


def a_row_off_the_schedule(story: Story) -> None:
    story.ran(story.born("extract", 13), 13.1, 13.2)


def an_attempt_of_an_old_edit(story: Story) -> None:
    story.lines = [(*line[:6], "sheet-0-7") if line[1] == "start" else line for line in story.lines]


def a_row_of_an_unknown_job(story: Story) -> None:
    story.left_out("stranger", 20, "skipped", "paused")


def a_manual_row_that_nobody_wanted(story: Story) -> None:
    story.ran(story.born("extract", 21.005, trigger="manual"), 21.1, 21.2)


def a_terminal_state_that_changes(story: Story) -> None:
    story.event(32, "run.failed", run_of("load", 30), to="failed")


def a_rerun_that_nobody_wanted(story: Story) -> None:
    run = run_of("load", 30)
    story.event(31, "run.reopened", run, to="waiting")
    story.rows[run]["attempt_limit"] = 2
    story.ran(run, 32, 33, attempt=2)


def an_event_that_skips_a_state(story: Story) -> None:
    next(e for e in story.events if e["type"] == "run.started")["from"] = "waiting"


def a_row_without_an_event(story: Story) -> None:
    story.row("extract", 40, "skipped", reason="paused")
    story.stopped = 41


def a_command_that_left_no_event(story: Story) -> None:
    run = run_of("load", 20)
    story.verbs.append({"args": ["ack", run], "code": 0, "out": f"acknowledged {run}\n", "done": at(25).timestamp()})


def a_pause_that_does_not_hold(story: Story) -> None:
    story.event(15, "job.paused")
    story.events[-1]["job"] = "extract"


def a_reason_that_is_missing(story: Story) -> None:
    story.left_out("extract", 40, "skipped", "")
    story.stopped = 41


STORIES: list[tuple[str, Callable[[Story], None]]] = [
    ("P1", a_tick_with_two_rows),
    ("P2", a_second_process_of_one_attempt),
    ("P3", a_start_while_the_upstream_runs),
    ("P3", a_link_to_yesterday),
    ("P4", a_tick_without_a_row),
    ("P4", a_pause_that_does_not_hold),
    ("P4", a_reason_that_is_missing),
    ("P5", a_success_without_an_end),
    ("P5", a_success_that_was_told_to_end),
    ("P5", a_skipped_run_that_ran),
    ("P5", a_finished_attempt_called_lost),
    ("P5", a_failure_that_was_told_to_end),
    ("P5", a_living_attempt_called_lost),
    ("P5", good_work_that_is_done_again),
    ("P5", a_timeout_that_is_not_kept),
    ("P6", a_process_without_a_row),
    ("P6", a_process_before_its_row),
    ("P7", a_run_that_never_ends),
    ("P8", more_attempts_than_declared),
    ("P8", another_attempt_after_a_loss),
    ("P9", a_child_beyond_the_recorded_end),
    ("P9", a_child_in_the_next_attempt),
    ("P10", too_many_slots_taken),
    ("P11", two_runs_where_one_may_be),
    ("P11", a_skip_beside_nobody),
    ("P11", a_newcomer_that_was_not_skipped),
    ("P12", a_row_off_the_schedule),
    ("P12", an_attempt_of_an_old_edit),
    ("P12", a_row_of_an_unknown_job),
    ("P12", a_manual_row_that_nobody_wanted),
    ("P13", a_terminal_state_that_changes),
    ("P13", a_rerun_that_nobody_wanted),
    ("P14", an_event_that_skips_a_state),
    ("P14", a_row_without_an_event),
    ("P14", a_command_that_left_no_event),
]


@pytest.mark.parametrize(
    ("promise", "go_wrong"), STORIES, ids=[f"{promise}-{each.__name__}" for promise, each in STORIES]
)
def test_a_breach_is_named_after_its_promise(promise: str, go_wrong: Callable[[Story], None]):
    story = honest({id: dict(body) for id, body in BOTH.items()})
    go_wrong(story)
    assert promise in broken(story.evidence())


# ---------------------------------------------------------------- what only the driver can see


def test_a_process_left_after_a_clean_stop_breaks_p15():
    evidence = honest().evidence()
    evidence.left = ["after stop: process 12 (job:load:…)"]
    assert broken(evidence) == {"P15"}


def test_a_gap_in_the_numbers_of_events_breaks_p14():
    evidence = honest().evidence()
    evidence.events = [event for event in evidence.events if event["seq"] != 4]
    assert "P14" in broken(evidence)


def test_an_event_that_was_told_and_is_not_kept_breaks_p14():
    evidence = honest().evidence()
    evidence.told = [*evidence.told[:3], {**evidence.told[3], "to": "failed"}]
    assert broken(evidence) == {"P14"}


def test_a_row_that_was_seen_and_is_gone_breaks_p13():
    evidence = honest().evidence()
    evidence.snapshots = [[{"run": run_of("extract", 6), "job": "extract", "state": "success"}]]
    assert broken(evidence) == {"P13"}


def test_a_run_that_trigger_answered_with_must_be_there():
    evidence = honest().evidence()
    evidence.verbs = [{"args": ["trigger", "extract"], "code": 0, "out": run_of("extract", 11) + "\n"}]
    assert broken(evidence) == {"P4"}


def test_an_attempt_lost_with_its_spawner_is_no_breach():
    story = honest()
    a_finished_attempt_called_lost(story)
    story.rows[run_of("load", 10)]["state"] = "failed"
    evidence = story.evidence()
    evidence.spawner_kills = [at(10.7).timestamp()]
    assert "P5" not in broken(evidence)


def test_of_two_that_start_around_a_swap_the_older_may_write_after_the_newer():
    jobs = {id: body | {"pool": "narrow"} for id, body in BOTH.items()}
    jobs["third"] = EXTRACT | {"pool": "narrow", "schedule": {"every": "30s"}}
    story = honest(jobs, {"narrow": 1})
    story.swap(30.605, jobs, {"narrow": 2})
    third = story.born("third", 30)
    story.started(third, 30.607)
    story.write(30.61, "start", third, 1)
    story.write(30.8, "end", third, 1, extra="0")
    story.ended(third, 30.85, code=0, to="success")
    assert audit(story.evidence()) == []


def test_a_retry_after_an_edit_keeps_the_seat_that_its_run_took_before():
    many = {"extract": EXTRACT | {"overlap": "skip", "max_active_runs": 2, "retry": {"max_attempts": 2}}}
    story = Story(many, stopped=25)
    first, second = story.born("extract", 10), ""
    story.ran(first, 10.1, 10.5, code=1, to="retrying")
    second = story.born("extract", 20)
    story.started(second, 20)
    story.swap(20.2, {"extract": many["extract"] | {"max_active_runs": 1}})
    story.started(first, 20.3, attempt=2)
    story.write(20.32, "start", first, 2)
    story.write(20.4, "start", second)
    for run, attempt in ((first, 2), (second, 1)):
        story.write(20.8, "end", run, attempt, extra="0")
        story.ended(run, 20.85, code=0, to="success", attempt=attempt)
    story.rows[first]["attempt_limit"] = 2
    assert audit(story.evidence()) == []
    story.sheets[1] = (19.5, story.sheets[1][1])
    assert "P11" in broken(story.evidence())


def test_an_edge_bound_anew_to_a_job_that_lost_its_schedule_takes_the_very_tick():
    load = LOAD | {"trigger_rule": "none_failed"}
    scheduled = load | {"schedule": {"every": "20s"}, "depends_on": [{"job": "extract", "match": "all"}]}
    story = Story({"extract": EXTRACT, "load": scheduled}, stopped=26)
    older = story.born("extract", 10)
    story.started(older, 10.1)
    newer = story.left_out("extract", 20, "skipped", f"overlap: {older} was active")
    story.rows[newer]["stand_in"] = older
    run = story.born("load", 20, links=[newer])
    story.swap(20.3, {"extract": EXTRACT, "load": load})
    story.ran(run, 20.4, 20.8)
    story.write(10.12, "start", older, 1)
    story.write(25.9, "end", older, 1, extra="0")
    story.ended(older, 25.95, code=0, to="success")
    assert "P3" not in broken(story.evidence())
    story.sheets[-1][1][0]["jobs"]["load"] = scheduled
    assert "P3" in broken(story.evidence())


def test_more_starts_than_a_rate_allows_are_found():
    jobs = {id: body | {"rate_limit": "1/10s"} for id, body in BOTH.items()}
    assert audit(honest(jobs).evidence()) == []
    jobs["extract"] = EXTRACT | {"rate_limit": "2/21s"}
    assert broken(honest(jobs).evidence()) == {"rate"}


def test_lateness_is_told_once_and_after_the_deadline():
    jobs = BOTH | {"extract": EXTRACT | {"deadline": "300ms"}}
    story = honest(jobs)
    _tell_late(story, 10.3, run_of("extract", 10))
    assert audit(story.evidence()) == []
    _tell_late(story, 20.2, run_of("extract", 20))
    assert broken(story.evidence()) == {"late"}


def _tell_late(story: Story, second: float, run: str) -> None:
    story.event(second, "run.late", run, to="running")
    story.events[-1]["from"] = "running"
    story.rows[run]["state"] = "success"


def test_work_done_again_after_a_good_end_is_counted():
    story = honest()
    story.write(33, "start", run_of("load", 30), 2)
    assert repeated_work(story.evidence()) == [f"{run_of('load', 30)} attempt 1"]


def test_a_timeout_under_a_frozen_spawner_may_be_kept_late():
    story = honest({id: dict(body) for id, body in BOTH.items()})
    a_timeout_that_is_not_kept(story)
    evidence = story.evidence()
    evidence.spawner_freezes = [(at(31).timestamp(), at(34).timestamp())]
    assert audit(evidence) == []


def test_work_repeated_after_the_death_of_its_spawner_is_told_and_no_breach():
    story = honest({id: dict(body) for id, body in BOTH.items()})
    good_work_that_is_done_again(story)
    story.rows[run_of("load", 30)]["attempt_list"][0]["outcome"] = "lost"
    evidence = story.evidence()
    evidence.spawner_kills = [at(30.9).timestamp()]
    assert repeated_work(evidence) == [f"{run_of('load', 30)} attempt 1"]
    assert audit(evidence) == []


def test_ticks_up_to_a_swap_belong_to_the_old_schedule_and_later_ones_to_the_new():
    story = honest()
    story.swap(30, BOTH | {"extract": EXTRACT | {"schedule": {"every": "3s"}}})
    assert broken(story.evidence()) == {"P4"}
    story.stopped = 34
    assert audit(story.evidence()) == []


def test_a_pool_may_be_full_and_no_more():
    jobs = {id: body | {"pool": "narrow"} for id, body in BOTH.items()}
    assert audit(honest(jobs, {"narrow": 1}).evidence()) == []


def test_attempts_that_heard_nothing_of_their_scheduler_may_be_lost():
    story = honest()
    a_finished_attempt_called_lost(story)
    story.rows[run_of("load", 10)]["state"] = "failed"
    evidence = story.evidence()
    assert "P5" in broken(evidence)
    evidence.unheard = [(at(10.7).timestamp(), at(12).timestamp())]
    assert "P5" not in broken(evidence)
    evidence.unheard = [(at(31).timestamp(), at(35).timestamp())]
    assert "P5" in broken(evidence)


def test_work_is_not_repeated_because_nobody_heard_of_its_scheduler():
    story = honest({id: dict(body) for id, body in BOTH.items()})
    good_work_that_is_done_again(story)
    first = story.rows[run_of("load", 30)]["attempt_list"][0]
    first["outcome"] = "lost"
    evidence = story.evidence()
    evidence.unheard = [(at(30.9).timestamp(), at(33).timestamp())]
    assert broken(evidence) == {"P5"}
    # Its spawner ended it, in the very moment in which it ended well.
    first["reason"] = UNHEARD[0]
    assert audit(evidence) == []
