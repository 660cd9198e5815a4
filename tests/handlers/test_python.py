"""`handler: python`."""

import re

import jsonschema
import pytest

from dagsched.handlers import schema_of
from dagsched.model import Outcome
from tests.handlers.attempts import attempt

MODULE = '''
import asyncio, os, sys

def plain(*args, **kwargs):
    print("called with", args, kwargs, file=sys.stderr)
    return {"rows": 12, "name": "x", "lines": "a\\nb", "none": None, "list": [1, "é"]}

async def waits(n):
    await asyncio.sleep(0)
    return n + 1

def nothing(): pass

def raises(): raise ValueError("no such week")

def leaves(): sys.exit(4)

def bad_name(): return {"a b": 1}

def not_json(): return {"a": object()}

class Report:
    @staticmethod
    def main(): return os.environ["DAGSCHED_JOB"]

value = 3
'''


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "reports.py").write_text(MODULE)
    (tmp_path / "broken.py").write_text("import no_such_module_anywhere\n")
    return tmp_path


@pytest.mark.parametrize(
    ("with_", "outputs", "log"),
    [
        pytest.param(
            {"function": "reports:plain", "args": [1, "b"], "kwargs": {"c": None}},
            {"rows": "12", "name": "x", "lines": "a\nb", "none": "null", "list": '[1, "é"]'},
            "called with (1, 'b') {'c': None}\n",
            id="mapping",
        ),
        pytest.param({"function": "reports:waits", "args": [1]}, {"result": "2"}, "", id="async, other value"),
        pytest.param({"function": "reports:nothing"}, {}, "", id="nothing"),
        pytest.param({"function": "reports:Report.main"}, {"result": "j"}, "", id="dotted name"),
    ],
)
def test_what_a_function_returns_becomes_outputs(folder, with_, outputs, log):
    exit, said = attempt(folder, "python", with_, cwd=folder)
    assert (exit.outcome, exit.outputs, said) == (Outcome.SUCCESS, outputs, log)


@pytest.mark.parametrize(
    ("function", "code", "says"),
    [
        pytest.param("reports:raises", 1, r"Traceback(.|\n)*ValueError: no such week", id="exception"),
        pytest.param("reports:leaves", 4, "^$", id="exit code of its own"),
        pytest.param("reports:bad_name", 1, "'a b' cannot be the name of an output", id="name of an output"),
        pytest.param("reports:not_json", 1, "object is not JSON serializable", id="value of an output"),
        pytest.param("no_such_module:f", 1, "^python handler: no module 'no_such_module'", id="module"),
        pytest.param("reports:absent", 1, "^python handler: module 'reports' has no 'absent'", id="function"),
        pytest.param("reports:value", 1, "^python handler: 'reports:value' is not a function", id="no function"),
        pytest.param("broken:f", 1, r"Traceback(.|\n)*no_such_module_anywhere", id="module that misses another"),
    ],
)
def test_failure_is_told_in_the_log(folder, function, code, says):
    exit, said = attempt(folder, "python", {"function": function}, cwd=folder)
    assert (exit.outcome, exit.exit_code, exit.outputs) == (Outcome.FAILED, code, {})
    assert re.search(says, said), said


@pytest.mark.parametrize(
    ("with_", "good"),
    [
        ({"function": "a.b:c.d", "args": [], "kwargs": {}}, True),
        ({"function": "a:b"}, True),
        ({"function": "a"}, False),
        ({"function": "a:b()"}, False),
        ({}, False),
        ({"function": "a:b", "arguments": []}, False),
    ],
)
def test_schema_says_what_with_may_hold(with_, good):
    assert jsonschema.Draft202012Validator(schema_of("python")).is_valid(with_) is good


def test_module_is_found_in_the_folder_that_path_names(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "inner.py").write_text("def where(): return {'file': __file__}\n")
    exit, _ = attempt(tmp_path, "python", {"function": "inner:where", "path": "src"}, cwd=tmp_path)
    assert exit.outputs["file"] == str(tmp_path / "src" / "inner.py")
