"""`dagsched man`: the manual page of all commands, in roff, written from the commands' own parsers."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import dagsched
from dagsched.cli import COMMANDS, load
from dagsched.cli.parser import Parser

_EXIT_CODES = (
    ("0", "done"),
    ("1", "findings, or a run that did not succeed, or something the daemon refused"),
    ("2", "the command line is wrong, or names something unknown"),
    ("3", "the configuration is invalid"),
    ("4", "the state or the daemon cannot be used"),
    ("130", "interrupted"),
)
_VARIABLES = (
    ("DAGSCHED_FILE", "the job file or directory where none is named"),
    ("DAGSCHED_STATE_DIR", "where the state lives"),
    ("DAGSCHED_STORE", "the store, as --store takes it"),
    ("DAGSCHED_NAMESPACE", "the namespace of a shared store"),
    ("DAGSCHED_URL", "a daemon elsewhere, as --url takes it"),
    ("DAGSCHED_TOKEN", "who is asking there"),
    ("DAGSCHED_LOG_FORMAT", "how the daemon writes its log: text or json"),
    ("NO_COLOR", "if set, nothing is coloured"),
)


def arguments(parser: Parser) -> None:
    """Take nothing."""


def run(args: argparse.Namespace) -> int:
    print(page(), end="")
    return 0


def page() -> str:
    """Return the page: roff with the `man` macros, in ASCII, ending with a newline."""
    lines = [
        f'.TH DAGSCHED 1 "" "dagsched {_roff(dagsched.__version__)}" "User commands"',
        ".SH NAME",
        r"dagsched \- run jobs declared in YAML, and know why",
        ".SH SYNOPSIS",
        r".B dagsched",
        r".I COMMAND",
        r"[\fIARGUMENTS\fR]",
        ".SH COMMANDS",
    ]
    for name, said in COMMANDS.items():
        if said:
            lines += _command(name, said)
    lines += [".SH EXIT STATUS", *_terms(_EXIT_CODES), ".SH ENVIRONMENT", *_terms(_VARIABLES)]
    return "\n".join(lines) + "\n"


def _command(name: str, said: str) -> Iterator[str]:
    parser = Parser(name, said)
    load(name).arguments(parser)
    yield f".SS dagsched {_roff(name)}"
    yield _line(f"{said[:1].upper()}{said[1:]}.")
    for action in parser._actions:
        if action.help is argparse.SUPPRESS or "--help" in action.option_strings:
            continue
        yield ".TP"
        yield rf"\fB{_roff(_spelled(action))}\fR"
        yield _line(_help(action))


def _spelled(action: argparse.Action) -> str:
    value: str | tuple[str, ...] = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return value
    return ", ".join(f"{option} {value}".rstrip() for option in action.option_strings)


def _help(action: argparse.Action) -> str:
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def _terms(pairs: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, meaning in pairs:
        yield from (".TP", rf"\fB{_roff(term)}\fR", _line(meaning))


def _line(text: str) -> str:
    # At the beginning of a line a dot or an apostrophe would be a macro's; an empty line would end the paragraph.
    plain = _roff(" ".join(text.split()))
    return rf"\&{plain}"


def _roff(text: str) -> str:
    # Terminals without Unicode have no ellipsis.
    escaped = (
        text.replace("…", "...").replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    )
    return "".join(sign if sign.isascii() else f"\\[u{ord(sign):04X}]" for sign in escaped)
