"""Calendars of a job file: what they are read as, and countries that are looked up."""

from __future__ import annotations

import builtins
from datetime import date

import pytest

from dagsched.config import load_texts
from dagsched.declaration import Calendar
from tests.config.texts import NOW, config_of, load_text

COUNTRY = "calendars: {bank: {country: %s, subdivision: %s}}\njobs: {}\n"


def test_a_list_of_days_is_a_calendar():
    config = config_of("calendars: {a: [2026-12-24], b: {weekdays: [sat, sun], days: [2026-12-31]}}\njobs: {}\n")
    assert config.calendars == {
        "a": Calendar(frozenset({date(2026, 12, 24)})),
        "b": Calendar(frozenset({date(2026, 12, 31)}), ("sat", "sun")),
    }


def test_a_calendar_of_one_file_serves_the_jobs_of_another():
    files = {
        "/srv/1.yaml": "calendars: {bank: [2026-12-24]}\njobs: {}\n",
        "/srv/2.yaml": "jobs: {a: {run: x, calendar: bank}}\n",
    }
    loaded = load_texts(files, NOW)
    assert loaded.problems == ()
    assert loaded.config is not None
    assert loaded.config.jobs["a"].calendar == ("bank",)


def test_a_calendar_declared_twice_names_both_places():
    files = {f"/srv/{n}.yaml": f"calendars: {{bank: [2026-12-2{n}]}}\njobs: {{}}\n" for n in (1, 2)}
    (problem,) = load_texts(files, NOW).problems
    assert (problem.code, problem.file) == ("E234", "/srv/2.yaml")
    assert "/srv/1.yaml:1:13" in problem.why


def test_a_country_is_looked_up():
    pytest.importorskip("holidays")
    assert config_of(COUNTRY % ("DE", "BY")).calendars["bank"] == Calendar(country="DE", subdivision="BY")
    wrong = [("XQ", "BY"), ("DE", "XX")]
    problems = [problem for names in wrong for problem in load_text(COUNTRY % names).problems]
    assert [(problem.code, problem.column) for problem in problems] == [("E232", 29), ("E232", 46)]


def test_without_the_library_a_country_says_how_to_get_it(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "holidays":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    (problem,) = load_text(COUNTRY % ("DE", "BY")).problems
    assert problem.code == "E233"
    assert problem.fix == "pip install 'dagsched[holidays]'"
    assert load_text("calendars: {bank: [2026-12-24]}\njobs: {}\n").problems == ()


def test_a_calendar_leaves_enough_if_it_leaves_one_tick_in_two_years():
    days = "{weekdays: [mon, tue, wed, thu, fri, sat]}"
    text = f"calendars: {{c: {days}}}\njobs: {{a: {{run: x, schedule: '@daily', calendar: c}}}}\n"
    assert load_text(text).problems == ()
