"""What the auditor makes of a log whose order is not that of its instants, or of its ticks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.torture.auditor import audit
from tests.torture.evidence import Evidence
from tests.torture.story import Story, at, text

EXTRACT = {"schedule": {"every": "10s"}}


def broken(evidence: Evidence) -> set[str]:
    return {violation.promise for violation in audit(evidence)}


@pytest.mark.parametrize("later", [True, False])
def test_a_tick_that_is_backfilled_later_opens_no_window_of_a_run_that_is_there(later: bool):
    load = {"schedule": {"every": "10s"}, "depends_on": [{"job": "extract", "match": "all"}]}
    story = Story({"extract": EXTRACT, "load": load}, stopped=26)
    first, second = story.born("extract", 10), story.born("extract", 20)
    story.ran(first, 10.1, 10.5)
    filled = story.born("load", 0, at=20.7 if later else 19, trigger="backfill")
    story.ran(filled, 20.8, 20.9)
    story.ran(second, 20.1, 20.3)
    story.ran(story.born("load", 20, links=[f"{second} all"]), 20.4, 20.6)
    assert ("P3" in broken(story.evidence())) != later


def test_of_ticks_made_in_one_moment_the_earlier_opens_the_window_of_the_later():
    load = {"schedule": {"every": "10s"}, "depends_on": [{"job": "extract", "match": "all"}]}
    story = Story({"extract": {"schedule": {"every": "20s"}}, "load": load}, stopped=36)
    first = story.born("extract", 20)
    story.ran(first, 20.1, 20.5)
    run = story.born("load", 30, at=30)
    story.ran(story.born("load", 20, at=30, links=[f"{first} all"]), 30.1, 30.4)
    story.ran(run, 30.5, 30.6)
    assert "P3" not in broken(story.evidence())
    story.rows[run]["upstream"] = [{"job": "extract", "match": "all", "run": first}]
    assert "P3" in broken(story.evidence())


@pytest.mark.parametrize("room", [2, 1])
def test_an_exit_from_before_an_edit_may_start_what_the_edit_made_room_for(room: int):
    jobs = {id: {"schedule": {"every": "10s"}, "pool": "narrow"} for id in ("extract", "load", "third")}
    story = Story(jobs, {"narrow": 1}, stopped=26)
    extract, load, third = (story.born(id, 10) for id in jobs)
    story.ran(extract, 10.1, 14.99)
    story.swap(15, jobs, {"narrow": room})
    story.ran(third, 14.99, 17)
    story.ran(load, 15, 16)
    evidence = story.evidence()
    # The daemon took up the edit before it heard of the exit, and the log is in that order.
    exit, start = (event for event in evidence.events if event["time"] == text(at(14.99)))
    rest = [event for event in evidence.events if event not in (exit, start)]
    place = 1 + [(event["type"], event["run"]) for event in rest].index(("run.started", load))
    told = [{**event, "seq": seq} for seq, event in enumerate([*rest[:place], exit, start, *rest[place:]], 1)]
    assert ("P10" in broken(replace(evidence, events=told, told=told))) == (room == 1)


@pytest.mark.parametrize("is_split", [True, False])
def test_what_is_left_of_a_split_range_says_what_was_so_in_its_own_time(is_split: bool):
    story = Story({"extract": EXTRACT | {"schedule": {"every": "2s"}}}, stopped=26)
    older = story.born("extract", 10)
    story.started(older, 10.1)
    first = story.left_out("extract", 12, "skipped", f"overlap: {older} was active")
    story.ended(older, 14.5, code=0, to="success")
    left = story.row("extract", 14, "skipped", reason=f"overlap: {older} was active")
    story.event(20, "run.skipped", left, to="skipped", reason=f"overlap: {older} was active")
    story.events[-1]["from"] = None
    if is_split:
        story.event(20, "run.reopened", first, to="waiting", reason="backfill 1")
    findings = [each.words for each in audit(story.evidence()) if each.promise == "P11"]
    assert any("was left out because" in words for words in findings) != is_split
