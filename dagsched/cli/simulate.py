"""`dagsched simulate [PATH…]`: the coming days on a virtual clock, with lengths and failures as history has them.

Nothing is started and nothing is written. It needs neither a daemon nor a state; where there is a state, it begins with
what is there, unless `--from` says another time.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_json, add_paths, add_state_dir, count
from dagsched.cli.places import load_config, state_dir
from dagsched.cli.reading import reading
from dagsched.cli.times import parse_length, parse_moment
from dagsched.clock import SystemClock
from dagsched.errors import UsageError
from dagsched.views.names import known_job

if TYPE_CHECKING:
    from dagsched.model import Config
    from dagsched.rehearsal.habits import Said
    from dagsched.stores.contract import Store

DAYS = 7
DAYS_MAX = 3660


def arguments(parser: Parser) -> None:
    add_paths(parser)
    parser.add_argument(
        "--days", metavar="N", type=count, default=DAYS, help=f"whole days, after the rest of today (default: {DAYS})"
    )
    parser.add_argument("--seed", metavar="S", type=int, default=0, help="another seed, other draws (default: 0)")
    parser.add_argument("--from", metavar="T", dest="start", help="begin at this instant, with nothing under way")
    parser.add_argument(
        "--duration",
        metavar="[JOB=]LENGTH",
        action="append",
        default=[],
        help="how long a job's attempts take (without JOB: those that history knows nothing of); may be repeated",
    )
    parser.add_argument(
        "--fail-rate",
        metavar="[JOB=]RATE",
        action="append",
        default=[],
        help="how many of a job's attempts fail, 0 to 1, in the same way; may be repeated",
    )
    parser.add_argument("--slots", metavar="N", type=count, help="how many attempts may run at a time")
    add_json(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    if args.slots == 0:
        raise UsageError("--slots 0 would start nothing; give at least 1")
    if not 1 <= args.days <= DAYS_MAX:
        raise UsageError(f"--days {args.days} is out of range; give 1 to {DAYS_MAX}")
    config = load_config(args.paths)
    said = _said(args, config)
    document = asyncio.run(_simulate(args, config, said))
    if args.json:
        print_json(document)
    else:
        from dagsched.cli.forecast import print_forecast

        print_forecast(document)
    return 0


async def _simulate(args: argparse.Namespace, config: Config, said: Said) -> Mapping[str, Any]:
    from dagsched.daemon.memory import rest
    from dagsched.daemon.restoring import restored
    from dagsched.rehearsal import Draws, habits_of, rehearse, report, with_open_conditions
    from dagsched.rehearsal.report import timezone_of

    start = parse_moment(args.start) if args.start else SystemClock().now().replace(microsecond=0)
    async with reading(state_dir(args), quiet=True) as store:
        habits = await habits_of(config, store, said)
        plan = None
        if args.start is None and await _is_used(store):
            plan, _ = await restored(store, config, start, slots=args.slots)
    # A month of a thousand jobs is a hundred thousand rows that all stay: nobody has to look for garbage among them.
    rest()
    until = end_of(start, args.days, timezone_of(config))
    config, opened = with_open_conditions(config, habits)
    rehearsed = rehearse(config, start, until, Draws(args.seed, habits), slots=args.slots, plan=plan)
    return report(rehearsed, habits, args.seed, opened)


async def _is_used(store: Store) -> bool:
    return bool(await store.configs(limit=1))


def end_of(start: datetime, days: int, timezone: str) -> datetime:
    """Return the local midnight that ends `days` whole days, the first of which begins at or after `start`."""
    from dagsched.triggers import local

    here = local(start, timezone)
    first = here.date() if _midnight(here, 0) >= start else (here + timedelta(days=1)).date()
    return _midnight(here.replace(year=first.year, month=first.month, day=first.day), days)


def _midnight(here: datetime, days: int) -> datetime:
    day = here.date() + timedelta(days=days)
    return datetime(day.year, day.month, day.day, tzinfo=here.tzinfo).astimezone(UTC)


# ---------------------------------------------------------------- what the command line says


def _said(args: argparse.Namespace, config: Config) -> Said:
    from dagsched.rehearsal.habits import Said

    lengths, length = _by_job("--duration", args.duration, config)
    rates, rate = _by_job("--fail-rate", args.fail_rate, config)
    return Said(
        {job: _length(text) for job, text in lengths.items()},
        {job: _rate(text) for job, text in rates.items()},
        _length(length) if length is not None else None,
        _rate(rate) if rate is not None else None,
    )


def _by_job(option: str, words: Sequence[str], config: Config) -> tuple[dict[str, str], str | None]:
    """Return what stands after each job and what stands alone; raises UsageError or Unknown."""
    by_job: dict[str, str] = {}
    alone = None
    for word in words:
        job, equals, text = word.rpartition("=")
        if equals and not job:
            raise UsageError(f"{option} {word!r} names no job before the `=`")
        if equals:
            by_job[known_job(job, config.jobs)] = text
        else:
            alone = text
    return by_job, alone


def _length(text: str) -> timedelta:
    length = parse_length(text)
    if length <= timedelta(0):
        raise UsageError(f"a duration of {text!r} is none; write one like 5m")
    return length


def _rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = -1.0
    if not 0 <= rate <= 1:
        raise UsageError(f"{text!r} is no fail rate; write a number from 0 (none) to 1 (all), such as 0.1")
    return rate
