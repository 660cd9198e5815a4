"""`dagsched workers`: who does the jobs of queues, how busy they are, and what waits for one of them."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from dagsched.cli.far import looking
from dagsched.cli.output import print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.times import length_text
from dagsched.clock import SystemClock
from dagsched.counting import counted

if TYPE_CHECKING:
    from dagsched.stores.fleet import Waiting, WorkerRow

_TITLES = ("worker", "state", "running", "slots", "queues", "labels", "last heard", "version")


def arguments(parser: Parser) -> None:
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    workers, waiting = asyncio.run(_read(args))
    if args.json:
        print_rows(worker.as_json() for worker in workers)
        return 0
    now = SystemClock().now()
    print_table(_TITLES, [_cells(worker, now) for worker in workers], right=("running", "slots"), state="")
    for each in waiting:
        print(_words(each, workers, now))
    return 0


async def _read(args: argparse.Namespace) -> tuple[Sequence[WorkerRow], Sequence[Waiting]]:
    async with looking(args) as store:
        return await store.workers(), await store.waiting()


def _cells(worker: WorkerRow, now: datetime) -> list[str]:
    row = worker.as_json()
    heard = f"{length_text(max(now - worker.seen, now - now))} ago"
    busy, serves = [str(worker.running), str(worker.slots)], [" ".join(worker.queues), " ".join(worker.labels)]
    return [worker.name, row["state"], *busy, *serves, heard, worker.version]


def _words(waiting: Waiting, workers: Sequence[WorkerRow], now: datetime) -> str:
    which = waiting.queue + (f" ({', '.join(waiting.labels)})" if waiting.labels else "")
    many = counted(waiting.attempts, "attempt waits", "attempts wait")
    since = length_text(max(now - waiting.since, now - now))
    nobody = "" if any(map(waiting.is_served_by, workers)) else "; no worker serves it"
    return f"queue {which}: {many}, the first for {since}{nobody}"
