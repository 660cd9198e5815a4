"""Jobs: what the table shows, how its address says what is sought and in which order, and verbs for several at once."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tests.api.caller import Caller, called
from tests.web.browser import Browser, said, tags_of, text_of

MANY = "\n".join(f"  many-{n:03}: {{run: 'true', tags: [many]}}" for n in range(130))
JOBS = f"""\
version: 1
jobs:
  good: {{run: 'true', tags: [core, "<i>odd</i>"], owner: "O'Neil & co"}}
  bad: {{run: 'exit 3', description: '<script>alert(1)</script>'}}
  nightly: {{schedule: '0 3 * * *', timezone: Europe/Berlin, run: 'true'}}
  off: {{schedule: {{at: '2099-01-01T00:00'}}, enabled: false, run: 'true'}}
  after: {{depends_on: [nightly], run: 'true'}}
{MANY}
"""


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    with called(tmp_path_factory.mktemp("served"), jobs=JOBS) as found:
        found.run_once("good")
        found.run_once("bad", "run.failed")
        yield found


def listed(page: str) -> list[str]:
    """Return the jobs of the table, in order."""
    return re.findall(r'<a class="job" href="[^"]*jobs/([^"]+)"', page)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=good", ["good"]),
        ("q=O%27Neil", ["good"]),
        ("q=MANY-12", [f"many-12{n}" for n in range(10)]),
        ("q=many+007", ["many-007"]),
        ("q=nothing+like+it", []),
        ("tag=core", ["good"]),
        ("tag=%3Ci%3Eodd%3C%2Fi%3E", ["good"]),
        ("state=failed", ["bad"]),
        ("state=disabled", ["off"]),
        ("state=removed", []),
        ("state=never_ran&q=nightly", ["nightly"]),
        ("q=good&state=&tag=&page=", ["good"]),  # what a form sends of fields that are empty
    ],
)
def test_jobs_are_sought_by_words_state_and_tag(admin: Browser, query: str, expected: list[str]) -> None:
    assert listed(admin.page(f"jobs?{query}")) == expected


@pytest.mark.parametrize(
    ("sort", "first"),
    [("name", "after"), ("-name", "off"), ("state", "bad"), ("last", "bad"), ("-last", "off"), ("next", "after")],
)
def test_jobs_are_sorted_by_the_address(admin: Browser, sort: str, first: str) -> None:
    assert listed(admin.page(f"jobs?sort={sort}"))[0] == first


def test_a_long_table_comes_by_the_page(admin: Browser) -> None:
    first, second = listed(admin.page("jobs")), listed(admin.page("jobs?page=2"))
    assert (len(first), len(second)) == (100, 35)
    assert set(first).isdisjoint(second)
    assert listed(admin.page("jobs?page=99")) == second
    for wrong in ("page=0", "page=x", "sort=colour", "state=blue"):
        assert admin.get(f"jobs?{wrong}").status_code == 400


def test_a_row_has_state_bars_and_what_it_is(admin: Browser) -> None:
    page = admin.page("jobs?state=failed")
    assert "<script>alert" not in page
    assert "<script>alert(1)</script>" in text_of(page)
    (bars,) = [each for each in tags_of(page, "svg") if each["class"] == "outcomes"]
    assert bars["aria-label"] == "0 of the last 1 succeeded, the newest is failed"
    page = admin.page("jobs?q=nightly&sort=name")
    assert "0 3 * * * Europe/Berlin" in text_of(page)
    assert "after nightly" in text_of(admin.page("jobs?q=after"))


def test_what_was_sought_stands_in_the_form_and_in_the_links(admin: Browser) -> None:
    page = admin.page("jobs?q=%22%3E%3Cb%3E&sort=-last")
    assert "<b>" not in page
    assert any(field.get("value") == '"><b>' for field in tags_of(page, "input"))
    assert "No job is like that." in text_of(page)


def test_several_jobs_are_paused_and_resumed_at_once(admin: Browser, caller: Caller) -> None:
    answer = admin.send("do/pause", {"job": ["many-001", "many-002"], "back": "jobs?q=many-00&sort=name"})
    page = admin.after(answer)
    assert said(page) == "2 jobs: paused"
    assert listed(admin.page("jobs?state=paused")) == ["many-001", "many-002"]
    admin.after(admin.send("do/resume", {"job": ["many-001", "many-002"]}))
    assert listed(admin.page("jobs?state=paused")) == []


def test_of_several_jobs_those_that_are_refused_are_named(admin: Browser, caller: Caller) -> None:
    page = admin.after(admin.send("do/trigger", {"job": ["many-003", "nobody"], "back": "jobs"}))
    assert said(page).startswith("many-003: triggered; nobody: ")
    assert 'class="said is-bad"' in page


def test_a_viewer_has_no_boxes_to_tick(viewer: Browser) -> None:
    assert [field for field in tags_of(viewer.page("jobs"), "input") if field.get("type") == "checkbox"] == []


def test_a_job_that_left_the_files_is_listed_as_removed(admin: Browser, caller: Caller) -> None:
    jobs = caller.daemon.folder / "jobs.yaml"
    jobs.write_text(JOBS.replace("  bad: {run: 'exit 3', description: '<script>alert(1)</script>'}\n", ""))
    caller.post("/reload")
    assert "bad" not in listed(admin.page("jobs"))
    assert listed(admin.page("jobs?state=removed")) == ["bad"]
    assert "No job file has it any more" in text_of(admin.page("jobs/bad"))
