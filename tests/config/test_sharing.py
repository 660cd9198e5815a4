"""Templates of one file for the jobs of others."""

from __future__ import annotations

from dagsched.config import load_texts
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
