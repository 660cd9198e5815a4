"""`dagsched ack RUN`: acknowledges a failed run, which then is no dead letter any more."""

from __future__ import annotations

import argparse
import asyncio

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import act, report, run_meant
from dagsched.model import RunState


def arguments(parser: Parser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name, or a job for its newest failed run")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_acknowledge(args))


async def _acknowledge(args: argparse.Namespace) -> int:
    name = await run_meant(args, prefer=[RunState.FAILED])
    return report(args, await act(args, "ack", {"run": name}), "acknowledged", name)
