"""Templates of one file for the jobs of others."""

from __future__ import annotations

import subprocess
import sys

import pytest

from dagsched.config import Loader, load_texts
from dagsched.config.part import Part
from dagsched.config.schedules import Schedules
from dagsched.config.shelf import Shelf
from tests.config.texts import NOW

SHARED = "templates:\n  t:\n    params: {table: {type: string}}\n    run: [x, '${{ table }}']\n    timeout: 1h\n"


def load_files(**texts: str):
    return load_texts({f"/srv/{name}.yaml": text for name, text in texts.items()}, NOW)


def told(loaded) -> list[str]:
    return [f"{each.file[5]} {each.code} {each.line}:{each.column} {each.message}" for each in loaded.problems]


def test_template_of_another_file_can_be_used_and_a_file_of_templates_needs_no_jobs():
    loaded = load_files(a="jobs: {j: {extends: t, values: {table: one}}}\n", b=SHARED)
    assert loaded.config is not None
    assert not loaded.problems
    assert (loaded.config.jobs["j"].run, loaded.config.jobs["j"].position.file) == (("x", "one"), "/srv/a.yaml")


def test_problem_in_a_template_of_another_file_stands_in_that_file():
    loaded = load_files(
        a="jobs: {j: {extends: t, values: {table: one}}, k: {extends: t, values: {table: one}}}\n",
        b=SHARED.replace("1h", "1"),
        c="jobs: {l: {extends: t, values: {table: one}}}\n",
    )
    assert told(loaded) == ["b E303 5:14 1 is no length of time (job 'j' and 2 more)"]


@pytest.mark.parametrize("template", ["5", "{run: x, matrix: [1]}", "{run: x, values: 5}", "{run: x, extends: [[1]]}"])
def test_template_of_another_file_that_has_not_the_right_form_is_told_there_alone(template):
    loaded = load_files(a="jobs: {j: {extends: t}}\n", b=f"templates: {{t: {template}}}\n")
    assert {(problem.file, problem.code) for problem in loaded.problems} == {("/srv/b.yaml", "E103")}


def test_own_template_comes_before_that_of_another_file():
    loaded = load_files(a="templates: {t: {run: own}}\njobs: {j: {extends: t}}\n", b=SHARED)
    assert loaded.config is not None
    assert loaded.config.jobs["j"].run == "own"
    assert told(loaded) == ["b W401 2:3 no job uses the template 't'"]


def test_template_that_two_other_files_have_is_refused():
    loaded = load_files(a="jobs: {j: {extends: t}}\n", b=SHARED, c=SHARED)
    assert [line for line in told(loaded) if " E" in line] == [
        "a E413 1:21 several files have a template 't' (job 'j')"
    ]


def test_templates_of_a_file_that_cannot_be_read_are_not_called_unknown():
    loaded = load_files(a="jobs: {j: {extends: t, values: {table: one}}}\n", b="templates: [\n")
    assert [problem.code for problem in loaded.problems] == ["E005"]


def test_jobs_of_another_files_matrix_can_be_waited_for_together():
    loaded = load_files(a="jobs: {k: {run: x, depends_on: [j]}}\n", b="jobs: {j: {run: x, matrix: {a: [1, 2]}}}\n")
    assert loaded.config is not None
    assert [edge.job for edge in loaded.config.jobs["k"].depends_on] == ["j.1", "j.2"]


def test_id_of_a_matrix_is_taken():
    matrix = "jobs: {j: {run: x, matrix: {a: [1]}}}\n"
    assert told(load_files(a="jobs: {j: {run: x}}\n", b=matrix)) == ["b E203 1:8 the job 'j' is declared twice"]
    assert "E203" in {problem.code for problem in load_files(a=matrix, b=matrix.replace("1", "2")).problems}


USER = "jobs: {j: {extends: t, values: {table: one}}}\n"


def test_only_files_that_use_a_template_are_made_anew_when_it_changes():
    loader = Loader()
    files = {"/srv/a.yaml": USER, "/srv/b.yaml": SHARED, "/srv/c.yaml": "jobs: {other: {run: x}}\n"}
    before = loader.load(files, NOW).config
    after = loader.load({**files, "/srv/b.yaml": SHARED.replace("1h", "2h")}, NOW).config
    assert before is not None
    assert after is not None
    assert after.jobs["other"] is before.jobs["other"]
    assert [str(config.jobs["j"].timeout) for config in (before, after)] == ["1:00:00", "2:00:00"]


def test_place_of_a_remark_in_a_template_follows_the_template():
    loader = Loader()
    doubtful = SHARED.replace("    timeout: 1h\n", "    schedule: {every: 2d}\n")
    files = {"/srv/a.yaml": USER, "/srv/b.yaml": doubtful}
    assert told(loader.load(files, NOW)) == [f"b W309 5:23 {EVERY}"]
    assert told(loader.load({**files, "/srv/b.yaml": "# a comment\n" + doubtful}, NOW)) == [f"b W309 6:23 {EVERY}"]


EVERY = (
    load_texts({"/srv/b.yaml": "jobs: {j: {run: x, schedule: {every: 2d}}}\n"}, NOW).problems[0].message + " (job 'j')"
)


def test_jobs_of_a_grown_matrix_reach_those_that_wait_for_it_in_files_that_did_not_change():
    loader = Loader()
    files = {
        "/srv/a.yaml": "jobs: {k: {run: x, depends_on: [j]}}\n",
        "/srv/b.yaml": "jobs: {j: {run: x, matrix: {a: [1]}}}\n",
    }
    loader.load(files, NOW)
    after = loader.load({**files, "/srv/b.yaml": files["/srv/b.yaml"].replace("[1]", "[1, 2]")}, NOW).config
    assert after is not None
    assert [edge.job for edge in after.jobs["k"].depends_on] == ["j.1", "j.2"]


def test_what_was_let_go_is_made_again_with_the_same_places():
    parts = [Part(f"/srv/{name}.yaml", name, text) for name, text in (("a", USER), ("b", SHARED))]
    shelf = Shelf({part.raw: part.templates for part in parts if part.raw is not None})
    for part in parts:
        part.write_out(shelf)
        part.build({}, Schedules())
    document = parts[0].document
    assert document is not None
    paths = [
        ("jobs", "j"),
        ("jobs", "j", "run", 1),
        ("jobs", "j", "params", "table", "default"),
        ("jobs", "j", "timeout"),
    ]
    before = [(document.value_at(path), document.source.at(document.index(path))) for path in paths]
    for part in parts:
        part.let_go()
    assert [(document.value_at(path), document.source.at(document.index(path))) for path in paths] == before
    assert [place for _, place in before] == ["a:1:11", "b:4:14", "a:1:40", "b:5:14"]


def test_plain_files_load_nothing_of_templates_and_matrices():
    program = """
import sys
from datetime import UTC, datetime
from dagsched.config import load_texts
assert load_texts({"/jobs.yaml": "jobs: {a: {run: x}}"}, datetime.now(UTC)).config
print(*(name for name in sys.modules if name.startswith("dagsched.config.")))
"""
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    names = {name.rpartition(".")[2] for name in loaded}
    assert "part" in names
    assert not names & {"patterns", "layers", "matrix", "names", "placeholders", "shelf", "woven", "effective"}
