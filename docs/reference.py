"""Pages of reference, written from the program: its schema, its commands, its HTTP API.

`python docs/reference.py NAME` prints one of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from dagsched.api.openapi import written
from dagsched.cli import COMMANDS, load
from dagsched.cli.parser import Parser
from dagsched.config import schema


def job_file() -> str:
    """Return the reference of the job file: every key of the schema, with its type and what it means."""
    whole = schema()
    parts = ["# Every key of the job file", "From the schema that `validate` and editors use.", "## The file"]
    parts.append(_keys(whole["properties"], whole))
    for name, part in sorted(whole["$defs"].items()):
        found = _properties(part, whole)
        if found:
            parts += [f"## {part.get('title', name)}", part.get("description", ""), _keys(found, whole)]
    return _page(parts)


def _properties(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    found = dict(part.get("properties", {}))
    for branch in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        found = {**branch.get("properties", {}), **found}
    return found


def _keys(properties: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_cell(_kind(part, whole))} | {_cell(part.get('description') or _meant(part, whole))} |"
        for name, part in properties.items()
        if isinstance(part, dict)
    ]
    return "\n".join(["| key | value | |", "|---|---|---|", *rows])


def _target(part: Mapping[str, Any], whole: Mapping[str, Any]) -> Mapping[str, Any]:
    name = part.get("$ref", "").removeprefix("#/$defs/")
    return whole["$defs"].get(name, part) if name else part


def _meant(part: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    return str(_target(part, whole).get("description", ""))


def _kind(part: Mapping[str, Any], whole: Mapping[str, Any]) -> str:
    part = {**_target(part, whole), **{key: value for key, value in part.items() if key != "$ref"}}
    if "const" in part:
        return f"`{json.dumps(part['const'])}`"
    if "enum" in part:
        return ", ".join(f"`{value}`" for value in part["enum"])
    if part.get("title"):
        return str(part["title"])
    branches = part.get("anyOf") or part.get("oneOf")
    if branches and "type" not in part:
        return " or ".join(dict.fromkeys(filter(None, (_kind(each, whole) for each in branches))))
    kinds = part.get("type", "")
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def commands() -> str:
    """Return the reference of the command line: every command with every argument, as `--help` says it."""
    parts = [
        "# Every command",
        "As `dagsched COMMAND --help` says it. [The command line](../cli.md) says what each is for.",
    ]
    for name, line in COMMANDS.items():
        if line:
            parts += [f"## dagsched {name}", f"{line[:1].upper()}{line[1:]}.", _arguments(name)]
    return _page(parts)


def _arguments(name: str) -> str:
    parser = Parser(name, COMMANDS[name])
    load(name).arguments(parser)
    rows = [f"| {_spelled(action)} | {_cell(_help(parser, action))} |" for action in _actions(parser)]
    return "\n".join([f"    {parser.format_usage().removeprefix('usage: ').strip()}".replace("\n", "\n    ")]) + (
        "\n\n" + "\n".join(["| argument | |", "|---|---|", *rows]) if rows else ""
    )


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from _actions(inner)
        elif "--help" not in action.option_strings and action.help is not argparse.SUPPRESS:
            yield action


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")


def _spelled(action: argparse.Action) -> str:
    value = action.metavar or (action.dest.upper() if action.nargs != 0 else "")
    value = " ".join(value) if isinstance(value, tuple) else value
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{option} {value}`" if action.nargs != 0 else f"`{option}`" for option in action.option_strings)


def http() -> str:
    """Return the reference of the HTTP API: every path and method of the OpenAPI document."""
    parts = [
        "# Every call of the HTTP API",
        "From its OpenAPI document. [The HTTP API](../api.md) says how to use it.",
    ]
    for path, methods in written()["paths"].items():
        for method, said in methods.items():
            parts += [f"## {method.upper()} {path}".replace("{", "\\{"), _cell(said.get("summary", ""))]
            parts += [said["description"]] if said.get("description") else []
            rows = [
                f"| `{each['name']}` | {each['in']} | {_cell(each.get('description', ''))} |"
                for each in said.get("parameters", ())
            ]
            parts += ["\n".join(["| parameter | in | |", "|---|---|---|", *rows])] if rows else []
    return _page(parts)


def _page(parts: list[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


PAGES = {"job-file": job_file, "commands": commands, "http": http}

if __name__ == "__main__":
    print(PAGES[sys.argv[1]](), end="")
