"""`dagsched prune`: deletes runs that ended long ago, with their attempts, events and logs.

A running daemon does it itself: it is the one writer of its state. `dagsched/retention.py` says what is kept.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from datetime import datetime
from pathlib import Path

from dagsched.cli.far import url_of
from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.places import state_dir
from dagsched.cli.reading import config_in_force
from dagsched.cli.remote import ask, demand
from dagsched.cli.times import parse_since
from dagsched.clock import SystemClock
from dagsched.model import format_instant
from dagsched.retention import prune

DEFAULT_AGE = "90d"


def arguments(parser: Parser) -> None:
    parser.add_argument(
        "--older-than",
        metavar="AGE",
        default=DEFAULT_AGE,
        help=f"delete what ended longer ago than this, or before this instant (default: {DEFAULT_AGE})",
    )
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    before = parse_since(args.older_than, SystemClock().now())
    deleted = asyncio.run(_prune(args, before))
    if args.json:
        print_json({"before": format_instant(before), "deleted": deleted})
    else:
        print(f"deleted {deleted} run{'s' * (deleted != 1)} that ended before {format_instant(before)}")
    return 0


async def _prune(args: argparse.Namespace, before: datetime) -> int:
    if url_of(args) is not None:
        return int((await demand(args, "prune", {"before": format_instant(before)}))["deleted"])
    home = state_dir(args)
    if not home.is_dir():
        return 0
    answer = await ask(home, "prune", {"before": format_instant(before)})
    return int(answer["deleted"]) if answer is not None else await _prune_offline(home, before)


async def _prune_offline(home: Path, before: datetime) -> int:
    from dagsched.stores import open_store

    store = open_store(home)
    await store.open(write=True)
    try:
        await store.acquire(f"dagsched prune, process {os.getpid()}")
        in_force = await config_in_force(store)
        return await prune(store, home, in_force[1] if in_force else None, before)
    finally:
        await store.close()
