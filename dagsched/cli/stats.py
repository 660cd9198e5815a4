"""`dagsched stats [JOB]`: counts, success rate, durations and lateness per job."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from dagsched.cli.far import looking
from dagsched.cli.output import print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.reading import must_be_known
from dagsched.cli.times import length_text, parse_since
from dagsched.clock import SystemClock
from dagsched.views.rows import statistics_row

_TITLES = (
    "job",
    "total",
    "success",
    "failed",
    "skipped",
    "missed",
    "rate",
    "mean",
    "p50",
    "p95",
    "late",
    "late p95",
)


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job")
    parser.add_argument("--since", metavar="T", help="only ticks after an instant, or of the last 2h, 7d, …")
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    rows = asyncio.run(_read(args))
    if args.json:
        print_rows(statistics_row(row) for row in rows)
    else:
        print_table(_TITLES, [_cells(row) for row in rows], right=_TITLES[1:], state="")
    return 0


async def _read(args: argparse.Namespace) -> Sequence[Mapping[str, Any]]:
    since = parse_since(args.since, SystemClock().now()) if args.since else None
    async with looking(args) as store:
        rows = await store.statistics(args.job, since=since)
        if args.job and not rows:
            await must_be_known(store, args)
        return rows


def _cells(row: Mapping[str, Any]) -> list[str]:
    rate = row["success_rate"]
    return [
        row["job"],
        str(row["total"]),
        str(row["success"]),
        str(row["failed"] + row["upstream_failed"]),
        str(row["skipped"]),
        str(row["missed"]),
        "" if rate is None else f"{rate:.1%}",
        *(_seconds(row[key]) for key in ("duration_mean_s", "duration_p50_s", "duration_p95_s")),
        *(_seconds(row[key]) for key in ("lateness_mean_s", "lateness_p95_s")),
    ]


def _seconds(value: float | None) -> str:
    return "" if value is None else length_text(timedelta(seconds=value))
