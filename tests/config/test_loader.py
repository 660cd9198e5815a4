"""Loading again: what a `Loader` says of changed files is what a load of everything says of them."""

from __future__ import annotations

from datetime import timedelta
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagsched.config import Loader, load_texts
from dagsched.config.part import Part
from tests.config.texts import NOW

FILES = ("/srv/a.yaml", "/srv/b.yaml", "/srv/c.yaml")
IDS = ("one", "two", "three", "four")

LINES = st.sampled_from(
    [
        "schedule: '30 2 * * *'",
        "schedule: '0 3 * * mon'",
        "schedule: {cron: ['*/45 * * * *', '0 0 31 * *'], timezone: US/Eastern}",
        "schedule: {cron: '0 4 * * *', end: 2026-11-22T06:00}",
        "schedule: {at: 2026-11-21T10:00}",
        "schedule: {every: 2d}",
        "schedule: '61 * * * *'",
        "depends_on: [one]",
        "depends_on: [two, three]",
        "depends_on: [{job: four, match: same}, one]",
        "depends_on: [{job: two, match: all}]",
        "depends_on: [fuor]",
        "depends_on: [one, one]",
        "enabled: false",
        "pool: db",
        "pool: db\nslots: 3",
        "pool: dc",
        "timezone: Europe/Berlin",
        "timezone: Europe/Berlni",
        "catchup: none\ncatchup_window: 1h",
        "env: {X: {job: one, output: rows}}",
        "timeout: 5",
        "extends: t",
        "extends: t\nvalues: {p: '7'}",
        "extends: [u, v]",
        "matrix: {m: [1, 2]}",
        "matrix: {m: [3], n: [4], include: [{m: 1}]}",
        "depends_on: [one.1]",
        "handler: nothing",
        "notify: [{on: [failure], to: [ops]}]",
        "calendar: c",
        "calendar: [c, d]",
        "window: {from: '22:00', to: '06:00', outside: skip}",
        "when: local.hour < 3",
        "rate_limit: 0/1m",
    ]
)
OPS = "notifiers: {ops: {type: command, run: [tell]}}\n"
JOBS = st.lists(LINES, max_size=3, unique_by=lambda line: line.partition(":")[0])
BODIES = st.dictionaries(st.sampled_from(IDS), JOBS, max_size=3)
TEMPLATES = [
    "templates:\n  t: {timeout: 1h, params: {p: {type: string, default: '5'}}, env: {E: '${{ p }}'}}\n",
    "templates:\n  t: {timeout: 1}\n",
    "templates:\n  t: {extends: u}\n  v: {extends: t, matrix: {m: [1, 2]}}\n",
    "templates:\n  u: {schedule: '${{ p }} 4 * * *', params: {p: {type: string, default: '5'}}}\n",
    "templates:\n  u: {extends: t, enabled: false}\n",
    "templates: 5\n",
]
POOLS = ["pools: {db: 2}\n", "pools: {db: 1}\n", "pools: 5\n", "pools: {db: {slots: 2, rate_limit: 1/1m}}\n"]
CALENDARS = ["{c: {weekdays: [mon]}}", "{c: [2026-12-24], d: [2026-12-25]}", "{c: 5}"]
CALENDARS = [f"calendars: {days}\n" for days in CALENDARS]
OPSES = [OPS, OPS + "defaults: {notify: [{on: [config_rejected], to: [ops, dev]}]}\n"]
HEADS = st.sampled_from(["", "", *TEMPLATES, *POOLS, *CALENDARS, *OPSES, "timezone: America/New_York\n"])
BROKEN = st.sampled_from(["jobs: [\n", "", "jobs:\n  one: 5\n", "jobs: {one: {run: x}, one: {run: y}}\n", "jobs: {}\n"])


@st.composite
def texts(draw: st.DrawFn) -> str:
    if draw(st.integers(0, 9)) == 0:
        return draw(BROKEN)
    jobs = [
        f"  {id}:\n    run: x\n" + "".join(f"    {line}\n" for each in lines for line in each.splitlines())
        for id, lines in draw(BODIES).items()
    ]
    return draw(HEADS) + ("jobs:\n" + "".join(jobs) if jobs else "jobs: {}\n")


EDITS = st.lists(
    st.tuples(st.sampled_from(FILES), st.one_of(texts(), st.none()), st.integers(0, 40)), min_size=1, max_size=8
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(FILES), texts(), min_size=1), EDITS)
def test_a_changed_set_of_files_loads_as_if_all_were_new(files, edits):
    loader, now = Loader(), NOW
    assert loader.load(files, now) == load_texts(files, now)
    for file, text, hours in edits:
        now += timedelta(hours=hours)
        files = {path: known for path, known in files.items() if path != file}
        if text is not None:
            files = dict(sorted({**files, file: text}.items()))
        again, anew = loader.load(files, now), load_texts(files, now)
        assert again == anew
        if again.config is not None and anew.config is not None:
            places = [[job.position for job in each.config.jobs.values()] for each in (again, anew)]
            assert places[0] == places[1]
            assert list(again.config.jobs) == list(anew.config.jobs)


GOOD = {
    "/srv/a.yaml": "jobs: {extract: {run: x, schedule: '@daily'}}\n",
    "/srv/b.yaml": "jobs: {load: {run: x, depends_on: [extract]}}\n",
    "/srv/c.yaml": "pools: {db: 2}\njobs: {other: {run: x, pool: db}}\n",
}


@pytest.fixture
def read_files(monkeypatch):
    """Return the files that were read, in order; the list grows."""
    found = []
    make = Part.__init__

    def spied(part, path, *rest):
        found.append(path[-6])
        make(part, path, *rest)

    monkeypatch.setattr(Part, "__init__", spied)
    return found


def test_only_the_file_that_changed_is_read_again(read_files):
    loader = Loader()
    before = loader.load(GOOD, NOW).config
    after = loader.load({**GOOD, "/srv/c.yaml": GOOD["/srv/c.yaml"] + "  # a comment\n"}, NOW).config
    assert read_files == ["a", "b", "c", "c"]
    assert before is not None
    assert after is not None
    assert after.jobs["load"] is before.jobs["load"]


def test_a_bad_file_costs_only_itself_and_what_was_good_is_still_known(read_files):
    loader = Loader()
    loader.load(GOOD, NOW)
    assert loader.load({**GOOD, "/srv/c.yaml": "jobs: ["}, NOW).config is None
    assert loader.load(GOOD, NOW).config is not None
    assert read_files == ["a", "b", "c", "c"]


def test_a_job_is_checked_again_when_its_upstream_goes():
    loader = Loader()
    loader.load(GOOD, NOW)
    (problem,) = loader.load({**GOOD, "/srv/a.yaml": "jobs: {extrakt: {run: x}}\n"}, NOW).problems
    assert (problem.file, problem.code) == ("/srv/b.yaml", "E201")
    assert problem.fix == "did you mean 'extrakt' (/srv/a.yaml:1:8)?"


def test_a_cycle_over_a_file_that_did_not_change_is_found():
    loader = Loader()
    loader.load(GOOD, NOW)
    text = dedent("""
        jobs:
          extract: {run: x, depends_on: [load]}
    """)
    assert [each.code for each in loader.load({**GOOD, "/srv/a.yaml": text}, NOW).problems] == ["E204"]


def test_a_file_is_the_same_with_and_without_a_byte_order_mark(read_files):
    loader = Loader()
    loader.load(GOOD, NOW)
    loader.load({path: b"\xef\xbb\xbf" + text.encode() for path, text in GOOD.items()}, NOW)
    assert len(read_files) == len(GOOD)
