"""Arguments shared by commands, and an argparse that raises one clear sentence instead of printing usage."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from dagsched.closest import get_close_matches
from dagsched.errors import UsageError


class Parser(argparse.ArgumentParser):
    """The parser of one command. Abbreviated options are refused: a new option would change their meaning."""

    def __init__(self, command: str, help_line: str) -> None:
        super().__init__(
            prog=f"dagsched {command}",
            description=help_line[:1].upper() + help_line[1:] + ".",
            allow_abbrev=False,
            formatter_class=_formatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}")

    # The signature of argparse's method is overloaded over the type of the namespace; ours is the plain one.
    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """Parse, and name the nearest option for one that does not exist; raises UsageError."""
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(f"{self._what_is_wrong(unknown[0])} (`{self.prog} --help` says what it takes)")
        return parsed

    def options(self) -> list[str]:
        """Return every long option."""
        return [text for action in self._actions for text in action.option_strings if text.startswith("--")]

    def positionals(self) -> list[argparse.Action]:
        """Return the actions of arguments without a name, in order."""
        return self._get_positional_actions()

    def takes_value(self, option: str) -> argparse.Action | None:
        """Return the action of an option if a value follows it."""
        action = self._option_string_actions.get(option)
        return action if action is not None and action.nargs != 0 else None

    def _what_is_wrong(self, word: str) -> str:
        if word.startswith("-"):
            name = word.partition("=")[0]
            return f"unknown option {name!r}{did_you_mean(name, self.options())}"
        return f"unexpected argument {word!r}"


def _formatter(prog: str) -> argparse.HelpFormatter:
    # argparse makes one for every argument that is declared, and finds the width by `shutil`, whose import takes longer
    # than all of the parsing.
    return argparse.HelpFormatter(prog, width=_columns() - 2)


def _columns() -> int:
    """Return how wide the terminal is, as `shutil.get_terminal_size` does."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told):
        return int(told)
    try:
        return os.get_terminal_size(sys.__stdout__.fileno()).columns or 80 if sys.__stdout__ else 80
    except (OSError, ValueError):  # no terminal, or closed
        return 80


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest known word, or "" when none is near."""
    nearest = get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def add_json(parser: Parser, what: str = "one JSON document") -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help=f"print {what} instead of text for people")


def add_paths(parser: Parser) -> None:
    """Add PATH… for commands that are about job files."""
    parser.add_argument(
        "paths",
        metavar="PATH",
        nargs="*",
        type=Path,
        help="job file or directory (default: $DAGSCHED_FILE, then dagsched.yaml, then jobs.yaml)",
    )


def add_file(parser: Parser) -> None:
    """Add `--file PATH`, for commands whose arguments are jobs or runs."""
    parser.add_argument(
        "--file",
        dest="paths",
        metavar="PATH",
        action="append",
        default=[],
        type=Path,
        help="job file or directory; may be repeated (default: $DAGSCHED_FILE, dagsched.yaml, jobs.yaml)",
    )


def add_state_dir(parser: Parser) -> None:
    """Add `--state-dir`."""
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        help="where the state lives (default: $DAGSCHED_STATE_DIR, then .dagsched beside the job file)",
    )
    add_store(parser)


def add_store(parser: Parser) -> None:
    """Add `--store` and `--namespace`: where the state is that several machines share."""
    parser.add_argument(
        "--store",
        metavar="URL",
        help="postgresql://USER@HOST/DATABASE, or sqlite: for the state directory (default: $DAGSCHED_STORE, then "
        "what the daemon of this state directory uses)",
    )
    parser.add_argument(
        "--namespace",
        metavar="NAME",
        help="which state of that server is meant (default: $DAGSCHED_NAMESPACE, then default)",
    )


def add_url(parser: Parser) -> None:
    """Add `--url` and `--token`, for commands that can ask a daemon elsewhere."""
    parser.add_argument(
        "--url",
        metavar="URL",
        help="a daemon elsewhere: http://HOST:PORT, or unix:PATH/api.sock (default: $DAGSCHED_URL, else this machine)",
    )
    parser.add_argument("--token", metavar="TOKEN", help="who is asking there (default: $DAGSCHED_TOKEN)")


def count(text: str) -> int:
    """Read a whole number that is not negative; argparse words its ValueError as `invalid count value`."""
    number = int(text)
    if number < 0:
        raise ValueError(text)
    return number


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Return `--param K=V` arguments as texts by name; raises UsageError for one of another form."""
    found = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise UsageError(f"--param {word!r}: write it as name=value")
        found[name] = text
    return found
