"""The edits that bite users elsewhere, a sentence each: what `plan` says before, what happens, what `why` says after.

Each test lives up to an edit, asks `plan`, makes the edit, and lives on; a second life of the same state goes on
without it. `agrees` holds the two ledgers against what was said, tick by tick; then the test looks at what is special
about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from dagsched.model import Job, Run, RunState, utc
from dagsched.preview import Preview
from dagsched.preview.fires import fires
from dagsched.virtual import End
from tests.preview.life import Life, config_of, short

MONDAY = utc(2026, 11, 23)
NY = "timezone: America/New_York\n"


def file(*jobs: str, head: str = "") -> str:
    """Return a job file; a job is `id: {…}`."""
    return "version: 1\n" + head + "jobs:\n" + "".join(f"  {job}\n" for job in jobs)


def ten_minutes(job: Job, run: Run, attempt: int) -> End:
    return End(timedelta(minutes=10))


@dataclass(frozen=True, slots=True)
class Edited:
    """What was said, the life with the edit and the one without, both at the end of the days looked at."""

    said: Preview
    life: Life
    without: Life
    at: datetime

    def fires(self, life: Life, job: str) -> set[datetime]:
        return {run.tick for run in life.rows(job) if self.at < run.tick <= self.said.until and fires(run)}

    def agrees(self) -> None:
        """Hold both ledgers against what `plan` said."""
        for told in self.said.fires:
            was, will = self.fires(self.without, told.job), self.fires(self.life, told.job)
            assert will - was == {t for t in (*told.added, *(p.new for p in told.moved)) if t <= told.until}
            assert was - will == {t for t in (*told.dropped, *(p.old for p in told.moved)) if t <= told.until}
        silent = {*self.said.base.config.jobs, *self.said.new.jobs} - {told.job for told in self.said.fires}
        assert all(self.fires(self.without, job) == self.fires(self.life, job) for job in silent)
        for each in self.said.runs:
            if each.effect == "cancelled":
                row = self.life.row(*each.run.key)
                assert row is not None
                assert (row.state, row.reason) == (RunState.CANCELLED, "job removed")

    def told(self, job: str) -> tuple[list[str], list[tuple[str, str]], list[str]]:
        """Return what was said of a job's fire times: added, moved, dropped."""
        found = next(told for told in self.said.fires if told.job == job)
        moved = list(zip(short([p.old for p in found.moved]), short([p.new for p in found.moved]), strict=True))
        return short(found.added), moved, short(found.dropped)


def edited(
    before: str | Mapping[str, str], after: str | Mapping[str, str], *, at: datetime, since: datetime = MONDAY,
    days: float = 2,
) -> Edited:  # fmt: skip
    """Live from `since` on, make the edit at `at`, and go on for some days with it and without it."""
    life = Life.begin(config_of(before, since), since, behave=ten_minutes)
    life.run_until(at)
    said = life.look(after, days)
    without = Life.begin(config_of(before, at), at, state=life.copy_of_state(), behave=ten_minutes)
    life.edit(after)
    for each in (life, without):
        each.run_until(said.until)
    return Edited(said, life, without, at)


# ---------------------------------------------------------------- hourly, daily


def test_hourly_to_daily_drops_every_hour_but_the_daily_one_from_the_edit_on():
    found = edited(file('a: {schedule: "0 * * * *", run: x}'), file('a: {schedule: "0 6 * * *", run: x}'),
                   at=MONDAY.replace(hour=9, minute=30))  # fmt: skip
    added, moved, dropped = found.told("a")
    assert (added, moved) == ([], [])
    assert dropped[:2] == ["11-23T10:00", "11-23T11:00"]
    assert len(dropped) == 2 * 24 - 2
    found.agrees()
    assert found.life.fired("a")[-4:] == ["11-23T08:00", "11-23T09:00", "11-24T06:00", "11-25T06:00"]
    assert found.life.why("a", MONDAY.replace(hour=9)).json["config"]["number"] == 1
    gone = found.life.why("a", MONDAY.replace(hour=11))
    assert gone.json["reason"] == "not a tick of its schedule"
    assert (gone.json["config"]["number"], gone.json["schedule"]) == (2, "0 6 * * *")


