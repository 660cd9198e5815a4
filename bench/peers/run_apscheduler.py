"""Be a process with hourly schedules in APScheduler's memory, until it is ended: `run_apscheduler.py COUNT MINUTE…`."""

from __future__ import annotations

import signal
import sys

from apscheduler.schedulers.background import BackgroundScheduler


def main() -> None:
    count, minutes = int(sys.argv[1]), [int(word) for word in sys.argv[2:]]
    scheduler = BackgroundScheduler(timezone="UTC")
    for number in range(count):
        scheduler.add_job(nothing, "cron", minute=minutes[number % len(minutes)], id=f"hourly-{number:05}")
    scheduler.start()
    signal.pause()


def nothing() -> None:
    """Be what a schedule would run."""


if __name__ == "__main__":
    main()
