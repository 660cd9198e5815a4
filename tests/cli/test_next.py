"""`next`: coming ticks in UTC and local time, and what a person should know of them."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.usefixtures("at_now", "no_daemon")

FILE = """\
version: 1
timezone: America/New_York
jobs:
  refresh: {schedule: "0 2 * * *", run: x}
  weekly: {schedule: "0 9 * * mon", depends_on: [refresh], run: x}
  publish: {depends_on: [weekly], run: x}
  both: {depends_on: [refresh, publish], run: x}
  manual: {run: x}
  off: {schedule: {every: 6h}, enabled: false, run: x}
"""


@pytest.fixture(autouse=True)
def _file(here):
    (here / "jobs.yaml").write_text(FILE)


def test_json_rows_have_exactly_the_promised_keys(call):
    rows = call("next", "weekly", "-n", "1", "--json").rows
    assert rows == [
        {
            "job": "weekly",
            "tick": "2026-11-30T14:00:00Z",
            "local": "2026-11-30T09:00:00-05:00",
            "note": "",
        }
    ]


def ticks(result) -> list[tuple[str, str, str]]:
    return [(row["job"], row["tick"].removesuffix(":00Z"), row["note"]) for row in result.rows]


def test_without_a_job_it_is_the_next_tick_of_each_by_time(call):
    assert ticks(call("next", "--json")) == [
        ("off", "2026-11-23T18:00", "disabled"),
        ("refresh", "2026-11-24T07:00", ""),
        ("both", "2026-11-24T07:00", "from refresh"),
        ("weekly", "2026-11-30T14:00", ""),
        ("publish", "2026-11-30T14:00", "from weekly"),
    ]


def test_an_unscheduled_job_shows_the_ticks_of_its_upstreams_each_once(call):
    rows = ticks(call("next", "both", "-n", "8", "--json", "--from", "2026-11-29"))
    assert rows[:3] == [
        ("both", "2026-11-29T07:00", "from refresh"),
        ("both", "2026-11-30T07:00", "from refresh"),
        ("both", "2026-11-30T14:00", "from weekly"),
    ]
    assert len(rows) == 8


def test_two_sources_of_one_tick_are_both_named(call, here):
    (here / "jobs.yaml").write_text(FILE.replace('"0 9 * * mon"', '"0 2 * * *"'))
    assert ticks(call("next", "both", "-n", "1", "--json")) == [("both", "2026-11-24T07:00", "from refresh, weekly")]


def test_a_named_job_shows_five_ticks(call):
    assert len(call("next", "refresh", "--json").rows) == 5


def test_a_manual_job_has_none(call):
    result = call("next", "manual", "--json")
    assert (result.code, result.out) == (0, "")


def test_a_dst_change_is_remarked(call):
    [row] = call("next", "refresh", "-n", "1", "--from", "2027-03-14T06:00", "--json").rows
    assert row["tick"] == "2027-03-14T07:00:00Z"
    assert "DST" in row["note"]


def test_text_has_both_times_and_the_distance(call):
    head, line = call("next", "weekly", "-n", "1").lines
    assert head.split() == ["JOB", "UTC", "LOCAL", "WHEN", "NOTE"]
    assert line == "weekly  2026-11-30 14:00 UTC  Mon 2026-11-30 09:00 EST  in 6d 23h"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        pytest.param(["weakly"], 2, "unknown job 'weakly'; did you mean 'weekly'?", id="job"),
        pytest.param(["--from", "soon"], 2, "'soon' is no instant", id="instant"),
        pytest.param(["--file", "absent.yaml"], 3, "absent.yaml", id="file"),
    ],
)
def test_what_cannot_be_is_said(call, words, code, said):
    result = call("next", *words)
    assert (result.code, result.out) == (code, "")
    assert said in result.err


def test_no_file_at_all_names_the_ways_to_give_one(call, here):
    (here / "jobs.yaml").unlink()
    result = call("next")
    assert result.code == 2
    assert "there is no dagsched.yaml or jobs.yaml in" in result.err
    assert "dagsched init" in result.err


def test_what_the_state_knows_is_remarked(call, home, jobs_file):
    """`tidy` is paused; `max_runs: 3` and no start so far leave three ticks."""
    rows = ticks(call("next", "tidy", "--json"))
    assert rows == [("tidy", f"2026-11-23T{hour}:00", "paused") for hour in (15, 16, 17)]


GATED = """\
timezone: America/New_York
calendars: {bank: {weekdays: [sat, sun]}}
jobs:
  daily: {schedule: "0 12 * * *", run: x, calendar: bank}
  after: {depends_on: [daily], run: x}
  night: {schedule: "0 12 * * *", run: x, window: {from: "22:00", to: "06:00"}}
  never: {schedule: "0 12 * * *", run: x, window: {from: "22:00", to: "06:00", outside: skip}}
"""


@pytest.mark.parametrize(
    ("job", "note"),
    [
        ("daily", "left out: calendar bank: sat"),
        ("after", "from daily; left out: calendar bank: sat"),
        ("night", "starts when its window opens, 2026-11-28 22:00"),
        ("never", "left out: window: closed outside 22:00-06:00"),
    ],
)
def test_what_a_gate_will_do_to_a_tick_is_noted(call, here, job, note):
    (here / "jobs.yaml").write_text(GATED)
    assert ticks(call("next", job, "-n", "1", "--from", "2026-11-28", "--json"))[0][2] == note