def test_daily_to_hourly_owes_nothing_from_before_and_keeps_the_daily_one():
    found = edited(file('a: {schedule: "0 6 * * *", run: x}'), file('a: {schedule: "0 * * * *", run: x}'),
                   at=MONDAY.replace(hour=9, minute=30))  # fmt: skip
    added, moved, dropped = found.told("a")
    assert (moved, dropped) == ([], [])
    assert added[0] == "11-23T10:00"
    assert len(added) == 2 * 24 - 2
    found.agrees()
    assert found.life.fired("a")[:3] == ["11-23T06:00", "11-23T10:00", "11-23T11:00"]
    assert found.life.why("a", MONDAY.replace(hour=8)).json["schedule"] == "0 6 * * *"


# ---------------------------------------------------------------- later on the same day


def test_0115_to_0215_after_0115_has_run_runs_again_today_and_plan_says_so():
    found = edited(file('a: {schedule: "15 1 * * *", run: x}', head=NY),
                   file('a: {schedule: "15 2 * * *", run: x}', head=NY),
                   at=MONDAY.replace(hour=6, minute=40))  # fmt: skip
    # 01:15 in New York is 06:15 in UTC, and has run.
    added, moved, dropped = found.told("a")
    assert added == ["11-23T07:15"]
    assert moved == [("11-24T06:15", "11-24T07:15"), ("11-25T06:15", "11-25T07:15")]
    assert dropped == []
    found.agrees()
    assert found.life.fired("a") == ["11-23T06:15", "11-23T07:15", "11-24T07:15"]
    assert [found.life.why("a", utc(2026, 11, 23, hour, 15)).json["config"]["number"] for hour in (6, 7)] == [1, 2]


def test_0215_to_0115_between_the_two_runs_neither_today_and_plan_says_so():
    found = edited(file('a: {schedule: "15 2 * * *", run: x}'), file('a: {schedule: "15 1 * * *", run: x}'),
                   at=MONDAY.replace(hour=1, minute=40))  # fmt: skip
    added, moved, dropped = found.told("a")
    assert (added, dropped) == ([], ["11-23T02:15"])
    assert moved[0] == ("11-24T02:15", "11-24T01:15")
    found.agrees()
    assert found.life.fired("a") == ["11-24T01:15", "11-25T01:15"]


# ---------------------------------------------------------------- off and on


def test_disabling_drops_every_fire_time_and_leaves_each_on_record_as_disabled():
    on, off = (file(f'a: {{schedule: "0 6 * * *", run: x, enabled: {word}}}') for word in ("true", "false"))
    found = edited(on, off, at=MONDAY.replace(hour=9))
    assert found.told("a") == ([], [], ["11-24T06:00", "11-25T06:00"])
    found.agrees()
    [row] = [run for run in found.life.rows("a") if run.tick > found.at]
    assert (row.state, row.reason, row.until) == (RunState.SKIPPED, "disabled", utc(2026, 11, 25, 6))
    answer = found.life.why("a", utc(2026, 11, 25, 6))
    assert [gate["gate"] for gate in answer.json["gates"] if gate["verdict"] == "left_out"] == ["enabled"]


def test_enabling_again_replays_nothing_that_was_left_out_meanwhile():
    on, off = (file(f'a: {{schedule: "0 6 * * *", run: x, catchup: all, enabled: {word}}}')
               for word in ("true", "false"))  # fmt: skip
    found = edited(off, on, at=MONDAY.replace(day=25, hour=9))
    assert found.told("a") == (["11-26T06:00", "11-27T06:00"], [], [])
    assert not any(each.differs for each in found.said.due)
    found.agrees()
    assert found.life.fired("a") == ["11-26T06:00", "11-27T06:00"]
    assert found.life.why("a", utc(2026, 11, 24, 6)).json["reason"] == "disabled"


