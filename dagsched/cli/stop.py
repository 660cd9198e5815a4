"""`dagsched stop`: ends the daemon.

Running attempts get its grace; with `--handover` they go on without it.
"""

from __future__ import annotations

import argparse
import asyncio

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import demand, report


def arguments(parser: Parser) -> None:
    parser.add_argument("--handover", action="store_true", help="leave running attempts to the next daemon")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(demand(args, "stop", {"handover": args.handover}))
    return report(args, answer, "stopping", "the daemon")
