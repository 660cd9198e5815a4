"""`dagsched show RUN`: one run with its attempts, the upstream runs it was judged against and its outputs."""

from __future__ import annotations

import argparse
import asyncio
import json
from datetime import timedelta
from typing import Any

from dagsched.cli.far import looking
from dagsched.cli.output import print_json, print_table, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.times import length_text
from dagsched.cli.zones import Zones, zones_of
from dagsched.model import CALLER, Attempt, Link, Run, format_instant, run_name
from dagsched.views.names import find_run
from dagsched.views.rows import duration_s
from dagsched.views.whole import Whole, called_by_it, event_of, given_params, read_whole, whole_doc


def arguments(parser: Parser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name, or a job for its newest run")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    whole, zones = asyncio.run(_read(args))
    if args.json:
        print_json(whole_doc(whole))
    else:
        _print_for_people(whole, zones)
    return 0


async def _read(args: argparse.Namespace) -> tuple[Whole, Zones]:
    async with looking(args) as store:
        found = await find_run(store, args.run_name)
        return await read_whole(store, found), Zones() if args.json else await zones_of(store)


def _print_for_people(whole: Whole, zones: Zones) -> None:
    for title, value in _facts(whole, zones):
        if value:
            print(f"{title:<10} {printable(value)}")
    if whole.attempts:
        print()
        # Where a state is one machine's own, there is nothing to say of places.
        where = ("where",) if any(attempt.place for attempt in whole.attempts) else ()
        print_table(
            ("attempt", "outcome", *where, "started", "took", "exit", "reason"),
            [_attempt_cells(attempt, zones, has_place=bool(where)) for attempt in whole.attempts],
            right=("attempt", "took", "exit"),
            state="outcome",
        )
    if whole.upstream:
        print()
        print_table(("upstream", "match", "state", "reason"), [_upstream_cells(*pair) for pair in whole.upstream])


def _facts(whole: Whole, zones: Zones) -> list[tuple[str, str]]:
    found = whole.run
    seconds = duration_s(found)
    return [
        ("run", found.name),
        ("state", str(found.state) + (f": {found.reason}" if found.reason else "")),
        ("tick", _both(found, zones)),
        ("until", zones.show(found.job, found.until)),
        ("trigger", str(found.origin)),
        ("attempts", f"{found.attempts} of {found.attempt_limit}"),
        ("not before", zones.show(found.job, found.not_before) if not found.state.is_terminal else ""),
        ("started", zones.show(found.job, found.started)),
        ("ended", zones.show(found.job, found.ended)),
        ("took", length_text(None if seconds is None else timedelta(seconds=seconds))),
        ("stand-in", run_name(found.job, found.stand_in) if found.stand_in else ""),
        ("event", _event_words(found)),
        ("called by", found.params.get(CALLER, "")),
        ("called", ", ".join(called_by_it(found))),
        ("params", _pairs(given_params(found))),
        ("outputs", _pairs(found.outputs)),
        ("note", ", ".join(filter(None, ("late" if found.late else "", "acknowledged" if found.acked else "")))),
    ]


def _both(found: Run, zones: Zones) -> str:
    local, utc = zones.show(found.job, found.tick), format_instant(found.tick)
    return local if local.endswith(" UTC") else f"{local}  ({utc})"


def _event_words(found: Run) -> str:
    event = event_of(found)
    return f"{event['name']} {json.dumps(event['data'], ensure_ascii=False)}" if event else ""


def _pairs(values: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _attempt_cells(attempt: Attempt, zones: Zones, *, has_place: bool) -> list[str]:
    seconds = duration_s(attempt)
    exit_code = "" if attempt.exit_code is None else str(attempt.exit_code)
    return [
        str(attempt.number),
        str(attempt.outcome) if attempt.outcome else "running",
        *([attempt.place] if has_place else []),
        zones.show(attempt.job, attempt.started),
        length_text(None if seconds is None else timedelta(seconds=seconds)),
        exit_code if attempt.signal is None else f"signal {attempt.signal}",
        attempt.reason,
    ]


def _upstream_cells(link: Link, upstream: Run | None) -> list[str]:
    if link.tick is None:
        return [link.job, str(link.match), "", "has had no such tick"]
    name = run_name(link.job, link.tick)
    if upstream is None:
        return [name, str(link.match), "pruned", ""]
    return [name, str(link.match), str(upstream.state), upstream.reason]
