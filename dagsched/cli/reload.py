"""`dagsched reload`: has the daemon read its job files again now.

Files with errors keep their last good version; then all problems are printed and the exit code is 3.
"""

from __future__ import annotations

import argparse
import asyncio
import sys

from dagsched.cli.output import may_color, print_json
from dagsched.cli.parser import Parser, add_file, add_json, add_state_dir, add_url
from dagsched.cli.remote import demand
from dagsched.config import Problem, render


def arguments(parser: Parser) -> None:
    add_json(parser)
    add_file(parser)
    add_state_dir(parser)
    add_url(parser)


def run(args: argparse.Namespace) -> int:
    answer = asyncio.run(demand(args, "reload", {}))
    problems = [Problem(**row) for row in answer["problems"]]
    if args.json:
        print_json(answer)
    else:
        sys.stdout.write(render(problems, "human", color=may_color()))
        number = answer["number"]
        print(f"configuration {number} is in force" + ("" if answer["applied"] else ", as before"))
    return 3 if any(problem.is_error for problem in problems) else 0
