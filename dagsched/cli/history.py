"""`dagsched history [JOB]`: what ran and what was left out, newest first.

Successive ticks that were left out for one reason are one row with an `until`.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from datetime import timedelta

from dagsched.cli.far import looking
from dagsched.cli.output import note, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url, count
from dagsched.cli.reading import must_be_known
from dagsched.cli.times import length_text, parse_since
from dagsched.cli.zones import Zones, zones_of
from dagsched.clock import SystemClock
from dagsched.model import Run, RunState, format_instant
from dagsched.views.rows import duration_s, reason_of, run_row

LIMIT = 20


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job")
    parser.add_argument(
        "--state",
        action="append",
        default=[],
        choices=[str(state) for state in RunState],
        help="only runs in this state; may be repeated",
    )
    parser.add_argument("--since", metavar="T", help="only ticks after an instant, or of the last 2h, 7d, …")
    parser.add_argument(
        "--limit", metavar="N", type=count, default=LIMIT, help=f"at most N rows, 0 = all (default: {LIMIT})"
    )
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    rows, zones = asyncio.run(_read(args))
    if args.json:
        print_rows(run_row(row) for row in rows)
    else:
        print_table(
            ("run", "state", "local", "trigger", "tries", "took", "reason"),
            [_cells(row, zones) for row in rows],
            right=("tries", "took"),
        )
        if len(rows) == args.limit:
            note(f"the newest {args.limit}; --limit 0 shows all")
    return 0


async def _read(args: argparse.Namespace) -> tuple[Sequence[Run], Zones]:
    since = parse_since(args.since, SystemClock().now()) if args.since else None
    async with looking(args) as store:
        rows = await store.rows(
            args.job,
            after=since,
            states=[RunState(state) for state in args.state],
            limit=args.limit or None,
        )
        if args.job and not rows:
            await must_be_known(store, args)
        return rows, Zones() if args.json else await zones_of(store)


def _cells(row: Run, zones: Zones) -> list[str]:
    seconds = duration_s(row)
    return [
        name_of(row),
        str(row.state),
        zones.show(row.job, row.tick),
        str(row.origin),
        str(row.attempts) if row.attempts else "",
        length_text(None if seconds is None else timedelta(seconds=seconds)),
        reason_of(row),
    ]


def name_of(row: Run) -> str:
    """Return a run's name, with its last tick when it is a range."""
    return row.name if row.until is None else f"{row.name} … {format_instant(row.until)}"
