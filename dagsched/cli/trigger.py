"""`dagsched trigger JOB`: makes a run now; it obeys its joins, and what blocks it is printed at once."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url, did_you_mean, pairs
from dagsched.cli.remote import act, job_meant, report
from dagsched.errors import Refused, UsageError
from dagsched.handlers.params import typed
from dagsched.model import Config


def arguments(parser: Parser) -> None:
    parser.add_argument("job", metavar="JOB", help="the job to run")
    parser.add_argument("--param", metavar="K=V", action="append", default=[], help="a parameter; may be repeated")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--with-upstream", action="store_true", help="run everything it waits for as well, first")
    how.add_argument("--only", action="store_true", help="wait for nothing and start nothing else")
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    return asyncio.run(_trigger(args))


async def _trigger(args: argparse.Namespace) -> int:
    job, config = await job_meant(args)
    params = read_params(args.param, job, config)
    if config is not None:
        _check(params, job, config)
    body = {
        "job": job,
        "params": params,
        "with_upstream": args.with_upstream,
        "only": args.only,
    }
    answer = await act(args, "trigger", body)
    if answer is None or args.json:
        return report(args, answer, "triggered", job)
    for run_name in answer["runs"]:
        print(run_name)
    for words in answer["blocked"]:
        print(words, file=sys.stderr)
    return 0


def _check(params: Mapping[str, Any], job: str, config: Config) -> None:
    """Raise UsageError for parameters that the job would refuse, whether a daemon runs now or later."""
    from dagsched.handlers.params import checked_params

    try:
        checked_params(config.jobs[job], params)
    except Refused as error:
        raise UsageError(str(error)) from None


def read_params(words: list[str], job: str, config: Config | None) -> dict[str, Any]:
    """Return `K=V` arguments as values of the types that the job declares; raises UsageError.

    What is declared as anything but text is read as JSON; a value that is none stays text, to be refused in the
    words of the schema. Without a configuration all values stay text.
    """
    declared = config.jobs[job].params if config else None
    values: dict[str, Any] = {}
    for name, text in pairs(words).items():
        if declared is not None and name not in declared:
            raise UsageError(f"job {job!r} has no parameter {name!r}{did_you_mean(name, declared)}")
        values[name] = text if declared is None else typed(text, declared[name])
    return values
