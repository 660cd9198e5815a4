"""`dagsched validate [PATH…]`: every problem of every file at once; as JSON one object per line.

Exit code 0 when the files can be used, 3 when not; with `--strict` warnings count as well (1).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from dagsched.cli.output import may_color, note, print_rows
from dagsched.cli.parser import Parser, add_paths
from dagsched.cli.places import job_files
from dagsched.clock import SystemClock
from dagsched.config import Loaded, Problem, load, render, rows
from dagsched.counting import counted

FORMATS = ("human", "json", "github", "sarif")


def arguments(parser: Parser) -> None:
    add_paths(parser)
    parser.add_argument("--format", choices=FORMATS, default="human", help="how problems are printed (default: human)")
    parser.add_argument("--json", dest="format", action="store_const", const="json", help="the same as --format json")
    parser.add_argument("--strict", action="store_true", help="exit 1 when there are warnings")


def run(args: argparse.Namespace) -> int:
    loaded = load(job_files(args.paths), SystemClock().now())
    if args.format == "json":
        print_rows(rows(loaded.problems))
    else:
        sys.stdout.write(render(loaded.problems, args.format, color=may_color()))
    if loaded.config is not None and not loaded.problems:
        note(_all_is_well(loaded))
    return _exit_code(loaded, args.strict)


def _exit_code(loaded: Loaded, strict: bool) -> int:
    if loaded.config is None:
        return 3
    return 1 if strict and _has_warnings(loaded.problems) else 0


def _has_warnings(problems: Sequence[Problem]) -> bool:
    return any(problem.severity == "warning" for problem in problems)


def _all_is_well(loaded: Loaded) -> str:
    assert loaded.config is not None, "only called for a configuration that can be used"
    jobs, files = len(loaded.config.jobs), len(loaded.config.files)
    return f"ok: {counted(jobs, 'job')} in {counted(files, 'file')}"
