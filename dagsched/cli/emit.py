"""`dagsched emit NAME`: says that an event has happened; the jobs scheduled on it run now, with its data.

Nobody has to listen: the event is recorded all the same, and the exit code is 0.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagsched.cli.far import url_of
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, reading
from dagsched.cli.remote import act, report
from dagsched.closest import get_close_matches
from dagsched.errors import Refused, UsageError
from dagsched.model import Config


def arguments(parser: Parser) -> None:
    parser.add_argument("event", metavar="NAME", help="the event, as in `schedule: {event: NAME}`")
    parser.add_argument(
        "--data",
        metavar="DATA",
        action="append",
        default=[],
        help="k=v, may be repeated; or a JSON object; or @FILE that holds one (@- reads standard input)",
    )
    parser.add_argument("--id", default="", help="a name for this very event: a second one of that name makes nothing")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_emit(args))


async def _emit(args: argparse.Namespace) -> int:
    body = {"event": args.event, "data": read_data(args.data), "id": args.id}
    configs = await _configs(args)
    _check(body, configs[-1] if configs else None)
    answer = await act(args, "emit", body)
    if answer is None or args.json:
        return report(args, answer, "emitted", args.event)
    for run_name in answer["runs"]:
        print(run_name)
    for words in answer["blocked"]:
        print(words, file=sys.stderr)
    if answer["repeated"]:
        print(f"{args.event} with the id {args.id!r} was emitted before: nothing was made", file=sys.stderr)
    elif not answer["jobs"]:
        print(f"{args.event} is recorded; no job listens to it{_nearest(args.event, configs)}", file=sys.stderr)
    return 0


async def _configs(args: argparse.Namespace) -> list[Config]:
    """Return the configuration in force and, because a file may be newer, that of the files; none for `--url`."""
    if url_of(args) is not None:
        return []
    async with reading(state_dir(args), quiet=True) as store:
        found = await config_in_force(store)
    return [config for config in (found[1] if found else None, load_config_if_any(args.paths)) if config]


def _nearest(event: str, configs: list[Config]) -> str:
    schedules = (job.schedule for config in configs for job in config.jobs.values())
    known = {name for schedule in schedules if schedule is not None for name in schedule.event}
    nearest = get_close_matches(event, sorted(known), 1)
    return f"; did you mean {nearest[0]!r}?" if nearest else ""


def _check(body: Mapping[str, Any], config: Config | None) -> None:
    """Raise UsageError for an event that would be refused, whether a daemon runs now or later."""
    from dagsched.asked import checked_event
    from dagsched.handlers.params import params_from_event

    try:
        name, _, data = checked_event(body)
        for job in config.jobs.values() if config else ():
            if job.schedule is not None and name in job.schedule.event:
                params_from_event(job, data)
    except Refused as error:
        raise UsageError(str(error)) from None


def read_data(words: list[str]) -> dict[str, Any]:
    """Return the event's data from the arguments of `--data`, put together; raises UsageError."""
    data: dict[str, Any] = {}
    for word in words:
        data.update(_read_one(word))
    return data


def _read_one(word: str) -> dict[str, Any]:
    if word.startswith("@"):
        return _object(_text_of(word[1:]), f"--data {word}")
    if word.lstrip().startswith("{"):
        return _object(word, "--data")
    name, equals, text = word.partition("=")
    if not name or not equals:
        raise UsageError(f"--data {word!r}: write it as name=value, as a JSON object, or as @FILE")
    return {name: text}


def _text_of(path: str) -> str:
    try:
        return sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--data @{path}: cannot be read: {error}") from None


def _object(text: str, what: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise UsageError(f"{what} is no JSON object: the data of an event are values by name")
    return found
