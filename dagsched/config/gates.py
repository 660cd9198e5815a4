"""Checks of what a ready run still waits for: gates that nothing ever passes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dagsched.config.build import Entry
from dagsched.config.explain import Complaint, short
from dagsched.config.report import Report
from dagsched.declaration import Calendar
from dagsched.errors import ScheduleError
from dagsched.triggers import trigger_of

if TYPE_CHECKING:
    from dagsched.conditions import Use

LOOK_AHEAD = timedelta(days=730)


def check_window(entry: Entry, now: datetime, report: Report) -> None:
    """Report a job whose every tick of the next 24 months its windows leave out."""
    from dagsched.triggers.windows import first_tick_inside  # only who has a window waits for it

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


def check_calendar(
    entry: Entry, calendars: Mapping[str, Calendar | None], now: datetime, report: Report, *, is_whole: bool
) -> None:
    """Report calendars that nobody declares, and those that leave no tick of the next 24 months."""
    job, raw = entry.job, entry.document.value_at(entry.path("calendar"))
    for number, name in enumerate(job.calendar):
        if name not in calendars and is_whole:
            meant = report.guess(name, calendars.keys())
            declare = f"declare it: calendars: {{{name}: {{weekdays: [sat, sun]}}}}"
            fix = f"did you mean '{meant}'?" if meant else declare
            steps = ("calendar", number) if isinstance(raw, list) else ("calendar",)
            _say(
                report, entry, "E231", steps, f"unknown calendar '{name}'",
                "a calendar's days off must be declared in one of the files", fix,
            )  # fmt: skip
    known = {name: calendar for name in job.calendar if (calendar := calendars.get(name)) is not None}
    if job.schedule is not None and len(known) == len(job.calendar):
        _check_days_left(entry, known, now, report)


def _check_days_left(entry: Entry, calendars: Mapping[str, Calendar], now: datetime, report: Report) -> None:
    from dagsched.triggers.calendars import DaysOff, Working

    job, until = entry.job, now + LOOK_AHEAD
    assert job.schedule is not None, "asked for jobs with a schedule"
    try:
        trigger = trigger_of(job.schedule)
    except ScheduleError:
        return  # reported where it stands
    first = trigger.next(now)
    working = Working(trigger, DaysOff(job.calendar, calendars, job.timezone))
    if first is not None and first <= until and next(working.ticks(now, until), None) is None:
        _say(
            report, entry, "W322", ("calendar",),
            "the calendar leaves no tick of the schedule",
            "in the next 24 months every tick falls on a day off, and is skipped",
            "take days out of the calendar, or change the schedule",
        )  # fmt: skip


def check_when(entry: Entry, report: Report) -> None:
    """Report a condition that cannot be read, or that asks about what the job has not."""
    from dagsched.conditions import BadCondition, parse  # only who has a condition waits for it

    job = entry.job
    try:
        condition = parse(job.when)
    except BadCondition as error:
        said = Complaint(error.code, entry.path("when"), error.message, error.why, error.fix)
        report.complain_inside(entry.document, said, error.offset, error.length)
        return
    upstreams = {edge.job for edge in job.depends_on}
    for use in condition.uses:
        if use.kind == "param":
            if use.name not in job.params and "params" not in entry.dropped:
                _say_unknown_param(entry, use, report)
        elif use.name not in upstreams and "depends_on" not in entry.dropped:
            meant = report.guess(use.name, upstreams)
            fix = f"did you mean '{meant}'?" if meant else f"add '{short(use.name)}' to depends_on"
            said = Complaint(
                "E134", entry.path("when"), f"'{short(use.name)}' is no upstream of '{job.id}'",
                "a condition is judged by the runs that the job waits for, and by no others", fix,
            )  # fmt: skip
            report.complain_inside(entry.document, said, use.offset, use.length)


def _say_unknown_param(entry: Entry, use: Use, report: Report) -> None:
    meant = report.guess(use.name, entry.job.params.keys())
    fix = f"did you mean '{meant}'?" if meant else f"declare it: params: {{{short(use.name)}: {{default: ...}}}}"
    said = Complaint(
        "E135", entry.path("when"), f"'{entry.job.id}' has no parameter '{short(use.name)}'",
        "a condition can ask for the parameters that the job declares", fix,
    )  # fmt: skip
    report.complain_inside(entry.document, said, use.offset, use.length)
