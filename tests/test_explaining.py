"""`why` for instants of the past, the present and the future: what was in force, what is kept, what is to come."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from dagsched.engine.why import Then, explain_run
from dagsched.errors import Unknown
from dagsched.model import Job, Origin, Run, utc
from dagsched.stores.contract import Batch
from dagsched.virtual import End
from tests.preview.life import Life, config_of, done

MONDAY = utc(2026, 11, 23)
ONE = 'version: 1\njobs:\n  a: {schedule: "0 * * * *", run: x}\n'
TWO = '# a line more\nversion: 1\njobs:\n  a: {schedule: "30 * * * *", run: x}\n  b: {depends_on: [a], run: y}\n'


def ten_minutes(job: Job, run: Run, attempt: int) -> End:
    return End(timedelta(minutes=10))


def lived(*texts: str, hours: int = 3) -> Life:
    """Return a life in which each text was in force for some hours."""
    life = Life.begin(config_of(texts[0], MONDAY), MONDAY, behave=ten_minutes)
    for number, text in enumerate(texts):
        if number:
            life.edit(text)
        life.run_until(life.now + timedelta(hours=hours))
    return life


def test_a_tick_long_past_names_the_configuration_that_was_in_force_and_its_line():
    life = lived(ONE, TWO)
    early, late = life.why("a", MONDAY.replace(hour=2)), life.why("a", MONDAY.replace(hour=4, minute=30))
    assert [early.json["config"][key] for key in ("number", "file", "line")] == [1, "/srv/jobs.yaml", 3]
    assert [late.json["config"][key] for key in ("number", "file", "line")] == [2, "/srv/jobs.yaml", 4]
    assert late.json["config"]["applied"] == "2026-11-23T03:00:00Z"
    assert early.json["schedule"] == "0 * * * *"


def test_an_instant_that_is_a_tick_only_now_is_judged_by_what_was_in_force_then():
    life = lived(ONE, TWO)
    answer = life.why("a", MONDAY.replace(hour=1, minute=30))
    assert answer.json["reason"] == "not a tick of its schedule"
    assert answer.json["config"]["number"] == 1


@pytest.mark.parametrize(
    ("job", "tick", "reason"),
    [
        ("a", MONDAY - timedelta(days=1), "before the first configuration"),
        ("b", MONDAY.replace(hour=2), "the job was not known then"),
        ("b", MONDAY.replace(hour=4), "no schedule"),
        ("a", MONDAY.replace(hour=5, minute=7), "not a tick of its schedule"),
        ("a", MONDAY.replace(hour=7, minute=30), "still to come"),
    ],
    ids=["before all", "before it was known", "unscheduled", "no tick", "to come"],
)
def test_an_instant_without_a_row_has_a_reason(job, tick, reason):
    answer = lived(ONE, TWO).why(job, tick)
    assert answer.json["reason"] == reason
    assert answer.lines


def test_lengths_are_said_as_people_say_them():
    answer = lived(ONE, TWO).why("a", MONDAY.replace(hour=7, minute=30))
    assert re.search(r"still to come, in (\d+h)?(\d+m)?(\d+s)?$", answer.lines[0]), answer.lines[0]


@pytest.mark.parametrize(
    ("schedule", "tick", "reason"),
    [
        ('{cron: "0 * * * *", end: 2026-11-23T01:30:00Z}', MONDAY.replace(hour=2), "past its end, 2026-11-23T01:30"),
        ('{cron: "0 * * * *", start: 2026-11-24T00:00:00Z}', MONDAY.replace(hour=2), "before its start"),
        ('{cron: "0 * * * *", max_runs: 1}', MONDAY.replace(hour=2), "max_runs used up"),
        ('{at: 2026-11-22T00:00}', MONDAY.replace(hour=2), "its only tick is another one"),
    ],
    ids=["past end", "before start", "max_runs", "at"],
)
def test_a_schedule_that_is_bounded_says_by_what(schedule, tick, reason):
    life = lived(f"version: 1\njobs:\n  a: {{schedule: {schedule}, run: x}}\n")
    assert life.why("a", tick).json["reason"].startswith(reason)


def test_what_was_pruned_is_said_to_be_no_longer_kept():
    life = lived(ONE)
    done(life.store.prune(before=MONDAY.replace(hour=2), keep=frozenset()))
    assert life.why("a", MONDAY.replace(hour=1)).json["reason"] == "no longer kept"


def test_a_coming_tick_is_foretold_from_how_long_its_upstreams_usually_take():
    text = ONE + '  late: {schedule: "0 * * * *", depends_on: [a], run: y}\n'
    answer = lived(text).why("late", MONDAY.replace(hour=6))
    assert answer.json["predicted"] == {"state": "running", "reason": "", "started": "2026-11-23T06:10:00Z"}
    assert "it starts at 2026-11-23T06:10:00Z, 10m after its tick" in answer.lines[-1]


def test_a_coming_tick_of_a_paused_job_is_foretold_to_be_skipped():
    life = lived(ONE)
    life.pause("a")
    answer = life.why("a", MONDAY.replace(hour=6))
    assert "it goes on when: dagsched resume a" in answer.lines
    assert answer.json["predicted"] == {"state": "skipped", "reason": "paused", "started": None}


def test_a_tick_inside_a_range_says_what_the_range_is_and_who_stands_in():
    life = lived(ONE)
    life.end()
    again = Life.begin(config_of(ONE, MONDAY), MONDAY.replace(hour=9, minute=30), state=life.copy_of_state())
    answer = again.why("a", MONDAY.replace(hour=6))
    assert answer.json["reason"] == "coalesced into 2026-11-23T09:00:00Z"
    assert answer.json["range"] == ["2026-11-23T04:00:00Z", "2026-11-23T08:00:00Z"]
    assert answer.json["stand_in"] == "job:a:2026-11-23T09:00:00Z"
    assert [gate["gate"] for gate in answer.json["gates"] if gate["verdict"] == "left_out"] == ["catch-up"]


def test_an_unknown_job_is_answered_with_the_nearest():
    with pytest.raises(Unknown) as caught:
        lived(ONE, TWO.replace("a:", "alpha:").replace("[a]", "[alpha]")).why("alpa")
    assert caught.value.nearest == ("alpha",)


@pytest.mark.parametrize("origin", list(Origin))
def test_a_run_is_explained_whatever_made_it(origin: Origin):
    life = lived(ONE)
    run = life.stored()[0]._replace(origin=origin)
    answer = explain_run(life.plan, run, run.tick, (), Then())
    assert answer.json["trigger"] == origin
    assert any(line.startswith("made by ") for line in answer.lines)


def test_the_keys_of_the_document_are_those_that_programs_rely_on():
    answer = lived(ONE).why("a")
    assert list(answer.json) == [
        "run", "job", "tick", "state", "reason", "trigger", "config", "schedule", "upstream", "attempts", "gates"
    ]  # fmt: skip
    assert list(answer.json["gates"][0]) == ["gate", "verdict", "since", "reason", "unblock"]


def test_a_coming_tick_of_a_job_without_a_schedule_is_that_of_its_upstream():
    text = ONE + "  late: {depends_on: [a], run: y}\n"
    answer = lived(text).why("late", MONDAY.replace(hour=6))
    assert answer.json["reason"] == "still to come"
    assert answer.json["predicted"]["started"] == "2026-11-23T06:10:00Z"
    assert lived(text).why("late", MONDAY.replace(hour=6, minute=1)).json["reason"] == "no schedule"


def test_a_coming_tick_behind_a_condition_is_foretold_by_the_outputs_on_record():
    text = ONE + """  late: {depends_on: [a], when: 'output("a", "rows") > 5', run: y}\n"""
    life = lived(text)
    assert life.why("late", MONDAY.replace(hour=6)).json["predicted"]["started"] == "2026-11-23T06:10:00Z"
    newest = next(run for run in reversed(life.stored()) if run.job == "a" and str(run.state) == "success")
    done(life.store.commit(Batch(runs=[newest._replace(outputs={"rows": "3"})])))
    assert life.why("late", MONDAY.replace(hour=6)).json["predicted"]["state"] == "skipped"


def test_a_coming_tick_on_a_day_off_is_foretold_to_be_skipped():
    text = "version: 1\ncalendars: {free: [2026-11-24]}\njobs:\n  a: {schedule: '0 6 * * *', calendar: free, run: x}\n"
    answer = lived(text).why("a", MONDAY.replace(day=24, hour=6))
    assert answer.json["predicted"] == {"state": "skipped", "reason": "calendar free: 2026-11-24", "started": None}
