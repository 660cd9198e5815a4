"""*Upcoming*: the week by the hour, and what gets in each other's way."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from dagsched.config import load_texts
from dagsched.model import Config, JobMark, utc
from dagsched.views.coming import Ahead
from dagsched.web.week import TICKS_MAX, Week, by_hour, week_of
from tests.web.browser import tags_of, text_of
from tests.web.stored import ago, page, pages, ran

BEGIN = utc(2026, 11, 26, 8)


def config_of(text: str) -> Config:
    found = load_texts({"jobs.yaml": f"version: 1\n{text}"}, BEGIN)
    assert found.config is not None, found.problems
    return found.config


def week(text: str, usual: dict[str, float] | None = None, begin: datetime = BEGIN, **marks: JobMark) -> Week:
    config = config_of(text)
    return week_of(config, Ahead(config, marks), marks, usual or {}, begin, begin + timedelta(days=7))


def test_every_tick_of_the_week_is_counted_in_its_quarter_also_of_jobs_below():
    found = week("jobs: {a: {schedule: '30 9 * * *', run: 'true'}, b: {depends_on: [a], run: 'true'}}")
    assert sum(found.starts) == 14
    assert [place for place, starts in enumerate(found.starts) if starts] == [6 + 96 * day for day in range(7)]
    assert {job: len(ticks) for job, ticks in found.ticks.items()} == {"a": 7, "b": 7}


def test_a_job_below_several_schedules_is_due_once_at_a_tick_that_they_share():
    found = week(
        "jobs: {a: {schedule: '0 9 * * *', run: 'true'}, b: {schedule: '0 9,10 * * *', run: 'true'},"
        " c: {depends_on: [a, b], run: 'true'}}"
    )
    assert len(found.ticks["c"]) == 14


def test_what_will_not_run_is_not_counted():
    text = """calendars: {off: ["2026-11-27"]}
jobs:
  disabled: {schedule: '@daily', run: 'true', enabled: false}
  paused: {schedule: '@daily', run: 'true'}
  below: {depends_on: [paused], run: 'true'}
  holiday: {schedule: '@daily', run: 'true', calendar: off}
  few: {schedule: {cron: '@hourly', max_runs: 5}, run: 'true'}
  event: {schedule: {event: x}, run: 'true'}
  manual: {run: 'true'}
"""
    marks = {"paused": JobMark("paused", BEGIN, paused=BEGIN), "few": JobMark("few", BEGIN, started_runs=3)}
    found = week(text, **marks)
    assert {job: len(ticks) for job, ticks in found.ticks.items()} == {"holiday": 6, "few": 2}


def test_load_is_how_many_run_at_a_time_on_average():
    found = week("jobs: {a: {schedule: '0 9 26 11 *', run: 'true'}}", {"a": 40 * 60})
    assert found.load[4:8] == [1.0, 1.0, pytest.approx(2 / 3), 0.0]
    short = week("jobs: {a: {schedule: '5,7 9 26 11 *', run: 'true'}}", {"a": 90})
    assert short.load[4] == pytest.approx(0.2)
    long = week("jobs: {a: {schedule: '0 9 26 11 *', run: 'true'}}", {"a": 30 * 86400})
    assert long.load[3:5] == [0.0, 1.0]
    assert long.load[-1] == 1.0


def test_a_job_that_is_due_before_it_is_over_is_told():
    found = week(
        "jobs: {a: {schedule: {every: 5m}, run: 'true'}, b: {schedule: '@daily', run: 'true'}}", {"a": 301, "b": 60}
    )
    assert [(each.job.id, each.times, each.ticks) for each in found.overlaps] == [("a", 2015, 2016)]


def test_a_pool_of_which_more_is_needed_than_there_is_is_told():
    text = """pools: {few: 1, plenty: 9}
jobs:
  a: {schedule: '0 9 * * *', run: 'true', pool: few}
  b: {schedule: '0 9 * * *', run: 'true', pool: few}
  c: {schedule: '0 9 * * *', run: 'true', pool: plenty}
