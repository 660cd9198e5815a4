"""`dagsched reload`: has the daemon read its job files again now.

Exit code 3 and all problems when it cannot use them; then the configuration in force stays.
"""

from __future__ import annotations

import argparse
import asyncio

from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir
from dagsched.cli.remote import demand, report


def arguments(parser: Parser) -> None:
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(demand(args, "reload", {}))
    problems = answer.get("problems") or []
    if problems and not args.json:
        for problem in problems:
            print(problem if isinstance(problem, str) else problem["message"])
        print("the job files were read and not taken over; the configuration in force stays")
        return 3
    report(args, answer, answer.get("summary") or "reloaded", "")
    return 3 if problems else 0
