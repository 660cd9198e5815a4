"""`dagsched worker`: do the attempts of jobs with a `queue`, which the scheduler of a shared store hands out."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
from pathlib import Path

from dagsched.cli.parser import Parser, add_store, count
from dagsched.cli.times import parse_length
from dagsched.errors import StoreError, UsageError
from dagsched.logs import FORMATS, TEXT, VARIABLE, set_up

GRACE = "30s"
STATE_DIR = ".dagsched-worker"
# As in the job file: see `queue` and `labels` in jobs.schema.json.
_QUEUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.=-]{0,39}")


def arguments(parser: Parser) -> None:
    parser.add_argument(
        "--queues", metavar="NAMES", required=True, help="the queues whose jobs it does, with commas between them"
    )
    parser.add_argument("--labels", metavar="NAMES", default="", help="what it has that jobs may ask for")
    parser.add_argument("--slots", metavar="N", type=count, default=1, help="attempts at a time (default: 1)")
    parser.add_argument("--name", metavar="NAME", default="", help="what it is called (default: of the machine's name)")
    parser.add_argument(
        "--grace", metavar="LENGTH", default=GRACE, help=f"what running attempts get at a stop (default: {GRACE})"
    )
    parser.add_argument(
        "--state-dir",
        metavar="DIR",
        type=Path,
        help=f"where its own state lives (default: $DAGSCHED_STATE_DIR, then {STATE_DIR} here)",
    )
    parser.add_argument(
        "--log-format",
        choices=FORMATS,
        default=os.environ.get(VARIABLE) if os.environ.get(VARIABLE) in FORMATS else TEXT,
        help="how it writes its log (default: $DAGSCHED_LOG_FORMAT, then text)",
    )
    add_store(parser)


def run(args: argparse.Namespace) -> int:
    queues, labels = _words(args.queues, _QUEUE, "--queues"), _words(args.labels, _LABEL, "--labels")
    grace = parse_length(args.grace)
    if not queues:
        raise UsageError("--queues: name at least one queue")
    if "local" in queues:
        raise UsageError("--queues local: jobs of that queue are the scheduler's own")
    if args.slots == 0:
        raise UsageError("--slots 0 would do nothing; give at least 1")
    home = args.state_dir or Path(os.environ.get("DAGSCHED_STATE_DIR") or STATE_DIR)
    from dagsched.stores import address_of

    address = address_of(home)
    if address is None:
        raise UsageError(
            "no shared store is named: give --store postgresql://USER@HOST/DATABASE or set $DAGSCHED_STORE"
        )
    set_up(args.log_format)
    try:
        from dagsched.worker import Worker
    except ImportError as error:
        raise StoreError(f"a worker needs psycopg ({error}); pip install 'dagsched[postgres]'") from error
    worker = Worker(address, home, queues, labels, slots=args.slots, name=args.name, grace=grace, said=_say)
    return asyncio.run(worker.run())


def _words(text: str, form: re.Pattern[str], option: str) -> list[str]:
    """Return the words between commas, each once; raises UsageError for one that no job can name."""
    words = list(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))
    for word in words:
        if not form.fullmatch(word):
            raise UsageError(f"{option} {word!r}: a name is at most 40 letters, digits and _ . -, and begins with one")
    return words


def _say(words: str) -> None:
    print(f"dagsched: {words}", file=sys.stderr, flush=True)
