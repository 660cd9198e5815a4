"""`dagsched run [PATH…]`: the daemon; `--once` runs everything now, once, and shows how it goes.

Words after `--once` are jobs; one that ends in .yaml or .yml or has a slash in it is a PATH all the same, so
that `dagsched run --once jobs.yaml` does what it says.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagsched.cli.output import is_watched
from dagsched.cli.parser import Parser, add_json, add_paths, add_state_dir, count, pairs
from dagsched.cli.places import job_files, state_dir
from dagsched.cli.times import parse_length
from dagsched.clock import Clock, SystemClock
from dagsched.errors import UsageError
from dagsched.logs import FORMATS, JSON, TEXT, VARIABLE, set_up

if TYPE_CHECKING:
    from dagsched.cli.progress import View

GRACE = "30s"


def arguments(parser: Parser) -> None:
    add_paths(parser)
    parser.add_argument(
        "--once", metavar="JOB", nargs="*", help="run all jobs now, or these and what they need, and exit"
    )
    parser.add_argument(
        "--param", metavar="K=V", action="append", default=[], help="with --once: a parameter of all that declare it"
    )
    parser.add_argument("--until-idle", action="store_true", help="exit when nothing is left to do")
    parser.add_argument(
        "--grace",
        metavar="LENGTH",
        default=GRACE,
        help=f"what running attempts get at a stop (default: {GRACE})",
    )
    parser.add_argument("--slots", metavar="N", type=count, help="how many attempts may run at a time")
    _add_http(parser)
    parser.add_argument(
        "--log-format",
        choices=FORMATS,
        default=os.environ.get(VARIABLE) if os.environ.get(VARIABLE) in FORMATS else TEXT,
        help="how the daemon writes its log and events (default: $DAGSCHED_LOG_FORMAT, then text)",
    )
    add_json(parser, "events, one JSON object per line,")
    add_state_dir(parser)


def _add_http(parser: Parser) -> None:
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--bind", metavar="HOST:PORT", help="where HTTP is served (default: 127.0.0.1:8420)")
    where.add_argument("--no-http", action="store_true", help="serve no HTTP")
    parser.add_argument(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="a name by which browsers may call, besides localhost and addresses; may be repeated",
    )
    parser.add_argument("--insecure-no-auth", action="store_true", help="let everybody on this machine do everything")
    parser.add_argument("--allow-api-commands", action="store_true", help="let jobs that come in by HTTP have commands")


def run(args: argparse.Namespace) -> int:
    _sort_words(args)
    files, home = job_files(args.paths), state_dir(args)
    grace = parse_length(args.grace)
    if args.param and args.once is None:
        raise UsageError("--param goes with --once; `dagsched trigger JOB --param` gives one to a running daemon")
    if args.slots == 0:
        raise UsageError("--slots 0 would start nothing; give at least 1")
    args.json = args.json or args.log_format == JSON
    set_up(args.log_format)
    doors = _doors(args)
    clock = SystemClock()
    with _view(args, clock) as view:
        work = _run_daemon(args, files, home, grace, view, doors)
        code = _run_loop(work, is_short=args.once is not None)
    if args.once is not None and not args.json:
        from dagsched.cli.progress import print_closing_table

        print_closing_table(view.board, clock.now())
    return code


def _run_loop(work: Coroutine[Any, Any, int], *, is_short: bool) -> int:
    if is_short:
        from dagsched.cli.loops import run_without_tls

        return run_without_tls(work)
    import asyncio

    return asyncio.run(work)


def _sort_words(args: argparse.Namespace) -> None:
    """Move what is a path from the words after `--once` to the paths."""
    words = args.once or []
    args.paths += [Path(word) for word in words if _is_path(word)]
    if args.once is not None:
        args.once = [word for word in words if not _is_path(word)]


def _is_path(word: str) -> bool:
    return word.endswith((".yaml", ".yml")) or "/" in word or word in (".", "..")


def _doors(args: argparse.Namespace) -> list[Any]:
    """Return the ways in; raises UsageError, and StoreError for an address that was asked for and cannot be had."""
    from dagsched.api import calls_door, control_door

    if args.once is not None or args.no_http:
        return [control_door if args.once is None else calls_door]
    from dagsched.api import http_door
    from dagsched.api.listening import BIND_PATIENCE_S, Serving, bound, is_loopback

    asked = parse_bind(args.bind) if args.bind else None
    if args.insecure_no_auth and asked and not is_loopback(asked[0]):
        raise UsageError(f"--insecure-no-auth with --bind {args.bind} would let everybody in; use tokens there")
    serving = Serving(
        bind=asked,
        auth=not args.insecure_no_auth,
        allow_hosts=args.allow_host,
        job_commands=args.allow_api_commands,
    )
    tcp = bound(*asked, BIND_PATIENCE_S) if asked else None
    return [control_door, http_door(serving, tcp, _say)]


def parse_bind(text: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:8420`, `[::1]:8420` or `name:8420`; raises UsageError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
    if not colon or not host or (":" in host and not text.startswith("[")) or not port.isdecimal():
        raise UsageError(f"--bind {text!r}: write HOST:PORT, such as 127.0.0.1:8420 or [::1]:8420")
    if int(port) > 65535:
        raise UsageError(f"--bind {text!r}: a port is at most 65535")
    return host, int(port)


def _say(words: str) -> None:
    print(f"dagsched: {words}", file=sys.stderr, flush=True)


async def _run_daemon(
    args: argparse.Namespace, files: Sequence[Path], home: Path, grace: timedelta, view: View, doors: Sequence[Any]
) -> int:
    from dagsched.daemon import Daemon, OneTick

    if args.once is not None:
        once = OneTick(files, home, observer=view, grace=grace, slots=args.slots, doors=doors)
        code = await once.run_once(args.once, pairs(args.param))
    else:
        daemon = Daemon(files, home, observer=view, grace=grace, slots=args.slots, doors=doors)
        code = await daemon.run(until_idle=args.until_idle)
    return code or (view.board.exit_code() if _ends_by_itself(args) else 0)


def _ends_by_itself(args: argparse.Namespace) -> bool:
    return args.once is not None or args.until_idle


def _view(args: argparse.Namespace, clock: Clock) -> View:
    from dagsched.cli.progress import Lines, Live

    if args.once is not None and is_watched() and not args.json:
        return Live(clock.now)
    return Lines(as_json=args.json, keeps_board=_ends_by_itself(args))
