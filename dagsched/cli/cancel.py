"""`dagsched cancel RUN`: stops a run for good; what waits for it learns that it did not succeed."""

from __future__ import annotations

import argparse
import asyncio

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import act, report, run_meant
from dagsched.model import LIVE


def arguments(parser: Parser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name, or a job for its newest live run")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_cancel(args))


async def _cancel(args: argparse.Namespace) -> int:
    name = await run_meant(args, prefer=sorted(LIVE))
    return report(args, await act(args, "cancel", {"run": name}), "cancelled", name)
