"""`dagsched events`: the event log, oldest first; `-f` goes on until interrupted.

The log is read in pages, so that a long one neither waits nor fills memory.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from dagsched.cli.far import looking, url_of
from dagsched.cli.hearing import Wait, hearing
from dagsched.cli.output import print_rows, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url, count
from dagsched.cli.places import state_dir
from dagsched.cli.reading import FOLLOW_S
from dagsched.model import EventRow, format_instant
from dagsched.stores.contract import Store
from dagsched.views.rows import event_row

if TYPE_CHECKING:
    from dagsched.api.elsewhere import Elsewhere

PAGE = 1000
# A daemon elsewhere tells each event when it happens; now and then we look whether we were told of all.
QUIET_S = 60.0


def arguments(parser: Parser) -> None:
    parser.add_argument("--since", metavar="SEQ", type=count, default=0, help="only events with a greater number")
    parser.add_argument("--job", metavar="JOB", help="only events of this job")
    parser.add_argument("-f", "--follow", action="store_true", help="go on as events happen")
    parser.add_argument(
        "--format", choices=("text", "json", "cloudevents"), default="text", help="what to print (default: text)"
    )
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    asyncio.run(_print_events(args))
    return 0


async def _print_events(args: argparse.Namespace) -> None:
    url = url_of(args)
    source = url if url is not None else str(state_dir(args))
    form = "json" if args.json else args.format
    async with looking(args) as store, _waiting(args, store) as wait:
        async for page in pages(store, args.since, args.job, follow=args.follow, wait=wait):
            if form == "text":
                for event in page:
                    print(event_line(event))
            else:
                print_rows(_rows(page, form, source))
            sys.stdout.flush()


@asynccontextmanager
async def _waiting(args: argparse.Namespace, store: Store) -> AsyncIterator[Wait]:
    """Give a wait that ends early when a daemon says that there is news; without one it is a pause."""
    if not args.follow:
        yield asyncio.sleep
    elif url_of(args) is None:
        from dagsched.api.client import watch

        async with hearing(partial(watch, state_dir(args))) as wait:
            yield wait
    else:
        async with hearing(partial(cast("Elsewhere", store).news, args.job), QUIET_S) as wait:
            yield wait


def _rows(page: Sequence[EventRow], form: str, place: str) -> Iterator[Mapping[str, Any]]:
    if form == "json":
        yield from map(event_row, page)
        return
    import socket

    from dagsched.cloudevents import cloud_events, source_of

    source = source_of(socket.gethostname(), place)
    for event in page:
        yield from cloud_events(event, source)


async def pages(
    store: Store,
    since: int,
    job: str | None = None,
    *,
    follow: bool = False,
    wait: Wait = asyncio.sleep,
) -> AsyncIterator[Sequence[EventRow]]:
    """Yield the events after number `since` in pages; with `follow` without end, waiting for new ones."""
    while True:
        page = await store.events(since=since, job=job, limit=PAGE)
        if page:
            since = page[-1].seq
            yield page
        elif follow:
            await wait(FOLLOW_S)
        else:
            return


def event_line(event: EventRow) -> str:
    """Return an event as one line for a person: number, time, what happened to what, and why."""
    what = event.job
    if event.tick is not None:
        what += f" {format_instant(event.tick)}"
    if event.attempt:
        what += f" attempt {event.attempt}"
    change = " → ".join(filter(None, (event.from_state, event.to_state)))
    parts = [f"{event.seq:>6}", format_instant(event.time), f"{event.type:<16}", what, change, event.reason]
    return printable("  ".join(part for part in parts if part).rstrip())
