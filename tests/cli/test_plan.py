"""`plan`: what it compares, how it tells it, and its exit codes."""

from __future__ import annotations

import re

import pytest

from dagsched.model import ConfigVersion, JobMark, Run, RunState, utc
from dagsched.stores.contract import Batch
from tests.cli.conftest import NOW, store

OLD = """\
version: 1
jobs:
  nightly: {schedule: "15 1 * * *", run: ./load}
  publish: {depends_on: [nightly], run: ./publish}
"""
LATER = OLD.replace("15 1", "15 2")
GONE = "version: 1\njobs:\n  nightly: {schedule: '15 1 * * *', run: ./load}\n"
TICK = utc(2026, 11, 23, 1, 15)
LIVE = Batch(
    runs=[
        Run("nightly", TICK, RunState.RUNNING, created=TICK, ready=TICK, started=TICK, attempts=1, config=3),
        Run("publish", TICK, RunState.WAITING, created=TICK, config=3),
    ],
    marks=[JobMark("nightly", NOW), JobMark("publish", NOW)],
    config=ConfigVersion(3, TICK, "ab" * 32, {"/srv/jobs.yaml": OLD}),
)


@pytest.fixture
def files(here, at_now, no_daemon):
    (here / "old.yaml").write_text(OLD)
    (here / "new.yaml").write_text(LATER)
    (here / "gone.yaml").write_text(GONE)
    return here


def test_two_files_are_compared_without_any_state(call, files):
    result = call("plan", "new.yaml", "--against", "old.yaml")
    assert result.code == 0
    assert result.lines == [
        "compared with the files old.yaml; no state is looked at, so no runs are",
        "",
        "Jobs",
        "  ~  nightly  schedule: 15 1 * * * → 15 2 * * *  new.yaml:3",
        "",
        "Fire times until 2026-11-30 14:30 UTC",
        "  ~  nightly, publish  7 moved by +1h  Tue 2026-11-24 01:15 → 02:15 UTC, Wed 2026-11-25 01:15 → 02:15 UTC, "
        "Thu 2026-11-26 01:15 → 02:15 UTC, … 4 more",
        "",
        "1 job changed, 14 moved",
    ]


def test_what_is_in_force_is_what_is_compared_with(call, files):
    store(files / ".dagsched", LIVE)
    result = call("plan", "gone.yaml")
    assert result.lines[0] == "compared with configuration 3, in force since 2026-11-23T01:15:00Z (jobs.yaml)"
    assert "  -  job:publish:2026-11-23T01:15:00Z  waiting  be cancelled (job removed)" in result.lines
    assert "1 run cancelled" in result.lines[-1]


def test_registered_jobs_stay_whatever_the_files_say(call, files):
    job = "version: 1\njobs:\n  ping: {handler: http, with: {url: 'http://127.0.0.1:1/'}, depends_on: [nightly]}\n"
    in_force = ConfigVersion(3, TICK, "ab" * 32, {"/srv/jobs.yaml": OLD, "/srv/registered:ping.yaml": job})
    marks = [JobMark(id, NOW) for id in ("nightly", "publish", "ping")]
    store(files / ".dagsched", Batch(config=in_force, marks=marks))
    assert call("plan", "old.yaml", "--exit-code").code == 0
    result = call("plan", "gone.yaml")
    assert "  -  publish" in result.out
    assert "  -  ping" not in result.out
    # What they wait for cannot go.
    (files / "none.yaml").write_text("version: 1\njobs: {other: {run: 'true'}}\n")
    assert call("plan", "none.yaml").code == 3


def test_files_that_are_named_are_compared_with_instead_of_the_state(call, files):
    store(files / ".dagsched", LIVE)
    assert call("plan", "gone.yaml", "--against", "gone.yaml").lines[-1] == "nothing changes"
    with_state = call("plan", "gone.yaml", "--against", "gone.yaml", "--state-dir", ".dagsched")
    assert with_state.lines[0].startswith("compared with configuration 3")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["new.yaml", "--against", "old.yaml"], 0),
        (["new.yaml", "--against", "old.yaml", "--exit-code"], 1),
        (["old.yaml", "--against", "old.yaml", "--exit-code"], 0),
        (["old.yaml", "--exit-code"], 1),
    ],
    ids=["change", "change told", "none", "nothing in force"],
)
def test_the_exit_code_tells_whether_anything_changes_if_that_is_wanted(call, files, words, code):
    assert call("plan", *words).code == code


def test_errors_of_the_new_files_are_told_as_validate_tells_them(call, files):
    (files / "bad.yaml").write_text(OLD.replace("[nightly]", "[nihgtly]"))
    result = call("plan", "bad.yaml", "--against", "old.yaml")
    assert (result.code, result.out) == (3, "")
    assert "did you mean 'nightly'" in result.err


def test_warnings_are_told_if_the_old_files_did_not_have_them(call, files):
    (files / "odd.yaml").write_text("# one line more\n" + OLD.replace('"15 1 * * *"', '"*/45 * * * *"'))
    told = call("plan", "odd.yaml", "--against", "old.yaml", "--json").json["problems"]
    assert [problem["code"] for problem in told] == ["W305"]
    (files / "moved.yaml").write_text("# and another\n" + (files / "odd.yaml").read_text())
    assert call("plan", "moved.yaml", "--against", "odd.yaml", "--json").json["problems"] == []