# ---------------------------------------------------------------- another name, another file


def test_renaming_a_job_is_a_removal_and_an_addition_without_history():
    before = file('a: {schedule: "0 * * * *", run: x}', "b: {depends_on: [a], run: x}")
    after = file('a2: {schedule: "0 * * * *", run: x}', "b: {depends_on: [a2], run: x}")
    found = edited(before, after, at=MONDAY.replace(hour=9, minute=5))
    assert ([job.id for job in found.said.edit.added], [job.id for job in found.said.edit.removed]) == (["a2"], ["a"])
    assert found.said.edit.renamed == (("a", "a2"),)
    effects = {each.run.name: (each.effect, each.more) for each in found.said.runs}
    assert effects["job:a:2026-11-23T09:00:00Z"] == ("finishes", ())
    # b waited for a alone: with that edge gone it starts, and nothing is lost.
    assert effects["job:b:2026-11-23T09:00:00Z"] == ("starts", ("waits no longer for a",))
    found.agrees()
    assert found.told("a")[2] == found.told("a2")[0]
    assert "b" not in {each.job for each in found.said.fires if each}
    assert found.life.why("a", MONDAY.replace(hour=10)).json["reason"] == "the job was not known then"
    assert found.life.why("a2", MONDAY.replace(hour=9)).json["reason"] == "the job was not known then"
    row = found.life.row("a", MONDAY.replace(hour=9))
    assert row is not None
    assert row.state is RunState.SUCCESS


def test_moving_a_job_to_another_file_does_nothing_at_all():
    a, b = 'a: {schedule: "0 * * * *", run: x}', 'b: {schedule: "30 * * * *", run: x}'
    before = {"/srv/jobs/one.yaml": file(a, b), "/srv/jobs/two.yaml": "version: 1\njobs: {}\n"}
    after = {"/srv/jobs/one.yaml": file(b), "/srv/jobs/two.yaml": file(a)}
    found = edited(before, after, at=MONDAY.replace(hour=9, minute=5))
    assert [tuple(moved) for moved in found.said.edit.moved] == [("a", "one.yaml", "two.yaml")]
    assert not found.said.changes_anything
    found.agrees()
    after_it = [[run for run in life.rows() if run.tick > found.at] for life in (found.life, found.without)]
    assert [run.key for run in after_it[0]] == [run.key for run in after_it[1]]
    places = [found.life.why("a", MONDAY.replace(hour=hour)).json["config"]["file"] for hour in (8, 11)]
    assert places == ["/srv/jobs/one.yaml", "/srv/jobs/two.yaml"]


# ---------------------------------------------------------------- clocks


def test_changing_only_the_time_zone_moves_each_fire_time_of_the_same_date():
    before, after = (file(f'a: {{schedule: "0 9 * * *", timezone: {zone}, run: x}}')
                     for zone in ("America/New_York", "Europe/Berlin"))  # fmt: skip
    # 09:00 of Monday has passed in Berlin and is to come in New York.
    found = edited(before, after, at=MONDAY.replace(hour=10))
    added, moved, dropped = found.told("a")
    assert (added, dropped) == ([], ["11-23T14:00"])
    assert moved == [("11-24T14:00", "11-24T08:00"), ("11-25T14:00", "11-25T08:00")]
    found.agrees()
    assert [(change.key, change.old, change.new) for change in found.said.edit.changed[0].keys] == [
        ("schedule.timezone", "America/New_York", "Europe/Berlin")
    ]
    assert found.life.fired("a") == ["11-24T08:00", "11-25T08:00"]


def test_a_zone_that_is_the_same_clock_moves_nothing():
    before, after = (file(f'a: {{schedule: "0 9 * * *", timezone: {zone}, run: x}}')
                     for zone in ("Europe/Berlin", "Europe/Paris"))  # fmt: skip
    found = edited(before, after, at=MONDAY.replace(hour=10))
    assert found.said.edit.changed
    assert not any(found.said.fires)
    found.agrees()


