"""`dagsched simulate [PATH…]`: the coming days on a virtual clock, with lengths and failures as history has them.

Nothing is started and nothing is written. It needs neither a daemon nor a state; where there is a state, it begins with
what is there, unless `--from` says another time.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from typing import Any

from dagsched.cli.far import far, url_of
from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_json, add_paths, add_state_dir, add_url, count
from dagsched.cli.places import load_config, state_dir
from dagsched.cli.reading import reading
from dagsched.views.simulating import DAYS, Wish, checked, said_of, simulate


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
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    wish = checked(Wish(args.days, args.seed, args.start, args.duration, args.fail_rate, args.slots))
    document = asyncio.run(_simulate(args, wish))
    if args.json:
        print_json(document)
    else:
        from dagsched.cli.forecast import print_forecast

        print_forecast(document)
    return 0


async def _simulate(args: argparse.Namespace, wish: Wish) -> Mapping[str, Any]:
    if (url := url_of(args)) is not None:
        body = {"from": wish.start, **wish._asdict()}
        del body["start"]
        async with far(args, url) as there:
            found: Mapping[str, Any] = await there.post("/simulate", {k: v for k, v in body.items() if v is not None})
            return found
    config = load_config(args.paths)
    said = said_of(wish, config)
    async with reading(state_dir(args), quiet=True) as store:
        return await simulate(store, config, wish, said)
