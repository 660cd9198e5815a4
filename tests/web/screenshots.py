"""Makes the pictures in `docs/images/`: `python -m tests.web.screenshots`, with a browser and a daemon of its own.

What they show is made here, so that they look alike on every machine: jobs of a small warehouse, some history on a
clock of its own, a failure, something under way.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dagsched.model import Run, RunState
from dagsched.stores import Batch, SqliteStore
from tests.api.caller import Caller, called
from tests.web.chromium import launched, logged_in

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZE = {"width": 1100, "height": 660}
LOWER = {"events": 450, "job": 610}
"""Pictures that would be too large."""
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
  collect-logs: {schedule: "*/10 * * * *", catchup: none, run: sleep 170, tags: [search]}
  build-index: {depends_on: [collect-logs], run: sleep 200, tags: [search]}
  check-index: {depends_on: [build-index], run: sleep 40, tags: [search]}
  publish-index: {depends_on: [check-index], run: sleep 60, tags: [search]}
  warm-caches: {depends_on: [publish-index], run: sleep 90, tags: [search]}
  rank-pages: {schedule: "*/30 * * * *", catchup: none, depends_on: [build-index], run: sleep 900, tags: [search]}
"""
# Of the last two hours, for the pages that show more than a minute: job → (every so many minutes, waited, took, in s).
PAST = {
    "collect-logs": (10, 1, 170),
    "build-index": (10, 175, 200),
    "check-index": (10, 380, 40),
    "publish-index": (10, 425, 60),
    "warm-caches": (10, 490, 90),
    "rank-pages": (30, 376, 900),
}
HISTORY_S = 45.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=IMAGES, help="folder for the pictures")
    parser.add_argument("--history", type=float, default=HISTORY_S, metavar="S", help="seconds of runs to show")
    args = parser.parse_args()
    args.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        state = folder / ".dagsched"
        state.mkdir(mode=0o700)
        asyncio.run(remember(state, datetime.now(UTC)))
        with called(folder, jobs=JOBS) as caller, launched() as browser:
            for picture, (path, scheme) in lived_in(caller, args.history).items():
                page = logged_in(
                    browser,
                    caller,
                    color_scheme=scheme,
                    viewport={**SIZE, "height": LOWER.get(picture, SIZE["height"])},
                )
                if picture == "config":  # an edit that is not right yet
                    (folder / "jobs.yaml").write_text(JOBS.replace("pool: warehouse", "pool: warehaus"))
                    caller.daemon.until_type("config.rejected")
                page.goto(f"{caller.url}/{path}")
                if picture == "plan":
                    fill_in(page)
                take(page, args.to / f"{picture}.png")
                page.context.close()


async def remember(state: Path, now: datetime) -> None:
    """Write down runs of the last two hours, every fifth of which went wrong in the middle."""
    runs = []
    for job, (minutes, waited_s, took_s) in PAST.items():
        ticks = [now - timedelta(minutes=now.minute % minutes + minutes * back) for back in range(1, 120 // minutes)]
        for number, tick in enumerate(tick.replace(second=0, microsecond=0) for tick in ticks):
            uneven = 1 + 0.3 * math.sin(number * 2.1 + minutes)
            started = tick + timedelta(seconds=waited_s)
            ended = started + timedelta(seconds=took_s * uneven)
            known: Any = {"created": tick, "ready": tick, "attempts": 1, "attempt_limit": 2}
            if number % 5 == 3 and job in ("check-index", "publish-index", "warm-caches"):
                is_first = job == "check-index"
                end = ended if is_first else tick + timedelta(seconds=430)
                more: Any = {"started": started, "exit_code": 1} if is_first else {"attempts": 0}
                state_of = RunState.FAILED if is_first else RunState.UPSTREAM_FAILED
                runs.append(Run(job, tick, state_of, **{**known, "ended": end, **more}))
            else:
                runs.append(Run(job, tick, RunState.SUCCESS, **known, started=started, ended=ended, exit_code=0))
    store = SqliteStore(state / "dagsched.db")
    await store.open(write=True)
    await store.acquire("a picture")
    await store.commit(Batch(runs=sorted(runs, key=lambda run: run.tick)))
    await store.close()


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
        "grid": ("grid?tag=search", "light"),
        "timeline": ("timeline?span=1h&tag=search", "dark"),
        "graph": ("graph", "light"),
        "upcoming": ("upcoming", "light"),
        "plan": ("plan", "light"),
        "config": ("config", "light"),
        "events": ("events", "dark"),
        "letters": ("letters", "light"),
    }


def fill_in(page: Any) -> None:
    """Have an edit planned."""
    page.locator("textarea").fill(JOBS.replace('"30 6 * * mon-fri"', '"0 7 * * *"').replace("import-rates", "rates"))
    page.get_by_role("button", name="Plan").click()
    page.locator(".verdict").scroll_into_view_if_needed()


def take(page: Any, file: Path) -> None:
    """Take a picture of a page, without what moves."""
    page.wait_for_timeout(250)
    page.screenshot(path=file, animations="disabled")
    print(file, f"{file.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
