"""`dagsched open`: prints a link that logs a browser in, once and within ten minutes, and opens it for a person."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from dagsched.cli.output import is_watched, note, print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.places import state_dir
from dagsched.cli.remote import demand
from dagsched.clock import SystemClock
from dagsched.errors import NoDaemon
from dagsched.model import format_instant


def arguments(parser: Parser) -> None:
    parser.add_argument("--role", choices=("viewer", "operator", "admin"), default="admin", help="default: admin")
    parser.add_argument("--print", dest="only_print", action="store_true", help="open no browser")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    from dagsched.api.access import LINK_LIFE, ROLES, Access

    status: dict[str, Any] = asyncio.run(demand(args, "status", {}))
    if not status["http"]:
        raise NoDaemon("the daemon serves no HTTP over TCP; start it with `dagsched run --bind HOST:PORT`")
    now = SystemClock().now()
    _, secret = Access(state_dir(args)).create("link", ROLES[args.role], now, name="browser", life=LINK_LIFE)
    url = f"{status['http']}/login?code={secret}"
    if args.json:
        print_json({"url": url, "role": args.role, "expires": format_instant(now + LINK_LIFE)})
        return 0
    print(url)
    if is_watched() and not args.only_print:
        import webbrowser

        if not webbrowser.open(url):
            note("no browser could be opened; follow the link within ten minutes, it works once")
    return 0
