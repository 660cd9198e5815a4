"""`dagsched init [DIR]`: a first job file, small enough to read and real enough to run."""

from __future__ import annotations

import argparse
from pathlib import Path

from dagsched.cli.output import note
from dagsched.cli.parser import Parser
from dagsched.errors import UsageError

FILE = "jobs.yaml"
SCHEMA_FILE = ".dagsched-schema.json"

_TEXT = f"""\
# yaml-language-server: $schema={SCHEMA_FILE}
#
# Try it:  dagsched validate         checks this file
#          dagsched next             shows what will run, and when
#          dagsched run --once       runs everything now, once
#          dagsched run              stays and runs it on schedule
version: 1
timezone: UTC                      # an IANA name, such as Europe/Berlin

defaults:
  timeout: 10m
  retry: {{max_attempts: 3, backoff: exponential, delay: 2s}}

jobs:
  disk-usage:
    description: How full the disk is, as an output for the report
    schedule: "0 2 * * *"
    run: echo "used=$(df -P . | awk 'NR == 2 {{print $5}}')" >> "$DAGSCHED_OUTPUT"

  largest-files:
    description: The ten largest files of this folder
    schedule: "0 2 * * *"
    run: find . -type f -size +0 -exec du -k {{}} + | sort -rn | head -n 10

  report:                          # no schedule of its own: runs whenever both above have succeeded
    depends_on: [disk-usage, largest-files]
    env:
      USED: {{job: disk-usage, output: used}}
    run: echo "$DAGSCHED_TICK_LOCAL  disk is $USED full" >> report.txt && tail -n 1 report.txt

  # tidy:                          # deletes runs that ended more than 90 days ago
  #   schedule: "30 3 * * *"
  #   handler: retention
  #   keep: {{days: 90}}             # this job's own; put it above `jobs:` for all of them
"""


def arguments(parser: Parser) -> None:
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        default=Path(),
        type=Path,
        help="where (default: here); made if missing",
    )


def run(args: argparse.Namespace) -> int:
    target = args.folder / FILE
    args.folder.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("x", encoding="utf-8") as file:
            file.write(_TEXT)
    except FileExistsError:
        raise UsageError(f"{target} is there already and stays as it is; init never overwrites") from None
    _write_schema(args.folder / SCHEMA_FILE)
    print(target)
    note("next: dagsched validate, then dagsched run --once")
    return 0


def _write_schema(target: Path) -> None:
    """Put the schema beside the job file, so that an editor completes it without network."""
    from dagsched.cli.schema import text

    if not target.exists():
        target.write_text(text(), encoding="utf-8")
