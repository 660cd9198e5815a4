"""`dagsched why JOB [TICK]`: why it ran, did not run, or does not run yet.

For any instant, past or coming; without TICK for the newest.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime
from typing import TYPE_CHECKING

from dagsched.cli.far import far, looking, url_of
from dagsched.cli.output import print_json, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, must_be_known
from dagsched.cli.remote import ask
from dagsched.cli.times import parse_moment
from dagsched.clock import SystemClock
from dagsched.errors import Unknown, UsageError
from dagsched.model import Config, format_instant, parse_run_name

if TYPE_CHECKING:
    from dagsched.engine.why import Answer
    from dagsched.stores.contract import Store


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="a job, or a run's name")
    parser.add_argument("tick", metavar="TICK", nargs="?", help="an instant (default: the newest tick)")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    tick = _take_tick(args)
    answer = asyncio.run(_explain(args, tick))
    if args.json:
        print_json(answer.json)
    else:
        for line in answer.lines:
            print(printable(line))
    return 0


def _take_tick(args: argparse.Namespace) -> datetime | None:
    """Return the instant that is asked about; a run's name in place of the job carries one."""
    if not args.job.startswith("job:"):
        return parse_moment(args.tick) if args.tick else None
    if args.tick:
        raise UsageError("give a run's name, or a job and a tick, but not both")
    try:
        args.job, tick = parse_run_name(args.job)
    except ValueError as error:
        raise Unknown("run", args.job) from error
    return tick


async def _explain(args: argparse.Namespace, tick: datetime | None) -> Answer:
    from dagsched.control import why
    from dagsched.engine.why import Answer

    if (url := url_of(args)) is not None:
        async with far(args, url) as there:
            told = await there.get(f"/jobs/{args.job}/why", tick=format_instant(tick) if tick else None)
            return Answer(told.pop("lines"), told)
    async with looking(args) as store:
        await must_be_known(store, args)
        config, daemon = await _config(store, args), await ask(state_dir(args), "status", {})
        return await why(store, config, args.job, tick, SystemClock().now(), daemon=daemon)


async def _config(store: Store, args: argparse.Namespace) -> Config | None:
    """Return the configuration in force, before any has been: the one of the files."""
    found = await config_in_force(store)
    return found[1] if found and found[1] else load_config_if_any(args.paths)