def test_the_document_has_everything_by_name(call, files):
    store(files / ".dagsched", LIVE)
    found = call("plan", "new.yaml", "--json", "--days", "1").json
    assert list(found) == [
        "changes", "against", "now", "until", "jobs", "pools", "settings", "fires", "runs", "due", "dst", "problems"
    ]  # fmt: skip
    assert found["against"]["config"] == 3
    [changed] = found["jobs"]["changed"]
    assert changed["keys"] == [{"key": "schedule", "old": "15 1 * * *", "new": "15 2 * * *"}]
    [fires, below] = found["fires"]
    assert fires["moved"] == [{"from": "2026-11-24T01:15:00Z", "to": "2026-11-24T02:15:00Z"}]
    assert fires["counts"] == {"added": 0, "moved": 1, "dropped": 0, "kept": 0}
    assert (below["job"], below["moved"]) == ("publish", fires["moved"])
    [run] = found["runs"]
    assert (run["run"], run["effect"]) == ("job:nightly:2026-11-23T01:15:00Z", "keeps")


def test_a_job_that_fires_each_second_is_compared_for_as_long_as_it_fires_often_enough(call, files):
    for name, length in (("s1", "1s"), ("s2", "2s")):
        (files / f"{name}.yaml").write_text(f"version: 1\njobs:\n  s: {{schedule: {{every: {length}}}, run: x}}\n")
    [fires] = call("plan", "s2.yaml", "--against", "s1.yaml", "--json").json["fires"]
    assert (fires["cut"], fires["counts"]["dropped"], len(fires["dropped"])) == (True, 250, 100)
    assert fires["until"] == "2026-11-23T14:38:20Z"


def test_what_a_matrix_of_jobs_has_in_common_is_told_once(call, files):
    for name, hour in (("m1", 1), ("m2", 2)):
        jobs = "".join(f'  load-{n}: {{schedule: "0 {hour} * * *", run: x}}\n' for n in range(40))
        (files / f"{name}.yaml").write_text("version: 1\njobs:\n" + jobs)
    lines = call("plan", "m2.yaml", "--against", "m1.yaml").lines
    assert "  ~  load-0, load-1, load-2, load-3 and 36 more  schedule: 0 1 * * * → 0 2 * * *" in lines
    assert len(lines) < 12


def test_one_of_several_files_alone_is_remarked_on(call, files):
    folder = files / "jobs"
    folder.mkdir()
    (folder / "a.yaml").write_text(GONE)
    (folder / "b.yaml").write_text("version: 1\njobs:\n  other: {run: x}\n")
    assert "1 of 2 files was given" in call("plan", "jobs/a.yaml", "--against", "jobs").out
    assert "given, so the jobs" not in call("plan", "jobs", "--against", "jobs/a.yaml").out


def test_markdown_has_tables_and_nothing_in_it_that_a_job_could_make_a_link_or_a_tag(call, files):
    evil = OLD.replace("./load", "'echo <b>hi</b> | [x](http://evil) `y` @all'")
    (files / "evil.yaml").write_text(evil)
    out = call("plan", "evil.yaml", "--against", "old.yaml", "--markdown").out
    assert out.startswith("### dagsched plan: 1 job changed\n")
    [row] = [line for line in out.splitlines() if "run: " in line]
    assert "&lt;b&gt;" in row
    assert "\\[x\\]" in row
    assert "&#64;all" in row
    assert len(re.findall(r"(?<!\\)\|", row)) == 5


def test_long_tables_are_folded_in_markdown(call, files):
    (files / "many.yaml").write_text(
        "version: 1\njobs:\n" + "".join(f'  j{n}: {{schedule: "{n} 1 * * *", run: x}}\n' for n in range(20))
    )
    out = call("plan", "many.yaml", "--against", "old.yaml", "--markdown").out
    assert "<details>\n<summary><b>Jobs</b>: 22 rows</summary>" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "NEW"),
        (["new.yaml", "--json", "--markdown"], "not both"),
        (["new.yaml", "--days", "400"], "more than a year"),
    ],
    ids=["no file", "two forms", "too far"],
)
def test_a_wrong_command_line_is_refused(call, files, words, said):
    result = call("plan", *words)
    assert result.code == 2
    assert said in result.err


def test_a_long_command_is_shown_where_it_begins_to_differ(call, files):
    for name, end in (("l1", "10"), ("l2", "20")):
        (files / f"{name}.yaml").write_text(OLD.replace("./load", f"./load {'--very-long ' * 20}--limit {end}"))
    line = next(line for line in call("plan", "l2.yaml", "--against", "l1.yaml").lines if "run:" in line)
    assert "--limit 10 → …" in line
    assert line.rstrip().split("  ")[-2 if "l2.yaml" in line else -1].endswith("--limit 20")


def test_a_folder_is_compared_as_if_it_stood_where_the_old_one_does(call, files):
    for name, texts in (("main", (GONE, "version: 1\njobs: {}\n")), ("branch", ("version: 1\njobs: {}\n", GONE))):
        (files / name).mkdir()
        for file, text in zip(("a.yaml", "b.yaml"), texts, strict=True):
            (files / name / file).write_text(text)
    result = call("plan", "branch", "--against", "main", "--exit-code")
    assert (result.code, result.lines[-1]) == (0, "nothing changes")
    assert "  =  nightly  in b.yaml, before in a.yaml: no effect" in result.lines
