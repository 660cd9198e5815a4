"""Handlers that installed packages bring."""

import sys

import pytest

from dagsched.errors import HandlerError
from dagsched.handlers import find, names, schema_of
from dagsched.model import Outcome
from tests.handlers.attempts import attempt

PLUGIN = '''
import json
SCHEMA = {"type": "object", "required": ["n"]}

async def run(context):
    print(json.dumps(context, sort_keys=True))
    return {"twice": 2 * context["with"]["n"]}
'''


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder with an installed package that brings handlers, on the path of this and of child processes."""
    folder = tmp_path / "site"
    info = folder / "twice-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "twice_plugin.py").write_text(PLUGIN)
    (folder / "broken_plugin.py").write_text("raise RuntimeError('half installed')\n")
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: twice\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[dagsched.handlers]\ntwice = twice_plugin\nbroken = broken_plugin\nempty = json:loads\n"
    )
    monkeypatch.syspath_prepend(folder)
    yield folder
    for name in ("twice_plugin", "broken_plugin"):
        sys.modules.pop(name, None)


def test_plug_in_is_known_by_its_name_and_schema(site):
    assert {"http", "python", "shell", "twice"} <= set(names())
    assert schema_of("twice") == {"type": "object", "required": ["n"]}


def test_plug_in_runs_with_the_whole_context_and_gives_outputs(tmp_path, site):
    exit, log = attempt(tmp_path, "twice", {"n": 21}, env={"PYTHONPATH": str(site)})
    assert (exit.outcome, exit.outputs) == (Outcome.SUCCESS, {"twice": "42"}), log
    assert '"attempt": 1' in log
    assert '"with": {"n": 21}' in log
    assert '"outputs": "/' in log


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("twise", "there is no handler 'twise'; did you mean 'twice'?"),
        ("broken", "handler 'broken' (broken_plugin) does not load: RuntimeError('half installed')"),
        ("empty", "has no function `run(context)`"),
    ],
)
def test_plug_in_that_cannot_be_used_says_why(tmp_path, site, name, says):
    with pytest.raises(HandlerError) as caught:
        find(name)
    assert says in str(caught.value)
    exit, log = attempt(tmp_path, name, {}, env={"PYTHONPATH": str(site)})
    assert (exit.outcome, exit.exit_code) == (Outcome.FAILED, 2)
    assert says in log


def test_handlers_are_loaded_only_when_used():
    code = "import sys, dagsched.handlers; assert not {'httpx', 'asyncio'} & set(sys.modules), sys.modules.keys()"
    import subprocess

    subprocess.run([sys.executable, "-c", code], check=True)
