"""`dagsched stats [JOB]`: counts, success rate, durations and lateness per job, or per job and day, week or month."""

from __future__ import annotations

import argparse
import asyncio
import sys
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
_TREND_TITLES = ("job", "from", "runs", "total", "failed", "rate", "mean", "p50", "p95", "max", "late p95")
_SHOWN = {"day": timedelta(days=30), "week": timedelta(weeks=26), "month": timedelta(days=730)}
_BAR_CELLS = 12


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job")
    parser.add_argument("--since", metavar="T", help="only ticks after an instant, or of the last 2h, 7d, …")
    parser.add_argument(
        "--by", choices=("day", "week", "month"), help="how they went over time, deleted runs included (UTC)"
    )
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    rows = asyncio.run(_read(args))
    if args.json:
        print_rows(statistics_row(row) for row in rows)
    elif args.by:
        print_table(_TREND_TITLES, _trend_cells(rows, args.by), right=_TREND_TITLES[3:], state="")
    else:
        print_table(_TITLES, [_cells(row) for row in rows], right=_TITLES[1:], state="")
    return 0


async def _read(args: argparse.Namespace) -> Sequence[Mapping[str, Any]]:
    now = SystemClock().now()
    since = parse_since(args.since, now) if args.since else None
    if args.by and since is None:
        since = now - _SHOWN[args.by]
    async with looking(args) as store:
        rows = await store.statistics(args.job, since=since, by=args.by or "")
        if args.job and not rows:
            await must_be_known(store, args)
        return rows


def _trend_cells(rows: Sequence[Mapping[str, Any]], by: str) -> list[list[str]]:
    """Return a line per job and period; the bar is as long as the period's runs are many among those of the job."""
    most: dict[str, int] = {}
    for row in rows:
        most[row["job"]] = max(row["total"], most.get(row["job"], 1))
    return [
        [
            row["job"],
            f"{row[by]:%Y-%m}" if by == "month" else f"{row[by]:%Y-%m-%d}",
            _bar(row["total"], most[row["job"]]),
            str(row["total"]),
            str(row["failed"] + row["upstream_failed"]),
            "" if row["success_rate"] is None else f"{row['success_rate']:.1%}",
            *(_seconds(row[f"duration_{word}_s"]) for word in ("mean", "p50", "p95", "max")),
            _seconds(row["lateness_p95_s"]),
        ]
        for row in rows
    ]


def _bar(value: int, most: int) -> str:
    """Return a bar in eighths of a letter; plain signs where the output cannot show those."""
    eighths = round(value / most * _BAR_CELLS * 8)
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        return "#" * round(eighths / 8)
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()


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
