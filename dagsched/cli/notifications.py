"""`dagsched notifications`: what people and programs were told, newest first, and what nobody got."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import closing

from dagsched.cli.far import far, url_of
from dagsched.cli.output import note, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url, count
from dagsched.cli.places import state_dir
from dagsched.errors import StoreMissing
from dagsched.model import format_instant
from dagsched.stores.notices import Notices, Told
from dagsched.views.rows import notice_row

LIMIT = 20
ALL = 1_000_000


def arguments(parser: Parser) -> None:
    parser.add_argument("--failed", action="store_true", help="only messages that nobody got")
    parser.add_argument(
        "--limit", metavar="N", type=count, default=LIMIT, help=f"how many (default: {LIMIT}, 0: all)"
    )
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    found = asyncio.run(_told(args, args.limit or ALL))
    if args.json:
        print_rows(map(notice_row, found))
    else:
        print_table(("created", "notifier", "state", "tries", "message", "error"), map(_cells, found), right=("tries",))
    return 0


async def _told(args: argparse.Namespace, limit: int) -> Sequence[Told]:
    if (url := url_of(args)) is not None:
        async with far(args, url) as there:
            return await there.notifications(failed=args.failed, limit=limit)
    try:
        with closing(Notices(state_dir(args), write=False)) as notices:
            return notices.messages(failed=args.failed, limit=limit)
    except StoreMissing:
        note("nobody has been told anything yet")
        return []


def _cells(told: Told) -> list[str]:
    return [format_instant(told.created), told.notifier, told.state, str(told.tries), told.title, told.error]
