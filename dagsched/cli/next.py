"""`dagsched next [JOB]`: what will fire, in UTC and in the job's own zone, with what DST does to it.

Reads the job files; what is paused and how many of `max_runs` are used up comes from the state, if any.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import datetime

from dagsched.cli.coming import Ahead, Coming, in_utc
from dagsched.cli.names import known_job
from dagsched.cli.output import note, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, count
from dagsched.cli.places import load_config, state_dir
from dagsched.cli.reading import marks_in
from dagsched.cli.times import distance, parse_moment, wall
from dagsched.clock import SystemClock
from dagsched.model import format_instant

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


def run(args: argparse.Namespace) -> int:
    now = SystemClock().now()
    after = parse_moment(args.after) if args.after else now
    rows, on_events = _rows(args, after)
    if args.json:
        print_rows([*(_as_json(row) for row in rows), *(_event_row(*each) for each in on_events.items())])
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
    config = load_config(args.paths)
    ids = [known_job(args.job, config.jobs)] if args.job else list(config.jobs)
    number = args.number if args.number is not None else FOR_ONE_JOB if args.job else FOR_EACH_JOB
    ahead = Ahead(config, asyncio.run(marks_in(state_dir(args))))
    on_events = {id: words for id in ids if (words := ahead.events_of(id))}
    return ahead.first_of_each(ids, after, number), on_events


def _event_row(job: str, words: str) -> dict[str, str | None]:
    return {"job": job, "tick": None, "local": None, "note": words}


def _as_json(row: Coming) -> dict[str, str | None]:
    return {
        "job": row.job,
        "tick": format_instant(row.tick),
        "local": row.local.isoformat(),
        "note": row.note,
    }