"""
    [short] = week(text, dict.fromkeys("abc", 1800)).short
    assert (short.pool, short.slots, short.need, short.at) == ("few", 1, 2.0, utc(2026, 11, 26, 9))


def test_the_moments_at_which_most_begin_are_told():
    jobs = "\n".join(f"  j{n}: {{schedule: '0 2 * * mon', run: 'true'}}" for n in range(5))
    found = week(f"jobs:\n{jobs}\n  other: {{schedule: '1 2 * * *', run: 'true'}}\n")
    assert found.herds == [(utc(2026, 11, 30, 2), 5, 0)]


def test_moments_that_are_alike_but_for_the_hour_are_told_once():
    found = week("jobs:\n" + "\n".join(f"  j{n}: {{schedule: '5 * * * *', run: 'true'}}" for n in range(4)))
    assert found.herds == [(utc(2026, 11, 26, 8, 5), 4, 167)]


def test_moments_within_one_minute_are_told_once():
    found = week("jobs:\n" + "\n".join(f"  j{n}: {{schedule: {{every: 20s}}, run: 'true'}}" for n in range(4)))
    shown = [(herd.at.hour, herd.at.minute) for herd in found.herds]
    assert shown
    assert len(shown) == len(set(shown))


def test_jobs_that_are_due_in_every_hour_can_be_left_out_of_the_counts():
    found = week("jobs: {a: {schedule: {every: 5m}, run: 'true'}, b: {schedule: '0 9 * * *', run: 'true'}}")
    assert found.steady == ["a"]
    assert (sum(found.starts), sum(found.fewer)) == (2016 + 7, 7)
    days = by_hour(found, "UTC", with_steady=False)
    assert [hour.starts for hour in days[1].hours] == [0] * 9 + [1] + [0] * 14


def test_a_schedule_that_fires_each_second_is_cut_and_said_to_be():
    found = week("jobs: {a: {schedule: {every: 1s}, run: 'true'}}")
    assert found.cut == ["a"]
    assert sum(found.starts) == TICKS_MAX


@pytest.mark.parametrize(
    ("begin", "hour", "quarters"),
    [(utc(2026, 10, 20, 5), 2, 8), (utc(2026, 3, 24, 5), 2, 0)],
    ids=["repeated", "skipped"],
)
def test_days_of_a_clock_change_show_the_hour_that_is_repeated_or_skipped(begin, hour, quarters):
    text = "jobs: {a: {schedule: {cron: '30 2 * * *', timezone: Europe/Berlin}, run: 'true'}}"
    found = week(text, begin=begin)
    days = by_hour(found, "Europe/Berlin")
    sunday = next(day for day in days if day.date.isoformat() in ("2026-10-25", "2026-03-29"))
    assert sunday.hours[hour].quarters == quarters
    assert sunday.hours[hour].is_twice == (quarters == 8)
    assert sunday.is_short == (quarters == 0)
    assert sum(each.starts for each in sunday.hours) == 1
    # The first of two is the usual time, which is no news.
    assert [jobs for _, _, jobs in found.remarks] == ([["a"]] if quarters == 0 else [])


def test_days_are_those_of_the_zone_also_where_it_is_half_an_hour_off():
    days = by_hour(week("jobs: {a: {schedule: '45 18 * * *', run: 'true'}}"), "Asia/Kolkata")
    assert days[1].hours[0].starts == 1
    assert len(days) == 8
    assert sum(hour.starts for day in days for hour in day.hours) == 7


# ---------------------------------------------------------------- the page

JOBS = """\
version: 1
timezone: Europe/Berlin
jobs:
  extract: {schedule: "0 * * * *", run: "true"}
  load: {depends_on: [extract], run: "true"}
  nightly: {schedule: "30 2 * * *", run: "true"}
  india: {schedule: {cron: "0 9 * * *", timezone: Asia/Kolkata}, run: "true"}
"""


def test_the_page_has_the_days_by_hour_and_a_link_to_each(tmp_path: Path) -> None:
    text = page(tmp_path, "upcoming", JOBS)
    hours = [tag for tag in tags_of(text, "a") if str(tag.get("class", "")).startswith("hour ")]
    assert len(hours) == 7 * 24
    assert "local time of Europe/Berlin" in text_of(text)
    assert "zone=Asia%2FKolkata" in text


def test_an_hour_lists_what_is_due_with_local_times(tmp_path: Path) -> None:
    runs = [ran("extract", ago(hours=1), took_s=120)]
    text = text_of(page(tmp_path, "upcoming?at=2026-11-27T01:00:00Z&steady=true", JOBS, runs=runs))
    assert "Fri 27 Nov, 02:00 to 02:59 3 runs" in text
    assert "extract Fri 02:00 CET 01:00 2 min" in text
    assert "load Fri 02:00 CET 01:00 from extract" in text
    assert "nightly Fri 02:30 CET 01:30" in text


def test_jobs_due_every_hour_are_left_out_until_they_are_asked_for(tmp_path: Path) -> None:
    few, every = pages(tmp_path, ["upcoming?at=2026-11-27T01:00:00Z", "upcoming?steady=true"], JOBS)
    assert "Not counted: 2 jobs due every hour." in text_of(few.text)
    assert "1 run close" in text_of(few.text)
    assert 'href="./upcoming?steady=true"' in few.text
    assert "Without the 2 that are due every hour" in text_of(every.text)


def test_a_change_of_the_clock_is_marked(tmp_path: Path) -> None:
    text = page(tmp_path, "upcoming", JOBS, now=utc(2026, 3, 26, 12))
    assert "is-gap" in text
    assert "Changes of the clock" in text
    (tmp_path / "autumn").mkdir()
    assert "is-twice" in page(tmp_path / "autumn", "upcoming", JOBS, now=utc(2026, 10, 22, 12))


def test_what_cannot_be_asked_for_is_said_and_an_empty_state_too(tmp_path: Path) -> None:
    wrong, empty = pages(tmp_path, ["upcoming?zone=Mars/North", "upcoming"])
    assert wrong.status_code == 400
    assert "Mars/North" in text_of(wrong.text)
    assert "Nothing is due" in text_of(empty.text)


def test_overlaps_are_told_with_what_becomes_of_them(tmp_path: Path) -> None:
    jobs = "version: 1\njobs: {slow: {schedule: {every: 1m}, overlap: queue, run: 'true'}}\n"
    text = text_of(page(tmp_path, "upcoming", jobs, runs=[ran("slow", ago(minutes=9), took_s=90)]))
    assert re.search(r"slow 1 min 30 s \d+ of \d+ queues", text)
