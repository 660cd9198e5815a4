"""Makes the pictures in `docs/images/`: `python -m tests.web.screenshots`, with a browser and a daemon of its own.

What they show is made here, so that they look alike on every machine: jobs of a small warehouse, some history on a
clock of its own, a failure, something under way.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.api.caller import Caller, called
from tests.web.chromium import launched, logged_in

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1200, "height": 720}
JOBS = """\
version: 1
timezone: Europe/Berlin
defaults: {retry: {max_attempts: 2, delay: 200ms}}
pools: {warehouse: 2}
jobs:
  extract-orders:
    schedule: {every: 2s}
    run: sleep 0.$(( RANDOM % 5 + 1 ))
    shell: /bin/bash
    tags: [sales]
    owner: data team
  extract-customers: {schedule: {every: 3s}, run: sleep 0.2, tags: [sales], owner: data team}
  load-warehouse:
    description: Loads orders and customers of the last hours
    depends_on: [extract-orders, extract-customers]
    pool: warehouse
    tags: [sales, warehouse]
    run: sleep 0.3
  check-quality:
    depends_on: [load-warehouse]
    run: |
      sleep 0.$(( RANDOM % 3 + 1 ))
      [ $(( RANDOM % 3 )) -gt 0 ] || { echo "12 orders without a customer" >&2; exit 2; }
    shell: /bin/bash
    tags: [warehouse]
  daily-report:
    description: The numbers of yesterday, by mail before breakfast
    schedule: "30 6 * * mon-fri"
    depends_on: [check-quality]
    run: ./report.py --yesterday
    owner: finance
  send-invoices: {schedule: "0 8 1 * *", run: ./invoices.sh, owner: finance}
  backup: {schedule: "15 2 * * *", run: ./backup.sh, tags: [housekeeping]}
  train-model:
    description: Trains on what the warehouse has
    params: {epochs: {type: integer, default: 20}}
    run: 'for epoch in $(seq 1 60); do echo "epoch $epoch of 60, loss 0.$(( 990 - epoch * 11 ))"; sleep 1; done'
    tags: [model]
  import-rates: {schedule: "0 * * * *", run: 'echo "connect to rates.example: timed out" >&2; exit 28', tags: [finance]}
  clean-up: {schedule: "@daily", enabled: false, run: ./clean.sh, tags: [housekeeping]}
"""
HISTORY_S = 45.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--history", type=float, default=HISTORY_S, metavar="S", help="seconds of runs to show")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, called(Path(folder), jobs=JOBS) as caller, launched() as browser:
        pages = lived_in(caller, args.history)
        for name, (path, scheme) in pages.items():
            page = logged_in(browser, caller, color_scheme=scheme, viewport=SIZE)
            take(page, f"{caller.url}/{path}", args.to / f"{name}.png")
            page.context.close()


def lived_in(caller: Caller, history_s: float) -> Mapping[str, tuple[str, str]]:
    """Let the jobs run for a while; return what is taken: name → (path, light or dark)."""
    caller.run_once("import-rates", "run.failed")
    caller.post("/jobs/backup/pause")
    # Pictures of what a clock has made: nothing can be waited for but the time itself.
    time.sleep(history_s)
    run: str = caller.post("/jobs/train-model/trigger")["runs"][0]
    caller.daemon.until(lambda event: event["run"] == run and event["type"] == "run.started", "its start")
    time.sleep(6)
    return {
        "now": ("", "light"),
        "jobs": ("jobs", "light"),
        "job": ("jobs/check-quality", "light"),
        "run": (f"runs/{run}", "dark"),
    }


def take(page: Any, url: str, file: Path) -> None:
    """Take a picture of a page, without what moves."""
    page.goto(url)
    page.wait_for_timeout(250)
    page.screenshot(path=file, animations="disabled")
    print(file, f"{file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
