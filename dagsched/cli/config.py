"""`dagsched config [JOB]`: the jobs as they are in effect, as a job file, each key with the line that says it.

Templates and matrices are written out and defaults are merged. What is printed makes the same jobs again.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dagsched.cli.far import far, url_of
from dagsched.cli.output import print_rows
from dagsched.cli.parser import Parser, add_file, add_json, add_url
from dagsched.cli.places import job_files
from dagsched.clock import SystemClock
from dagsched.config.build import Entry
from dagsched.config.effective import Line, lines_of
from dagsched.config.flow import in_flow, is_block
from dagsched.config.load import Loaded, Loader, load_with_entries
from dagsched.errors import ConfigInvalid
from dagsched.model import Config
from dagsched.views.names import known_job


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job, or all jobs of this matrix")
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    loaded, entries = _loaded(args)
    if loaded.config is None:
        raise ConfigInvalid(loaded.problems)
    wanted = _wanted(args.job, entries)
    if args.json:
        print_rows(map(_row, wanted))
        return 0
    shared = {} if args.job else {"pools": _pools(loaded.config), "calendars": _calendars(loaded.config)}
    for line in _document(wanted, shared):
        print(line)
    return 0


def _loaded(args: argparse.Namespace) -> tuple[Loaded, Mapping[str, Entry]]:
    """Return the job files here, or with `--url` those in force there."""
    now = SystemClock().now()
    if (url := url_of(args)) is None:
        return load_with_entries(job_files(args.paths), now)
    loader = Loader()
    loaded = loader.load(asyncio.run(_texts(args, url)), now)
    return loaded, loader.entries()


async def _texts(args: argparse.Namespace, url: str) -> Mapping[str, str]:
    async with far(args, url) as there:
        found: Mapping[str, str] = (await there.get("/config/files"))["files"]
        return found


def _wanted(name: str | None, entries: Mapping[str, Entry]) -> list[Entry]:
    if name is None:
        return list(entries.values())
    of_matrix = [entry for id, entry in entries.items() if entry.document.members.get(id) == name and id != name]
    return of_matrix or [entries[known_job(name, entries)]]


def _row(entry: Entry) -> dict[str, Any]:
    lines = lines_of(entry)
    places = {line.key: line.place for line in lines}
    places |= {f"{line.key}.{inner.key}": inner.place for line in lines for inner in line.inner}
    file, number = _position(entry)
    said = {line.key: line.value for line in lines}
    return {"job": entry.job.id, "file": file, "line": number, "said": said, "from": places}


def _pools(config: Config) -> dict[str, Any]:
    rates = config.pool_rates
    return {
        name: {"slots": slots, "rate_limit": str(rates[name])} if name in rates else slots
        for name, slots in config.pools.items()
    }


def _calendars(config: Config) -> dict[str, Any]:
    found = {}
    for name, calendar in config.calendars.items():
        said = {**calendar._asdict(), "days": sorted(map(str, calendar.days))}
        found[name] = {key: value for key, value in said.items() if value}
    return found


def _document(entries: Iterable[Entry], shared: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for key, value in shared.items():
        if value:
            yield f"{key}: {in_flow(value)}"
    blank = "jobs: {}"
    for entry in entries:
        if blank:
            yield "jobs:"
        blank = ""
        file, number = _position(entry)
        yield f"  {in_flow(entry.job.id)}:  # {file}:{number}"
        for line in lines_of(entry):
            yield from _lines(line, "    ")
    if blank:
        yield blank


def _lines(line: Line, indent: str) -> Iterator[str]:
    key = f"{indent}{in_flow(line.key)}:"
    if line.inner:
        yield f"{key}  # {line.place}"
        for each in line.inner:
            yield from _lines(each, indent + "  ")
    elif isinstance(line.value, str) and is_block(line.value):
        yield f"{key} |{_chomping(line.value)}  # {line.place}"
        yield from (f"{indent}  {each}" if each else "" for each in line.value.rstrip("\n").split("\n"))
    else:
        yield f"{key} {in_flow(line.value)}  # {line.place}"


def _chomping(text: str) -> str:
    """Return the sign that keeps the last line's end as it is."""
    return "" if text.endswith("\n") else "-"


def _position(entry: Entry) -> tuple[str, int]:
    assert entry.job.position is not None, "what was read from a file has one"
    return entry.job.position.file, entry.job.position.line
