"""`dagsched show RUN`: one run with its attempts, the upstream runs it was judged against and its outputs."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from dagsched.cli.names import find_run
from dagsched.cli.output import print_json, print_table, printable
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import state_dir
from dagsched.cli.reading import reading
from dagsched.cli.rows import attempt_row, duration_s, run_row
from dagsched.cli.times import instant_or_none, length_text
from dagsched.cli.zones import Zones, zones_of
from dagsched.model import CALLED, CALLER, EVENT, EVENT_DATA, Attempt, Link, Run, format_instant, run_name
from dagsched.stores.contract import Store


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything known of one run. `upstream`: each link with the run it leads to, if there is one."""

    run: Run
    attempts: Sequence[Attempt]
    upstream: Sequence[tuple[Link, Run | None]]
    zones: Zones


def arguments(parser: Parser) -> None:
    parser.add_argument("run_name", metavar="RUN", help="a run's name, or a job for its newest run")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    whole = asyncio.run(_read(args))
    if args.json:
        print_json(_as_json(whole))
    else:
        _print_for_people(whole)
    return 0


async def _read(args: argparse.Namespace) -> Whole:
    async with reading(state_dir(args)) as store:
        found = await find_run(store, args.run_name)
        attempts = await store.attempts(found.job, found.tick)
        upstream = [(link, await _at(store, link)) for link in found.links]
        return Whole(found, attempts, upstream, Zones() if args.json else await zones_of(store))


async def _at(store: Store, link: Link) -> Run | None:
    return None if link.tick is None else await store.run(link.job, link.tick)


def _as_json(whole: Whole) -> dict[str, Any]:
    found = whole.run
    return {
        **run_row(found),
        "created": instant_or_none(found.created),
        "ready": instant_or_none(found.ready),
        "not_before": instant_or_none(found.not_before),
        "attempt_limit": found.attempt_limit,
        "stand_in": run_name(found.job, found.stand_in) if found.stand_in else None,
        "only": found.only,
        "acknowledged": found.acked,
        "params": _given(found),
        "event": _event(found),
        "caller": found.params.get(CALLER),
        "called": _called(found),
        "outputs": dict(found.outputs),
        "definition": found.definition,
        "attempt_list": [attempt_row(attempt) for attempt in whole.attempts],
        "upstream": [_link_row(link, upstream) for link, upstream in whole.upstream],
    }


def _link_row(link: Link, upstream: Run | None) -> dict[str, Any]:
    return {
        "job": link.job,
        "match": str(link.match),
        "run": run_name(link.job, link.tick) if link.tick else None,
        "state": str(upstream.state) if upstream else None,
        "reason": upstream.reason if upstream else "",
    }


def _print_for_people(whole: Whole) -> None:
    for title, value in _facts(whole):
        if value:
            print(f"{title:<10} {printable(value)}")
    if whole.attempts:
        print()
        print_table(
            ("attempt", "outcome", "started", "took", "exit", "reason"),
            [_attempt_cells(attempt, whole) for attempt in whole.attempts],
            right=("attempt", "took", "exit"),
            state="outcome",
        )
    if whole.upstream:
        print()
        print_table(("upstream", "match", "state", "reason"), [_upstream_cells(*pair) for pair in whole.upstream])


def _facts(whole: Whole) -> list[tuple[str, str]]:
    found, zones = whole.run, whole.zones
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
        ("called", ", ".join(_called(found))),
        ("params", _pairs(_given(found))),
        ("outputs", _pairs(found.outputs)),
        ("note", ", ".join(filter(None, ("late" if found.late else "", "acknowledged" if found.acked else "")))),
    ]


def _both(found: Run, zones: Zones) -> str:
    local, utc = zones.show(found.job, found.tick), format_instant(found.tick)
    return local if local.endswith(" UTC") else f"{local}  ({utc})"


def _given(found: Run) -> dict[str, Any]:
    return {name: value for name, value in found.params.items() if not name.startswith("DAGSCHED_")}


def _event(found: Run) -> dict[str, Any] | None:
    """Return name and data of the event that the run came of."""
    return {"name": found.params[EVENT], "data": found.params.get(EVENT_DATA, {})} if EVENT in found.params else None


def _called(found: Run) -> list[str]:
    """Return the runs that a workflow has made as its step, the newest last."""
    return [name for name in found.params.get(CALLED, ()) if name]


def _event_words(found: Run) -> str:
    event = _event(found)
    return f"{event['name']} {json.dumps(event['data'], ensure_ascii=False)}" if event else ""


def _pairs(values: Any) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())


def _attempt_cells(attempt: Attempt, whole: Whole) -> list[str]:
    seconds = duration_s(attempt)
    exit_code = "" if attempt.exit_code is None else str(attempt.exit_code)
    return [
        str(attempt.number),
        str(attempt.outcome) if attempt.outcome else "running",
        whole.zones.show(attempt.job, attempt.started),
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
