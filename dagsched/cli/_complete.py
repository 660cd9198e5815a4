"""`dagsched _complete -- WORDS…`: what the last word may become, one per line; called by the shell's script.

It reads the parsers of the commands, so a new option needs no second list. Whatever is wrong (a broken job
file, an unknown command) offers nothing: a shell in the middle of a line is no place for complaints.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

from dagsched.cli import COMMANDS, load
from dagsched.cli.output import printable
from dagsched.cli.parser import Parser
from dagsched.cli.places import load_config_if_any
from dagsched.errors import DagschedError

_NAMES_OF_JOBS = ("JOB", "RUN")


def arguments(parser: Parser) -> None:
    parser.add_argument("words", nargs="*")


def run(args: argparse.Namespace) -> int:
    try:
        found = list(candidates(args.words))
    except (DagschedError, OSError):
        return 0
    for word in found:
        print(printable(word))
    return 0


def candidates(words: Sequence[str]) -> Iterable[str]:
    """Return what the last of the words may become; the words follow `dagsched`."""
    *before, last = words or [""]
    if not before:
        known: Iterable[str] = [*(name for name, line in COMMANDS.items() if line), "--help", "--version"]
    elif before[0] in COMMANDS:
        known = _of_command(before[0], before[1:], last)
    else:
        known = ()
    return [word for word in known if word.startswith(last)]


def _of_command(name: str, before: Sequence[str], last: str) -> Iterable[str]:
    parser = Parser(name, "")
    load(name).arguments(parser)
    if before and (action := parser.takes_value(before[-1])) is not None:
        return _values(action, parser, before)
    if last.startswith("-"):
        return [*parser.options()]
    if (open_ended := _open_ended(parser, before)) is not None:
        return _values(open_ended, parser, before)
    return _values_of_positional(parser, before)


def _open_ended(parser: Parser, before: Sequence[str]) -> argparse.Action | None:
    """Return the option whose list of values is still going on, as in `run --once extract …`."""
    for word in reversed(before):
        if word.startswith("-"):
            action = parser.takes_value(word)
            return action if action is not None and action.nargs in ("*", "+") else None
    return None


def _values_of_positional(parser: Parser, before: Sequence[str]) -> Iterable[str]:
    actions = parser.positionals()
    if not actions:
        return ()
    place = len(_plain_words(parser, before))
    if place >= len(actions) and actions[-1].nargs not in ("*", "+"):
        return ()
    return _values(actions[min(place, len(actions) - 1)], parser, before)


def _plain_words(parser: Parser, before: Sequence[str]) -> list[str]:
    """Return the words that are neither options nor their values."""
    plain, skip = [], False
    for word in before:
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = parser.takes_value(word) is not None and "=" not in word
        else:
            plain.append(word)
    return plain


def _values(action: argparse.Action, parser: Parser, before: Sequence[str]) -> Iterable[str]:
    if action.choices:
        return [str(choice) for choice in action.choices]
    if action.metavar in _NAMES_OF_JOBS:
        config = load_config_if_any(_files(parser, before))
        return list(config.jobs) if config else ()
    return ()


def _files(parser: Parser, before: Sequence[str]) -> list[Path]:
    """Return the job files that the line names so far: after `--file`, or as PATH."""
    named = [Path(word) for option, word in pairwise(before) if option == "--file"]
    if not named and any(action.metavar == "PATH" for action in parser.positionals()):
        named = [Path(word) for word in _plain_words(parser, before)]
    return named
