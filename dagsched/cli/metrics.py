"""`dagsched metrics`: figures for Prometheus, printed, or written where node_exporter looks for them."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from contextlib import closing, suppress
from pathlib import Path

from dagsched.cli.far import far, url_of
from dagsched.cli.parser import Parser, add_file, add_state_dir, add_url
from dagsched.cli.places import state_dir
from dagsched.cli.reading import reading
from dagsched.cli.remote import ask
from dagsched.clock import SystemClock
from dagsched.errors import StoreMissing


def arguments(parser: Parser) -> None:
    parser.add_argument("--textfile", metavar="PATH", type=Path, help="write them to this file, whole or not at all")
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    text = asyncio.run(_read(args))
    if args.textfile is not None:
        replace(args.textfile, text)
    else:
        sys.stdout.write(text.decode())
    return 0


async def _read(args: argparse.Namespace) -> bytes:
    if (url := url_of(args)) is None:
        return await _read_here(state_dir(args))
    async with far(args, url) as there:
        return await there.metrics()


async def _read_here(home: Path) -> bytes:
    from dagsched.metrics import metrics_text
    from dagsched.stores.notices import Notices

    status = await ask(home, "status", {})
    counts: dict[str, int] = {}
    with suppress(StoreMissing), closing(Notices(home, write=False)) as notices:
        counts = dict(notices.counts())
    async with reading(home, quiet=True) as store:
        return await metrics_text(store, status, SystemClock().now(), counts)


def replace(path: Path, text: bytes) -> None:
    """Put the text in the file's place at one instant, readable for all: a collector never sees half of it."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            file.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise
