"""`dagsched token create|list|revoke`: who may use the API over TCP, and as what.

A token is shown once; only its hash is kept, in `access.json` of the state directory. This works with and without a
running daemon, which heeds a change from the next request on.
"""

from __future__ import annotations

import argparse
from typing import Any

from dagsched.api.access import ROLES, Access, Entry
from dagsched.cli.output import note, print_json, print_rows, print_table
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import state_dir
from dagsched.cli.times import distance, instant_or_none, parse_length
from dagsched.clock import SystemClock
from dagsched.errors import UsageError
from dagsched.model import format_instant

ACTIONS = ("create", "list", "revoke")


def arguments(parser: Parser) -> None:
    parser.add_argument("action", metavar="ACTION", choices=ACTIONS, help="create, list or revoke")
    parser.add_argument("id", metavar="TOKEN", nargs="?", help="of revoke: id or name of a token, or id of a session")
    parser.add_argument("--role", choices=list(ROLES), help="of create: what its holder may do")
    parser.add_argument("--name", metavar="NAME", default="", help="of create: whose it is, or what for")
    parser.add_argument("--expires", metavar="LENGTH", help="of create: how long it is good (default: until revoked)")
    add_json(parser, "one JSON document, of list one object per line,")
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    home = state_dir(args)
    if (args.id is None) == (args.action == "revoke"):
        raise UsageError("`token revoke` takes the id or name of a token, the other actions take none")
    if (args.role is None) == (args.action == "create"):
        raise UsageError("`token create` needs --role viewer, operator or admin; the other actions take none")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    access = Access(home)
    return {"create": _create, "list": _list, "revoke": _revoke}[args.action](args, access)


def _create(args: argparse.Namespace, access: Access) -> int:
    life = parse_length(args.expires) if args.expires else None
    if not args.name.isprintable() or len(args.name) > 100:
        raise UsageError("--name is at most 100 printable characters")
    try:
        entry, secret = access.create("token", ROLES[args.role], SystemClock().now(), name=args.name, life=life)
    except OverflowError:
        raise UsageError(f"--expires {args.expires}: no calendar goes that far; leave it out for no end") from None
    if args.json:
        print_json({"token": secret, **_row(entry)})
    else:
        print(secret)
        note("shown only now; send it as `Authorization: Bearer …`, or set $DAGSCHED_TOKEN")
    return 0


def _list(args: argparse.Namespace, access: Access) -> int:
    now = SystemClock().now()
    found = [entry for entry in access.entries(now) if entry.kind != "link"]
    if args.json:
        print_rows(_row(entry) for entry in found)
        return 0
    print_table(
        ("id", "kind", "role", "name", "created", "expires"),
        [
            (
                entry.id,
                entry.kind,
                entry.role.word,
                entry.name,
                distance(entry.created, now) if entry.created < now else "now",
                distance(entry.expires, now) if entry.expires else "never",
            )
            for entry in found
        ],
    )
    return 0


def _revoke(args: argparse.Namespace, access: Access) -> int:
    gone = access.revoke(args.id, SystemClock().now())
    if args.json:
        print_json({"revoked": [_row(entry) for entry in gone]})
    else:
        for entry in gone:
            print(f"revoked {entry.kind} {entry.id} {entry.name}".rstrip())
    return 0


def _row(entry: Entry) -> dict[str, Any]:
    return {
        "id": entry.id,
        "kind": entry.kind,
        "role": entry.role.word,
        "name": entry.name,
        "created": format_instant(entry.created),
        "expires": instant_or_none(entry.expires),
    }