def test_a_night_in_which_the_clocks_jump_runs_an_edited_job_once_and_plan_names_the_jump():
    saturday = utc(2026, 3, 7, 17)  # at 07:00 UTC on Sunday it becomes 03:00 in New York
    found = edited(file('a: {schedule: "30 1 * * *", run: x}', head=NY),
                   file('a: {schedule: "30 2 * * *", run: x}', head=NY),
                   at=saturday, since=utc(2026, 3, 6))  # fmt: skip
    assert found.told("a")[1][0] == ("03-08T06:30", "03-08T07:00")
    [remark] = found.said.dst
    assert remark.code == "W301"
    assert "2026-03-08 02:30 to 03:00" in remark.message
    found.agrees()
    assert found.life.fired("a", saturday) == ["03-08T07:00", "03-09T06:30"]


def test_an_edit_inside_the_hour_that_is_shown_twice_runs_no_fixed_time_again():
    first_pass = utc(2026, 11, 1, 5, 45)  # 01:45 in New York, for the first time; at 06:00 UTC it is 01:00 again
    found = edited(file('a: {schedule: "30 1 * * *", run: x}', head=NY),
                   file('a: {schedule: "30 1 * * *", run: y}', head=NY),
                   at=first_pass, since=utc(2026, 10, 31))  # fmt: skip
    assert not any(found.said.fires)
    found.agrees()
    assert found.life.fired("a", utc(2026, 10, 31, 12)) == ["11-01T05:30", "11-02T06:30"]


def test_a_day_off_that_is_added_to_a_calendar_drops_that_days_fire_time_of_every_job_that_has_it():
    jobs = ('a: {schedule: "0 9 * * *", calendar: bank, run: x}', 'b: {schedule: "0 9 * * *", run: x}')
    before, after = (file(*jobs, head=f"calendars: {{bank: {{days: [{days}]}}}}\n")
                     for days in ("2026-12-25", "2026-12-25, 2026-11-24"))  # fmt: skip
    found = edited(before, after, at=MONDAY.replace(hour=10))
    assert found.told("a") == ([], [], ["11-24T09:00"])
    assert [change.key for change in found.said.edit.settings] == ["calendars.bank"]
    found.agrees()
    assert found.life.fired("a", found.at) == ["11-25T09:00"]
    answer = found.life.why("a", utc(2026, 11, 24, 9))
    assert [gate["gate"] for gate in answer.json["gates"] if gate["verdict"] == "left_out"] == ["calendar"]


# ---------------------------------------------------------------- what was missed


def test_ticks_missed_while_down_are_decided_by_the_new_catch_up_as_plan_says():
    before = file('a: {schedule: "0 * * * *", run: x, catchup: none}')
    after = file('a: {schedule: "0 */2 * * *", run: x, catchup: all}')
    life = Life.begin(config_of(before, MONDAY), MONDAY, behave=ten_minutes)
    life.run_until(MONDAY.replace(hour=3))
    life.end()
    life.now = MONDAY.replace(hour=7, minute=30)
    said = life.look(after)
    [due] = said.due
    assert due.differs
    assert [(short([run.tick]), str(run.state), run.reason) for run in due.new if run.state is RunState.MISSED] == [
        (["11-23T05:00"], "missed", "schedule changed"),
        (["11-23T07:00"], "missed", "schedule changed"),
    ]
    again = Life.begin(config_of(after, life.now), life.now, state=life.copy_of_state(), behave=ten_minutes)
    made = {run.key: (run.until, run.reason) for run in again.stored() if run.tick > MONDAY.replace(hour=3)}
    assert made == {run.key: (run.until, run.reason) for run in due.new}
    again.run_until(life.now + timedelta(hours=1))
    assert again.fired("a", MONDAY.replace(hour=3)) == ["11-23T04:00", "11-23T06:00", "11-23T08:00"]
    assert again.why("a", MONDAY.replace(hour=5)).json["reason"] == "schedule changed"
