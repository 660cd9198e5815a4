"""`dagsched notifications`: what people and programs were told, newest first, and what nobody got."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from dagsched.cli.output import note, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, count
from dagsched.cli.places import state_dir
from dagsched.cli.times import instant_or_none
from dagsched.errors import StoreMissing
from dagsched.model import format_instant
from dagsched.stores.notices import Notices, Told

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


def run(args: argparse.Namespace) -> int:
    home = state_dir(args)
    try:
        with closing(Notices(home, write=False)) as notices:
            found = notices.messages(failed=args.failed, limit=args.limit or ALL)
    except StoreMissing:
        note("nobody has been told anything yet")
        found = []
    if args.json:
        print_rows(map(row_of, found))
    else:
        print_table(("created", "notifier", "state", "tries", "message", "error"), map(_cells, found), right=("tries",))
    return 0


def row_of(told: Told) -> Mapping[str, Any]:
    """Return a message as programs see it."""
    return {
        "id": told.id,
        "notifier": told.notifier,
        "kind": told.kind,
        "title": told.title,
        "state": told.state,
        "created": format_instant(told.created),
        "tries": told.tries,
        "next_try": instant_or_none(told.next_try),
        "ended": instant_or_none(told.ended),
        "error": told.error,
    }


def _cells(told: Told) -> list[str]:
    return [format_instant(told.created), told.notifier, told.state, str(told.tries), told.title, told.error]
