"""The command line: a table of commands, each one file that is loaded only when it is chosen.

A command is a module `cli/<name>.py` with two functions: `arguments(parser)` declares what it takes,
`run(args) -> int` does it and returns the exit code. Everything a command may raise ends here as one
line on stderr:

    0    ok                                    3    the configuration is invalid
    1    findings, or a run did not succeed    4    the state or the daemon cannot be used
    2    the command line is wrong             130  interrupted

A new command is its file and one line in `COMMANDS`; names that start with `_` are not for people.
"""

from __future__ import annotations

import importlib
import os
import sys

import dagsched
from dagsched.errors import ConfigInvalid, DagschedError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import ModuleType

COMMANDS = {
    "init": "write a small jobs.yaml that runs",
    "import": "make a job file of crontabs, systemd timers or DAGs of Dagu",
    "validate": "check job files and report every problem",
    "config": "print jobs as they are in effect, with who says what",
    "schema": "print the JSON Schema of job files",
    "run": "run the daemon, or everything once with --once",
    "worker": "do jobs that the scheduler hands to workers",
    "workers": "list the workers, what they serve and how busy they are",
    "plan": "show what an edit would change, before it is applied",
    "next": "show coming ticks, in UTC and local time",
    "simulate": "let the coming days pass on a virtual clock",
    "graph": "show who waits for whom",
    "status": "show the daemon, the configuration and every job",
    "history": "list runs and ticks that were left out",
    "show": "show one run with its attempts and upstream runs",
    "logs": "print what a run wrote",
    "why": "say why a job did or did not run",
    "events": "list the event log",
    "notifications": "list what people were told, and what could not be delivered",
    "notify": "send a test message to a notifier",
    "stats": "show counts, success rates and durations",
    "metrics": "print figures for Prometheus",
    "trigger": "run a job now",
    "emit": "say that an event has happened, which jobs may be scheduled on",
    "cancel": "stop a run for good",
    "rerun": "run an ended run again",
    "backfill": "run ticks of the past that never ran",
    "pause": "let a job's ticks pass until it is resumed",
    "resume": "end a pause",
    "ack": "acknowledge a failed run",
    "stop": "stop the daemon",
    "reload": "read the job files again now",
    "prune": "delete old runs",
    "db": "bring a shared store up to date, or say what is in it",
    "token": "make, list and revoke tokens for the API",
    "open": "log a browser in to the running daemon",
    "doctor": "check environment, time zones, state and permissions",
    "completion": "print the completion script of a shell",
    "man": "print the manual page",
    "_complete": "",
}
"""Name → one line of help, in the order in which `dagsched --help` lists them."""


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says (default: this process's) and return the exit code; raises nothing."""
    words = list(sys.argv[1:] if argv is None else argv)
    _never_fail_on_encoding()
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (`head`, a closed pager) has what it wanted. What is left in the buffer must not
        # raise again when the interpreter flushes it at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except ConfigInvalid as error:
        return _report_problems(error)
    except DagschedError as error:
        return _complain(str(error), error.exit_code)
    except OSError as error:
        return _complain(_in_words(error), 4)
    return code


def load(name: str) -> ModuleType:
    """Return the module of a command of the table."""
    # `import` is no name a module can be imported by in a program; its file has a _ behind it.
    return importlib.import_module(f"dagsched.cli.{name}{'_' if name == 'import' else ''}")


def parse(name: str, words: Sequence[str]) -> tuple[ModuleType, argparse.Namespace]:
    """Return a command and its parsed arguments; raises UsageError, or SystemExit after `--help`."""

    from dagsched.cli.parser import Parser

    command = load(name)
    parser = Parser(name, COMMANDS[name])
    command.arguments(parser)
    return command, parser.parse_args(words)


def _dispatch(words: Sequence[str]) -> int:
    first = words[0] if words else "--help"
    if first in ("--version", "-V"):
        print(f"dagsched {dagsched.__version__}")
        return 0
    if first in ("--help", "-h", "help"):
        return _help(words[1:])
    if first not in COMMANDS:
        raise _no_such_command(first)
    try:
        command, args = parse(first, words[1:])
    except SystemExit as exit:  # argparse has printed the help
        return int(exit.code or 0)
    return _run_on_store(command, args)


def _run_on_store(command: ModuleType, args: argparse.Namespace) -> int:
    """Run a command with `--store` and `--namespace` where this process and those that it starts look for them."""
    names = {"store": "DAGSCHED_STORE", "namespace": "DAGSCHED_NAMESPACE"}
    before = {variable: os.environ.get(variable) for variable in names.values()}
    for name, variable in names.items():
        if isinstance(value := getattr(args, name, None), str):
            os.environ[variable] = value
    try:
        code: int = command.run(args)
    finally:
        for variable, value in before.items():
            os.environ.pop(variable, None)
            if value is not None:
                os.environ[variable] = value
    return code


def _help(words: Sequence[str]) -> int:
    if words:
        return _dispatch([words[0], "--help"])
    print("usage: dagsched COMMAND [ARGUMENTS]\n\nRuns jobs declared in YAML, and knows why.\n")
    for name, line in COMMANDS.items():
        if line:
            print(f"  {name:<14}{line}")
    print("\n`dagsched COMMAND --help` says what it takes, `dagsched --version` the version.")
    return 0


def _no_such_command(word: str) -> UsageError:
    if word.startswith("-"):
        return UsageError(f"unknown option {word!r} before the command; options follow it: COMMAND {word}")
    from dagsched.cli.parser import did_you_mean

    known = [name for name, line in COMMANDS.items() if line]
    return UsageError(f"unknown command {word!r}{did_you_mean(word, known)} (`dagsched --help` lists all)")


def _never_fail_on_encoding() -> None:
    # A terminal in Latin-1 cannot show every job's description; a `?` is better than a traceback.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _report_problems(error: ConfigInvalid) -> int:
    from dagsched.cli.output import complain
    from dagsched.config import render

    if error.problems:
        text = render(error.problems, "human", color=_may_color_stderr())
        print(text.rstrip("\n"), file=sys.stderr)
    else:
        complain(str(error))
    return error.exit_code


def _may_color_stderr() -> bool:
    from dagsched.cli.output import may_color

    return may_color(sys.stderr)


def _complain(message: str, exit_code: int) -> int:
    from dagsched.cli.output import complain

    complain(message)
    return exit_code


def _in_words(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what
