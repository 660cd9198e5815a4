"""`dagsched prune`: deletes old runs with their attempts, events and logs: those that `keep` gives up, or by age.

A running daemon does it itself: it is the one writer of its state. `dagsched/retention.py` says what is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from dagsched.cli.far import far, url_of
from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.places import load_config_if_any, state_dir
from dagsched.cli.reading import config_in_force, reading
from dagsched.cli.remote import ask, demand
from dagsched.cli.times import instant_or_none, parse_since
from dagsched.clock import SystemClock
from dagsched.counting import counted
from dagsched.model import Config, format_instant, parse_instant
from dagsched.retention import keep_house, prune, says_what_to_keep

DEFAULT_AGE = "90d"


def arguments(parser: Parser) -> None:
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        help="delete what ended longer ago than this, or before this instant, whatever `keep` says "
        f"(default: as `keep` says; {DEFAULT_AGE} where no job file has one)",
    )
    parser.add_argument("--dry-run", action="store_true", help="say how many that are, and delete nothing")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    before, deleted = asyncio.run(_prune(args, SystemClock().now()))
    if args.json:
        print_json({"before": instant_or_none(before), "would_delete" if args.dry_run else "deleted": deleted})
        return 0
    which = f"that ended before {format_instant(before)}" if before else "beyond what `keep` says"
    print(f"{'would delete' if args.dry_run else 'deleted'} {counted(deleted, 'run')} {which}")
    return 0


async def _prune(args: argparse.Namespace, now: datetime) -> tuple[datetime | None, int]:
    """Return the instant before which runs were deleted, None if `keep` decided, and how many went."""
    url = url_of(args)
    home = state_dir(args) if url is None else None
    config = await _config(args, home)
    before = None
    if args.older_than is not None or config is None or not says_what_to_keep(config):
        before = parse_since(args.older_than or DEFAULT_AGE, now)
    if home is not None and not home.is_dir():
        return before, 0
    verb, body = "retention" if before is None else "prune", {}
    if before is not None:
        body["before"] = format_instant(before)
    wish = {**body, "dry_run": args.dry_run} if args.dry_run else body
    if home is None:
        return before, int((await demand(args, verb, wish))["deleted"])
    answer = await ask(home, verb, wish)
    if answer is not None:
        return before, int(answer["deleted"])
    return before, await _prune_offline(home, config, body, now, dry_run=args.dry_run)


async def _config(args: argparse.Namespace, home: Path | None) -> Config | None:
    """Return the configuration in force, that of the files if none ever was; without `home`, of a daemon elsewhere."""
    if home is None:
        url = url_of(args)
        assert url is not None, "a command looks here or elsewhere"
        async with far(args, url) as there:
            return await there.config()
    if home.is_dir():
        async with reading(home, quiet=True) as store:
            in_force = await config_in_force(store)
        if in_force is not None:
            return in_force[1]
    return load_config_if_any(args.paths)


async def _prune_offline(
    home: Path, config: Config | None, body: Mapping[str, Any], now: datetime, *, dry_run: bool
) -> int:
    from dagsched.stores import open_store

    store = open_store(home)
    await store.open(write=True)
    try:
        await store.acquire(f"dagsched prune, process {os.getpid()}")
        if "before" in body:
            return await prune(store, home, config, parse_instant(body["before"]), dry_run=dry_run)
        assert config is not None, "only a configuration says what to keep"
        return await keep_house(store, home, config, now, dry_run=dry_run)
    finally:
        await store.close()
