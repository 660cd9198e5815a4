"""Problems as people, programs, GitHub and code-scanning tools read them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from dagsched import __version__
from dagsched.config.codes import CODES, severity_of
from dagsched.config.problem import Problem
from dagsched.counting import counted

SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RED, _YELLOW, _BOLD, _DIM, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[2m", "\x1b[0m"


def render(problems: Sequence[Problem], format: str, color: bool = False) -> str:
    """Return all problems as `human`, `json`, `github` or `sarif` text, ending with a line feed unless empty.

    json is one array of rows; github one workflow command a line; sarif one SARIF 2.1.0 log. Only human text
    is ever coloured. Raises KeyError for another format.
    """
    if format == "human":
        return _human(problems, color)
    return FORMATS[format](problems)


def _human(problems: Sequence[Problem], color: bool) -> str:
    if not problems:
        return ""
    return "\n".join([*(_block(problem, color) for problem in problems), _count(problems) + "\n"])


def _block(problem: Problem, color: bool) -> str:
    bold, dim, plain = (_BOLD, _DIM, _PLAIN) if color else ("", "", "")
    mark = "" if not color else _RED if problem.is_error else _YELLOW
    place = f"{printable(problem.file)}:{problem.line}:{problem.column}"
    lines = [f"{bold}{place}:{plain} {mark}{problem.severity} {problem.code}:{plain} {bold}{problem.message}{plain}"]
    if problem.excerpt:
        source, _, caret = problem.excerpt.partition("\n")
        lines += [source, f"{mark}{caret}{plain}"]
    lines += [f"  {dim}{label}:{plain} {text}" for label, text in (("why", problem.why), ("fix", problem.fix)) if text]
    return "\n".join(lines) + "\n"


def _count(problems: Sequence[Problem]) -> str:
    errors = sum(problem.is_error for problem in problems)
    warnings = len(problems) - errors
    parts = [counted(errors, "error")] * bool(errors) + [counted(warnings, "warning")] * bool(warnings)
    return ", ".join(parts)


def rows(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    """Return the problems as JSON-able rows: file line column end_column code severity message why fix."""
    names = ("file", "line", "column", "end_column", "code", "severity", "message", "why", "fix")
    return [{name: getattr(problem, name) for name in names} for problem in problems]


def _json(problems: Sequence[Problem]) -> str:
    return json.dumps(rows(problems), ensure_ascii=False, indent=2).encode(errors="replace").decode() + "\n"


def _github(problems: Sequence[Problem]) -> str:
    """Return workflow commands; escapes are those of the actions toolkit's command.ts."""
    lines = []
    for problem in problems:
        where = {"file": problem.file, "line": problem.line, "endLine": problem.line, "col": problem.column,
                 "endColumn": problem.end_column, "title": f"dagsched {problem.code}"}  # fmt: skip
        properties = ",".join(f"{name}={_property(str(value))}" for name, value in where.items())
        text = "\n".join(
            part for part in (problem.message, _labelled("why", problem.why), _labelled("fix", problem.fix)) if part
        )
        lines.append(f"::{problem.severity} {properties}::{_data(text)}\n")
    return "".join(lines)


def _labelled(label: str, text: str) -> str:
    return f"{label}: {text}" if text else ""


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(problems: Sequence[Problem]) -> str:
    codes = sorted({problem.code for problem in problems})
    driver = {
        "name": "dagsched",
        "version": __version__,
        "semanticVersion": __version__,
        "rules": [_rule(code) for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, codes.index(problem.code)) for problem in problems],
    }
    log = {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, ensure_ascii=False, indent=2).encode(errors="replace").decode() + "\n"


def _rule(code: str) -> dict[str, Any]:
    return {
        "id": code,
        "shortDescription": {"text": CODES[code]},
        "defaultConfiguration": {"level": severity_of(code)},
    }


def _result(problem: Problem, rule: int) -> dict[str, Any]:
    text = ". ".join(part.rstrip(".") for part in (problem.message, problem.why, problem.fix) if part)
    region: dict[str, Any] = {
        "startLine": problem.line,
        "startColumn": problem.column,
        "endLine": problem.line,
        "endColumn": problem.end_column,
    }
    place = {"artifactLocation": {"uri": _uri(problem.file)}, "region": region}
    return {
        "ruleId": problem.code,
        "ruleIndex": rule,
        "level": problem.severity,
        "message": {"text": text},
        "locations": [{"physicalLocation": place}],
    }


def _uri(file: str) -> str:
    """Return a URI reference: relative as the file was named, or file: for an absolute path."""
    path = quote(file.encode(errors="surrogateescape"), safe="/")
    return f"file://{path}" if file.startswith("/") else path


def printable(text: str) -> str:
    """Return the text with everything a terminal could act on made visible."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape", "replace").decode() for each in text)


FORMATS: dict[str, Callable[[Sequence[Problem]], str]] = {"json": _json, "github": _github, "sarif": _sarif}
