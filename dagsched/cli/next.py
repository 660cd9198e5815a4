"""`dagsched next [JOB]`: what will fire, in UTC and in the job's own zone, with what DST does to it.

Reads the job files; what is paused and how many of `max_runs` are used up comes from the state, if any.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime

from dagsched.cli.far import far, url_of
from dagsched.cli.output import note, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url, count
from dagsched.cli.places import load_config, state_dir
from dagsched.cli.reading import marks_in
from dagsched.cli.times import distance, parse_moment, wall
from dagsched.clock import SystemClock
from dagsched.model import format_instant
from dagsched.views.coming import Ahead, Coming, coming_of, coming_row, event_row, in_utc
from dagsched.views.names import known_job

FOR_ONE_JOB, FOR_EACH_JOB = 5, 1


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", nargs="?", help="only this job (default: the next tick of each)")
    parser.add_argument(
        "-n",
        metavar="N",
        dest="number",
        type=count,
        help=f"ticks per job (default: {FOR_EACH_JOB}, {FOR_ONE_JOB} for JOB)",
    )
    parser.add_argument("--from", metavar="T", dest="after", help="ticks after this instant (default: now)")
    add_json(parser, "one JSON object per line")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    now = SystemClock().now()
    after = parse_moment(args.after) if args.after else now
    rows, on_events = _rows(args, after)
    if args.json:
        print_rows([*(coming_row(row) for row in rows), *(event_row(*each) for each in on_events.items())])
        return 0
    titles = ("job", "utc", "local", "when", "note")
    print_table(
        titles,
        [
            *((row.job, in_utc(row.tick), wall(row.local), distance(row.tick, now), row.note) for row in rows),
            *((job, "", "", "", words) for job, words in on_events.items()),
        ],
    )
    if not rows and not on_events:
        note("nothing is due: no schedule here fires again")
    return 0


def _rows(args: argparse.Namespace, after: datetime) -> tuple[list[Coming], dict[str, str]]:
    """Return coming ticks, and the jobs that events make due as well, with which."""
    if (url := url_of(args)) is not None:
        return asyncio.run(_rows_there(args, url, after))
    config = load_config(args.paths)
    ids = [known_job(args.job, config.jobs)] if args.job else list(config.jobs)
    number = args.number if args.number is not None else FOR_ONE_JOB if args.job else FOR_EACH_JOB
    ahead = Ahead(config, asyncio.run(marks_in(state_dir(args))))
    on_events = {id: words for id in ids if (words := ahead.events_of(id))}
    return ahead.first_of_each(ids, after, number), on_events


async def _rows_there(args: argparse.Namespace, url: str, after: datetime) -> tuple[list[Coming], dict[str, str]]:
    async with far(args, url) as there:
        ids = [args.job] if args.job else [row["job"] for row in (await there.get("/graph"))["jobs"]]
        number = args.number if args.number is not None else FOR_ONE_JOB if args.job else FOR_EACH_JOB
        query = {"from": format_instant(after), "limit": max(number, 1)}
        pages = [await there.get(f"/jobs/{id}/next", **query) for id in ids]
    rows = [row for page in pages for row in page["items"]]
    found = [coming_of(row) for row in rows if row["tick"] is not None and number]
    on_events = {row["job"]: row["note"] for row in rows if row["tick"] is None}
    return sorted(found, key=lambda coming: coming.tick), on_events
