"""`dagsched stop`: ends the daemon.

Running attempts get its grace; with `--handover` they go on without it. With `--wait` the command returns when the
process is gone and has let go of the state, so that a move, a copy or another daemon may follow at once.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import select

from dagsched.cli.far import url_of
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import demand, report
from dagsched.errors import UsageError


def arguments(parser: Parser) -> None:
    parser.add_argument("--handover", action="store_true", help="leave running attempts to the next daemon")
    parser.add_argument("--wait", action="store_true", help="return when it has ended, and not before")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    if args.wait and url_of(args) is not None:
        raise UsageError("--wait looks at a process of this machine, so it cannot be used with --url")
    pid = asyncio.run(demand(args, "status", {}))["pid"] if args.wait else None
    answer = asyncio.run(demand(args, "stop", {"handover": args.handover}))
    if pid is not None:
        _see_the_end_of(pid)
    return report(args, answer, "stopped" if args.wait else "stopping", "the daemon")


def _see_the_end_of(pid: int) -> None:
    """Return when a process is no more; for as long as its grace, it may take minutes."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        # Readable once it has ended, also while nobody has collected its exit code.
        select.select([process], [], [])
    finally:
        os.close(process)
