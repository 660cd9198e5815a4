"""`dagsched db status|upgrade`: the layout of a namespace on a PostgreSQL server."""

from __future__ import annotations

import argparse
import asyncio
from typing import TYPE_CHECKING

from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import state_dir
from dagsched.errors import UsageError

if TYPE_CHECKING:
    from dagsched.stores import Address
    from dagsched.stores.postgres import Standing


def arguments(parser: Parser) -> None:
    parser.add_argument("verb", choices=tuple(_VERBS), metavar="VERB", help=" or ".join(_VERBS))
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    from dagsched.stores import address_of

    home = state_dir(args)
    address = address_of(home)
    if address is None:
        raise UsageError(
            "no shared store is named: give --store postgresql://USER@HOST/DATABASE or set $DAGSCHED_STORE"
        )
    return _VERBS[args.verb](args, address)


def _upgrade(args: argparse.Namespace, address: Address) -> int:
    from dagsched.stores.postgres import upgrade

    before = asyncio.run(upgrade(address))
    if args.json:
        print_json({"store": address.shown, "before": before.found, "layout": before.known})
    elif before.found == before.known:
        print(f"{address.shown}: {before.words}")
    else:
        print(f"{address.shown}: brought from layout {before.found} to {before.known}")
    return 0


def _status(args: argparse.Namespace, address: Address) -> int:
    from dagsched.stores.postgres import standing_of

    found = asyncio.run(standing_of(address))
    if args.json:
        print_json({"store": address.shown, **found.as_json()})
    else:
        _print(address, found)
    return 0 if found.layout.found == found.layout.known else 1


def _print(address: Address, found: Standing) -> None:
    print(f"store   {address.shown}, PostgreSQL {found.server}")
    print(f"layout  {found.layout.words}")
    if found.layout.found:
        print(f"active  {found.holder or 'nobody'}, epoch {found.epoch}")
        for each in found.standby:
            print(f"standby {each}")
        print(f"size    {found.bytes_used / 2**20:.1f} MiB, weeks of runs: {found.weeks}")


_VERBS = {"status": _status, "upgrade": _upgrade}
