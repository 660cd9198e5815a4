"""`dagsched db status|upgrade|move`: a namespace on a PostgreSQL server, and how a state gets there and back."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagsched.cli.output import print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import state_dir
from dagsched.errors import StoreError, UsageError

if TYPE_CHECKING:
    from dagsched.stores import Address
    from dagsched.stores.move import Moved
    from dagsched.stores.postgres import Standing

SHOWN_EVERY = 10_000


def arguments(parser: Parser) -> None:
    parser.add_argument("verb", choices=tuple(_VERBS), metavar="VERB", help="status, upgrade or move")
    parser.add_argument(
        "places",
        nargs="*",
        metavar="PLACE",
        help="move: from where, to where: sqlite: (the state directory), or postgresql://USER@HOST/DATABASE",
    )
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    return _VERBS[args.verb](args)


# ---------------------------------------------------------------- status and upgrade


def _upgrade(args: argparse.Namespace) -> int:
    address = _address(args)
    from dagsched.stores.postgres import upgrade

    before = asyncio.run(upgrade(address))
    if args.json:
        print_json({"store": address.shown, "before": before.found, "layout": before.known})
    elif before.found == before.known:
        print(f"{address.shown}: {before.words}")
    else:
        print(f"{address.shown}: brought from layout {before.found} to {before.known}")
    return 0


def _status(args: argparse.Namespace) -> int:
    address = _address(args)
    from dagsched.stores.postgres import standing_of

    found = asyncio.run(standing_of(address))
    if args.json:
        print_json({"store": address.shown, **found.as_json()})
    else:
        _print(address, found)
    return 0 if found.layout.found == found.layout.known else 1


def _address(args: argparse.Namespace) -> Address:
    from dagsched.stores import address_of

    if args.places:
        raise UsageError(
            f"dagsched db {args.verb}: unexpected argument {args.places[0]!r}; name the store with --store"
        )
    address = address_of(state_dir(args))
    if address is None:
        raise UsageError(
            "no shared store is named: give --store postgresql://USER@HOST/DATABASE or set $DAGSCHED_STORE"
        )
    return address


def _print(address: Address, found: Standing) -> None:
    print(f"store   {address.shown}, PostgreSQL {found.server}")
    print(f"layout  {found.layout.words}")
    if found.moved_to:
        print(f"moved   to {found.moved_to}; kept for reading")
    if found.layout.found:
        print(f"active  {found.holder or 'nobody'}, epoch {found.epoch}")
        for each in found.standby:
            print(f"standby {each}")
        print(f"size    {found.bytes_used / 2**20:.1f} MiB, weeks of runs: {found.weeks}")


# ---------------------------------------------------------------- move


class _Ways(NamedTuple):
    """Where a state moves from and to; None is the SQLite file of the state directory."""

    source: Address | None
    target: Address | None


def _move(args: argparse.Namespace) -> int:
    home, ways = state_dir(args), _ways(args)
    moved = asyncio.run(_moved(home, ways, _progress() if sys.stderr.isatty() and not args.json else None))
    if args.json:
        print_json(moved.as_json())
    else:
        _print_moved(moved)
    named = os.environ.get("DAGSCHED_STORE")
    if named and not (args.store or _is_where(named, ways.target)):
        print("dagsched: note: $DAGSCHED_STORE does not name where the state is now; set it anew", file=sys.stderr)
    return 0


def _ways(args: argparse.Namespace) -> _Ways:
    from dagsched.stores.address import DEFAULT_NAMESPACE, NAMESPACE, parsed

    if args.store:
        raise UsageError("dagsched db move names both places itself: leave --store out")
    if len(args.places) != 2:
        raise UsageError(
            "dagsched db move takes two places, from and to: "
            "sqlite: and postgresql://USER@HOST/DATABASE, or the reverse"
        )
    namespace = os.environ.get(NAMESPACE) or DEFAULT_NAMESPACE
    ways = _Ways(*(parsed(place, namespace) for place in args.places))
    if (ways.source is None) == (ways.target is None):
        raise UsageError(
            "dagsched db move goes from sqlite: to a server, or from a server to sqlite:; "
            "between servers pg_dump and pg_restore do it"
        )
    return ways


async def _moved(home: Path, ways: _Ways, told: Callable[[str, int], None] | None) -> Moved:
    from dagsched.stores.address import note
    from dagsched.stores.move import move
    from dagsched.stores.move_sqlite import SqliteSide

    try:
        from dagsched.stores.move_postgres import PostgresSide
    except ImportError as error:
        raise StoreError(
            f"a server needs psycopg, which is not installed ({error}); pip install 'dagsched[postgres]'"
        ) from None
    here = SqliteSide(home)
    try:
        if ways.target is None:
            assert ways.source is not None, "one of the two is a server"
            moved = await move(PostgresSide(ways.source), here, *([told] if told else []))
        else:
            moved = await move(here, PostgresSide(ways.target), *([told] if told else []))
    finally:
        if told is not None:
            print(file=sys.stderr)
    note(home, ways.target)
    return moved


def _is_where(named: str, target: Address | None) -> bool:
    from dagsched.stores.address import SQLITE

    return named == (SQLITE if target is None else target.url)


def _progress() -> Callable[[str, int], None]:
    def told(table: str, rows: int) -> None:
        if rows % SHOWN_EVERY < 1000:
            print(f"\r{table}: {rows:,} rows        ", end="", file=sys.stderr, flush=True)

    return told


def _print_moved(moved: Moved) -> None:
    if moved.is_finished:
        print(f"the move from {moved.source} to {moved.target} had been made; it is finished now")
    else:
        print(f"moved {moved.source}\n   to {moved.target}\n")
        print(f"{'table':<12} {'rows':>10}  checksum, the same on both sides")
        for each in moved.tables:
            print(f"{each.table:<12} {each.rows:>10}  {each.checksum}")
        print()
    print("the next `dagsched run` here goes on there; what was moved is kept for reading, and no daemon starts on it")


_VERBS = {"status": _status, "upgrade": _upgrade, "move": _move}
