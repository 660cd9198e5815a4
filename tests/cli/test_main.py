"""The front door: table of commands, exit codes, errors as one line, and what is not imported."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import dagsched
from dagsched.cli import COMMANDS, main
from dagsched.errors import StoreReadOnly


def test_version_is_one_line(call):
    result = call("--version")
    assert (result.code, result.out) == (0, f"dagsched {dagsched.__version__}\n")


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_help_lists_every_command_for_people(call, words):
    result = call(*words)
    assert result.code == 0
    for name, line in COMMANDS.items():
        assert (f"  {name:<14}{line}" in result.lines) == (not name.startswith("_"))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_has_help(call, name):
    result = call(name, "--help")
    assert result.code == 0
    assert result.out.startswith(f"usage: dagsched {name}")


def test_every_file_with_arguments_is_in_the_table():
    folder = Path(importlib.import_module("dagsched.cli").__file__).parent
    commands = {file.stem.removesuffix("_") for file in folder.glob("*.py") if "\ndef arguments(" in file.read_text()}
    assert commands == set(COMMANDS)


def test_help_of_a_command_may_be_asked_for_first(call):
    assert call("help", "next").out == call("next", "--help").out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        pytest.param(["histroy"], "unknown command 'histroy'; did you mean 'history'?", id="command"),
        pytest.param(["--json"], "unknown option '--json' before the command", id="before command"),
        pytest.param(["history", "--jsn"], "unknown option '--jsn'; did you mean '--json'?", id="option"),
        pytest.param(["history", "--sinc=2h"], "unknown option '--sinc'; did", id="abbreviation"),
        pytest.param(["schema", "extra"], "unexpected argument 'extra'", id="argument"),
        pytest.param(["show"], "the following arguments are required: RUN", id="missing"),
        pytest.param(["history", "--limit", "-3"], "--limit: invalid count value: '-3'", id="negative"),
        pytest.param(["graph", "--format", "png"], "--format: invalid choice: 'png'", id="choice"),
    ],
)  # fmt: skip
def test_a_wrong_command_line_is_one_clear_line_and_exit_2(call, words, said):
    result = call(*words)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert result.err.startswith("dagsched: error: ")
    assert result.err.count("\n") == 1


def failing(error: BaseException):
    def run(args: object) -> int:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(StoreReadOnly("the state is read-only"), 4, "the state is read-only", id="dagsched"),
        pytest.param(OSError(28, "No space left on device", "/x"), 4, "/x: No space left on device", id="os"),
    ],
)
def test_errors_are_a_line_on_stderr_and_their_exit_code(call, monkeypatch, error, code, said):
    monkeypatch.setattr("dagsched.cli.completion.run", failing(error))
    result = call("completion", "bash")
    assert (result.code, result.out, result.err) == (code, "", f"dagsched: error: {said}\n")


def test_an_interrupt_exits_130_silently(call, monkeypatch):
    monkeypatch.setattr("dagsched.cli.completion.run", failing(KeyboardInterrupt()))
    result = call("completion", "bash")
    assert (result.code, result.out, result.err) == (130, "", "")


def test_a_defect_of_our_own_is_not_hidden(monkeypatch):
    monkeypatch.setattr("dagsched.cli.completion.run", failing(ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        main(["completion", "bash"])


def python(code: str) -> str:
    """Run code in a fresh interpreter that treats warnings as errors, and return what it printed."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


HEAVY = (
    "httpx",
    "rich",
    "asyncio",
    "aiosqlite",
    "sqlite3",
    "watchfiles",
    "http.client",
    "uvicorn",
    "starlette",
)


def test_version_imports_next_to_nothing():
    loaded = python("import sys\nfrom dagsched.cli import main\nmain(['--version'])\nprint(*sys.modules)").split()
    assert not set(loaded) & {*HEAVY, "yaml", "argparse", "jsonschema", "croniter"}


def test_the_end_of_a_pipe_is_no_error(here):
    dagsched_help = f"'{sys.executable}' -m dagsched events --since 0 --help"
    done = subprocess.run(
        ["sh", "-c", f"({dagsched_help}; echo code $? >&2) | :"], capture_output=True, text=True, timeout=60
    )
    assert (done.stderr, done.returncode) == ("code 0\n", 0)


def test_a_terminal_that_knows_few_letters_gets_question_marks(here):
    (here / "x").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "dagsched", "show", "–"],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "PATH": "/usr/bin:/bin", "DAGSCHED_STATE_DIR": str(here)},
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (2, b"dagsched: error: unknown run '?'\n")


@pytest.mark.parametrize(
    ("words", "code", "out"),
    [
        pytest.param("['--version']", 0, f"dagsched {dagsched.__version__}", id="fine"),
        pytest.param("['nonsense']", 2, "", id="wrong"),
    ],
)
def test_a_command_ends_with_its_code_its_words_and_what_was_registered(words, code, out):
    # Its own end passes over the interpreter's, in which this object would speak up.
    program = (
        "import atexit, sys, threading\nfrom dagsched.__main__ import program\n"
        "class Taken:\n    def __del__(self): print('taken apart')\n"
        "kept = Taken()\natexit.register(print, 'registered')\n"
        "threading.Timer(0.1, print, ['waited for']).start()\n"
        f"sys.argv[1:] = {words}\nprogram()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.split("\n"), done.returncode) == ([*filter(None, [out]), "waited for", "registered", ""], code)
