"""Checks of what a ready run still waits for: gates that nothing ever passes."""

from __future__ import annotations

from datetime import datetime, timedelta

from dagsched.config.build import Entry
from dagsched.config.explain import Complaint
from dagsched.config.report import Report
from dagsched.errors import ScheduleError
from dagsched.triggers import first_tick_inside, trigger_of

LOOK_AHEAD = timedelta(days=730)


def check_window(entry: Entry, now: datetime, report: Report) -> None:
    """Report a job whose every tick of the next 24 months its windows leave out."""
    job = entry.job
    if job.schedule is None or job.window[0].outside != "skip":
        return
    try:
        trigger = trigger_of(job.schedule)
    except ScheduleError:
        return  # reported where it stands
    until = now + LOOK_AHEAD
    if trigger.next(now) is None or first_tick_inside(job.window, job.timezone, trigger, now, until) is not None:
        return
    _say(
        report, entry, "W321", ("window",),
        "no tick of the schedule meets the window",
        "outside: skip leaves out every run that is ready while it is closed, and in the next 24 months that is each",
        "move the window or the schedule (both are in the job's time zone), or write outside: wait",
    )  # fmt: skip


def _say(
    report: Report, entry: Entry, code: str, steps: tuple[str | int, ...], message: str, why: str, fix: str
) -> None:
    report.complain(entry.document, Complaint(code, entry.path(*steps), message, why, fix))
