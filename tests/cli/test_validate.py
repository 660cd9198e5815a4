"""`validate`, `schema` and `init`: the commands that need nothing but files."""

from __future__ import annotations

import json

import pytest

from tests.cli.test_main import HEAVY, python

GOOD = "version: 1\njobs:\n  a: {run: x}\n"
WARNED = 'version: 1\ntimezone: America/New_York\njobs:\n  a: {schedule: "30 2 * * *", run: x}\n'
BAD = "version: 1\njobs:\n  a: {run: x, depends_on: [b]}\n"


@pytest.mark.parametrize(
    ("text", "words", "code"),
    [
        pytest.param(GOOD, [], 0, id="good"),
        pytest.param(GOOD, ["--strict"], 0, id="good, strict"),
        pytest.param(WARNED, [], 0, id="warned"),
        pytest.param(WARNED, ["--strict"], 1, id="warned, strict"),
        pytest.param(BAD, [], 3, id="bad"),
        pytest.param(BAD, ["--strict"], 3, id="bad, strict"),
    ],
)
def test_the_exit_code_says_whether_the_files_can_be_used(call, here, text, words, code):
    (here / "jobs.yaml").write_text(text)
    result = call("validate", *words)
    assert result.code == code
    assert bool(result.out) == (text != GOOD)


def test_problems_are_on_stdout_with_place_excerpt_and_fix(call, here):
    (here / "jobs.yaml").write_text(BAD)
    result = call("validate")
    assert result.lines[0].startswith("jobs.yaml:3:28: error E")
    assert "^" in result.lines[2]
    assert result.err == ""


def test_json_rows_have_exactly_the_promised_keys(call, here):
    (here / "jobs.yaml").write_text(BAD)
    [row] = call("validate", "--json").rows
    assert list(row) == ["file", "line", "column", "end_column", "code", "severity", "message", "why", "fix"]
    assert call("validate", "--format", "json").rows == [row]


@pytest.mark.parametrize("format", ["human", "json", "github", "sarif"])
def test_every_format_prints_something_about_a_bad_file(call, here, format):
    (here / "jobs.yaml").write_text(BAD)
    result = call("validate", "--format", format)
    assert (result.code, "jobs.yaml" in result.out) == (3, True)


def test_files_are_found_by_name_environment_and_habit(call, here, monkeypatch):
    (here / "jobs.yaml").write_text(BAD)
    (here / "dagsched.yaml").write_text(GOOD)
    (here / "other").mkdir()
    (here / "other" / "x.yaml").write_text(WARNED)
    assert call("validate", "--strict").code == 0
    monkeypatch.setenv("DAGSCHED_FILE", "other")
    assert call("validate", "--strict").code == 1
    assert call("validate", "jobs.yaml").code == 3


def test_validate_imports_no_web_client_no_store_and_no_rich(here):
    (here / "jobs.yaml").write_text(BAD)
    code = "import sys\nfrom dagsched.cli import main\nmain(['validate'])\nprint('\\n', *sys.modules)"
    loaded = set(python(code).splitlines()[-1].split())
    assert "dagsched.config" in loaded
    assert not loaded & {*HEAVY, "dagsched.stores"}


def test_validate_of_good_files_waits_for_no_generated_classes(here):
    (here / "jobs.yaml").write_text(WARNED)
    code = "import sys\nfrom dagsched.cli import main\nmain(['validate'])\nprint('\\n', *sys.modules)"
    loaded = set(python(code).splitlines()[-1].split())
    assert "dagsched.config" in loaded
    assert not loaded & {"dataclasses", "inspect", "jsonschema", "dagsched.model"}


def test_schema_prints_the_one_grammar(call):
    document = call("schema").json
    assert document["$schema"].startswith("https://json-schema.org/")
    assert "jobs" in document["properties"]


def test_init_writes_a_file_that_is_valid_and_has_the_editors_line(call, here):
    result = call("init", "new folder")
    file = here / "new folder" / "jobs.yaml"
    assert (result.code, result.out) == (0, "new folder/jobs.yaml\n")
    first = file.read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=.dagsched-schema.json"
    assert json.loads((file.parent / ".dagsched-schema.json").read_text()) == call("schema").json
    assert call("validate", str(file.parent), "--strict").code == 0
    assert call("validate", str(file), "--strict").code == 0


def test_init_never_overwrites(call, here):
    (here / "jobs.yaml").write_text("mine")
    result = call("init")
    assert (result.code, result.out) == (2, "")
    assert "never overwrites" in result.err
    assert [file.name for file in here.iterdir()] == ["jobs.yaml"]
    assert (here / "jobs.yaml").read_text() == "mine"
