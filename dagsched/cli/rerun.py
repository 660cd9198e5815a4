"""`dagsched rerun RUN`: runs an ended run again.

Attempt numbers go on, and as many attempts as the job has are granted anew.
"""

from __future__ import annotations

import argparse
import asyncio

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import act, report, run_meant
from dagsched.model import BAD


def arguments(parser: Parser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name, or a job for its newest run that went wrong")
    parser.add_argument("--downstream", action="store_true", help="and everything below it that ran at this tick")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_rerun(args))


async def _rerun(args: argparse.Namespace) -> int:
    name = await run_meant(args, prefer=sorted(BAD))
    answer = await act(args, "rerun", {"run": name, "downstream": args.downstream})
    return report(args, answer, "running again:", name)
