"""`dagsched resume JOB`: ends a pause; ticks that passed meanwhile are not replayed."""

from __future__ import annotations

import argparse
import asyncio

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import act, job_meant, report


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job to resume")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_resume(args))


async def _resume(args: argparse.Namespace) -> int:
    job, _ = await job_meant(args)
    return report(args, await act(args, "resume", {"job": job}), "resumed", job)
