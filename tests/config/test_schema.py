from __future__ import annotations

import re
from pathlib import Path

import jsonschema
import jsonschema_rs
import pytest

from dagsched.config import CODES, load_texts, schema
from tests.config.texts import NOW

DOCS = Path(__file__).parents[2] / "docs"


def test_schema_is_a_schema():
    jsonschema.Draft202012Validator.check_schema(schema())


def parts(node, path="#"):
    """Yield (path, schema) of every named key of the grammar."""
    if isinstance(node, dict):
        for name, part in (node.get("properties") or {}).items():
            if isinstance(part, dict) and "const" not in part.get("handler", {}):
                yield f"{path}/{name}", part
        for key, inner in node.items():
            if key not in ("examples", "default", "const", "enum", "if", "then"):
                yield from parts(inner, f"{path}/{key}")


def resolved(part):
    while "$ref" in part:
        part = {**schema()["$defs"][part["$ref"].rpartition("/")[2]], **{k: v for k, v in part.items() if k != "$ref"}}
    return part


KEYS = dict(parts({"properties": schema()["properties"]})) | dict(parts(schema()["$defs"], "#/$defs"))


@pytest.mark.parametrize("part", KEYS.values(), ids=KEYS.keys())
def test_key_has_a_description_and_examples_that_fit(part):
    whole = resolved(part)
    assert whole.get("description")
    assert whole.get("examples")
    validator = jsonschema_rs.Draft202012Validator({**part, "$defs": schema()["$defs"]}, offline=True)
    assert [example for example in whole["examples"] if not validator.is_valid(example)] == []


def test_each_code_is_told_once_in_the_docs():
    headings = re.findall(r"^### ([EW]\d{3})", (DOCS / "problems.md").read_text(), re.MULTILINE)
    assert sorted(headings) == sorted(CODES)
    assert len(set(headings)) == len(headings)


def test_each_key_of_a_job_is_told_in_the_docs():
    page = (DOCS / "job-file.md").read_text()
    assert [key for key in schema()["$defs"]["job"]["properties"] if f"`{key}`" not in page] == []


def yaml_blocks():
    for page in ("job-file.md", "patterns.md", "problems.md"):
        for number, block in enumerate(re.findall(r"^```yaml\n(.*?)^```", (DOCS / page).read_text(), re.S | re.M)):
            yield pytest.param(block, id=f"{page}-{number}")


@pytest.mark.parametrize("text", list(yaml_blocks()))
def test_yaml_of_the_docs_is_a_valid_job_file(text):
    loaded = load_texts({"/srv/jobs.yaml": text}, NOW)
    assert [problem.message for problem in loaded.problems if problem.is_error] == []
