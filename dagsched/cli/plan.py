"""`dagsched plan NEW`: what an edit would change, before it is applied.

Compared is with the configuration in force in the state; with `--against` with those files, and then no state is
looked at unless `--state-dir` names one. With `--exit-code` it is 1 that something changes: a job or pool is declared
otherwise, a fire time of the days looked at comes, goes or moves, or something else becomes of an open run or of a tick
that is due. A job in another file, comments and new warnings change nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagsched.cli.far import far, url_of
from dagsched.cli.output import may_color, print_json
from dagsched.cli.parser import Parser, add_json, add_state_dir, add_url, count
from dagsched.cli.places import beside, job_files, state_dir, texts_of
from dagsched.cli.reading import reading
from dagsched.clock import SystemClock
from dagsched.errors import ConfigInvalid, Refused, UsageError

if TYPE_CHECKING:
    from dagsched.config import Loaded
    from dagsched.preview import Base, Preview
    from dagsched.stores.contract import Store
    from dagsched.views.plan_words import PlanWords

DAYS, DAYS_MAX = 7, 366


def arguments(parser: Parser) -> None:
    parser.add_argument("new", metavar="NEW", nargs="+", type=Path, help="the edited job file or directory, or several")
    parser.add_argument(
        "--against", dest="paths", metavar="PATH", action="append", default=[], type=Path,
        help="compare with this job file or directory, not with what is in force; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--days", metavar="N", type=count, default=DAYS, help=f"how far to look ahead at fire times (default: {DAYS})"
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown, for a pull request")
    parser.add_argument("--exit-code", action="store_true", help="exit 1 when anything changes")
    add_json(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    if args.json and args.markdown:
        raise UsageError("give --json or --markdown, but not both")
    if args.days > DAYS_MAX:
        raise UsageError(f"--days {args.days} is more than a year; at most {DAYS_MAX}")
    document, words = asyncio.run(_told(args))
    if args.json:
        print_json(document)
    else:
        from dagsched.cli.plan_text import markdown, text

        print(markdown(words) if args.markdown else text(words, color=may_color()), end="")
    return int(args.exit_code and document["changes"])


async def _told(args: argparse.Namespace) -> tuple[Mapping[str, Any], PlanWords]:
    """Return the plan as a document and in words."""
    from dagsched.views.plan_doc import document
    from dagsched.views.plan_words import words_from, words_of

    if (url := url_of(args)) is None:
        found = await _look(args, SystemClock().now())
        return document(found), words_of(found)
    async with far(args, url) as there:
        told = await there.post("/plan", {"files": texts_of(args.new), "days": args.days})
        return told["document"], words_from(told["words"])


async def _look(args: argparse.Namespace, now: datetime) -> Preview:
    from dagsched.config import load
    from dagsched.preview import preview

    new = load(args.new, now)
    if new.config is None:
        raise ConfigInvalid(new.problems)
    async with reading(_home(args), quiet=True) as store:
        base = await _base(args, store, now)
        new = _with_registered(base, new.config.files, now) or new
        return await preview(store, base, new, now, timedelta(days=args.days))


def _with_registered(base: Base, files: Mapping[str, str], now: datetime) -> Loaded | None:
    """Return the new files with the registered jobs that are in force, which stay whatever files say; None: no such."""
    from dagsched.config import load_texts
    from dagsched.registered import among

    carried = among(base.config.files) if base.version is not None else {}
    folder = os.path.dirname(next(iter(files)))
    beside = {os.path.join(folder, os.path.basename(file)): text for file, text in carried.items()}
    return load_texts({**files, **beside}, now) if beside else None


def _home(args: argparse.Namespace) -> Path:
    """Return the state directory: as for every command, else the one beside the new files."""
    try:
        return state_dir(args)
    except UsageError:
        return beside(args.new[0])


async def _base(args: argparse.Namespace, store: Store, now: datetime) -> Base:
    """Return what to compare with: what is in force, else the files; nothing, where there is neither."""
    from dagsched.config import load
    from dagsched.preview import NOTHING, Base, read_base

    version = next(iter(await store.configs(limit=1)), None)
    if version is not None and (args.state_dir is not None or not args.paths):
        try:
            return read_base(version, now)
        except ConfigInvalid as error:
            first = error.problems[0]
            raise Refused(
                f"configuration {version.number}, which is in force, cannot be read by this version of dagsched: "
                f"{first.file}:{first.line}: {first.message}; compare with its files by --against"
            ) from None
    files = _old_files(args)
    if not files:
        return Base(NOTHING)
    loaded = load(files, now)
    if loaded.config is None:
        raise ConfigInvalid(loaded.problems)
    return Base(loaded.config, loaded.problems)


def _old_files(args: argparse.Namespace) -> Sequence[Path]:
    """Return the files of `--against`, else the default ones unless they are the new ones."""
    try:
        files = job_files(args.paths)
    except UsageError:
        return ()
    is_new = {path.resolve() for path in files} == {path.resolve() for path in args.new}
    return () if is_new and not args.paths else files
