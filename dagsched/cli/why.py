"""`dagsched why JOB [TICK]`: why it ran, did not run, or does not run yet.

For any instant, past or coming; without TICK for the newest. A running daemon answers for its open
runs; for all else, and without one, the stored state.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagsched.cli.far import far, url_of
from dagsched.cli.output import print_json, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, must_be_known, reading
from dagsched.cli.remote import ask
from dagsched.cli.ticks import read_tick
from dagsched.clock import SystemClock
from dagsched.errors import Refused, Unknown, UsageError
from dagsched.model import Config, format_instant, parse_run_name

if TYPE_CHECKING:
    from dagsched.engine.why import Answer
    from dagsched.stores.contract import Store


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="a job, or a run's name")
    parser.add_argument(
        "tick", metavar="TICK", nargs="?", help="an instant in UTC, or '… local' (default: the newest tick)"
    )
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(_explain(args))
    if args.json:
        print_json(answer.json)
    else:
        for line in answer.lines:
            print(printable(line))
    return 0


async def _explain(args: argparse.Namespace) -> Answer:
    from dagsched.explaining import why

    _split_name(args)
    if (url := url_of(args)) is not None:
        return await _explain_there(args, url)
    home, now = state_dir(args), SystemClock().now()
    async with reading(home) as store:
        await must_be_known(store, args)
        config = await _config(store, args)
        tick, remark = _moment(args, config)
        answer = await _of_daemon(args, home, tick)
        if answer is None:
            answer = await why(store, config, args.job, tick, now, daemon=await ask(home, "status", {}))
    if remark:
        answer.lines.append(remark)
    return answer


async def _explain_there(args: argparse.Namespace, url: str) -> Answer:
    from dagsched.engine.why import Answer

    async with far(args, url) as there:
        tick, remark = _moment(args, await there.config_of(args.job))
        told = await there.get(f"/jobs/{args.job}/why", tick=format_instant(tick) if tick else None)
    return Answer([*told.pop("lines"), *([remark] if remark else [])], told)


async def _of_daemon(args: argparse.Namespace, home: Path, tick: datetime | None) -> Answer | None:
    """Return what a running daemon says of an open run; None when none runs, or all it knows is stored."""
    from dagsched.engine.why import Answer

    try:
        said = await ask(home, "why", {"job": args.job, "tick": format_instant(tick) if tick else None})
    except Unknown:
        raise
    except Refused as error:
        if "there is no verb" not in str(error):
            raise
        return None
    return Answer(list(said["lines"]), dict(said["json"])) if said is not None and said["lines"] else None


def _split_name(args: argparse.Namespace) -> None:
    """Take the instant out of a run's name that stands in place of the job."""
    if not args.job.startswith("job:"):
        return
    if args.tick:
        raise UsageError("give a run's name, or a job and a tick, but not both")
    try:
        args.job, tick = parse_run_name(args.job)
    except ValueError as error:
        raise Unknown("run", args.job) from error
    args.tick = format_instant(tick)


def _moment(args: argparse.Namespace, config: Config | None) -> tuple[datetime | None, str]:
    """Return the instant that is asked about, and what is to be said of how it was read."""
    if not args.tick:
        return None, ""
    job = config.jobs.get(args.job) if config else None
    return read_tick(args.tick, job)


async def _config(store: Store, args: argparse.Namespace) -> Config | None:
    """Return the configuration in force, before any has been: the one of the files."""
    found = await config_in_force(store)
    return found[1] if found and found[1] else load_config_if_any(args.paths)
