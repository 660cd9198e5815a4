"""From what a job file says about time to a `Schedule`, checked by building its trigger.

`start`, `end` and `at` without an offset are wall time of the schedule's zone. A wall time that a clock
change skips is the first instant after the gap, one that comes twice is the first. A date alone is its
first second, as `end` its last.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from dagsched.config.explain import Complaint, short
from dagsched.config.lengths import BadLength, parse_length
from dagsched.config.reader import Document, Path
from dagsched.config.report import Report
from dagsched.declaration import Schedule
from dagsched.errors import InvalidSchedule, UnknownTimezone
from dagsched.triggers import At, trigger_of
from dagsched.triggers.zones import zone

Place = tuple[Document, Path]
_DATE_CHARACTERS = len("2026-12-24")
_UNBOUNDED: dict[str, Any] = {"start": None, "end": None, "max_runs": None}
LAST_SECOND = timedelta(days=1) - timedelta(seconds=1)


class _Refused(Exception):
    """A part of a schedule cannot be used; it has been reported."""


class _Expression(NamedTuple):
    path: Path
    text: str


class Schedules:
    """Makes schedules; the same text in the same zone gives the same object, checked once."""

    def __init__(self) -> None:
        self._made: dict[tuple[str | tuple[str], str, str], Schedule] = {}
        self._zones: dict[str, UnknownTimezone | None] = {}

    def is_zone(self, name: str, document: Document, path: Path, report: Report) -> bool:
        """Whether there is a time zone of that name; reports it when not."""
        if name not in self._zones:
            self._zones[name] = _unknown_zone(name)
        error = self._zones[name]
        if error is not None:
            meant = error.nearest[0] if error.nearest else ""
            fix = f"did you mean '{meant}'?" if meant else "write an IANA name such as Europe/Berlin, or UTC"
            why = "time zones are named as in the IANA database"
            report.complain(document, Complaint("E302", path, f"unknown time zone '{short(name)}'", why, fix))
            return False
        return True

    def schedule(
        self, raw: Any, timezone: str, dst: Mapping[str, str], place: Place, report: Report
    ) -> Schedule | None:
        """Return the schedule that `raw` (text or mapping) stands for, None after reporting why it cannot be."""
        key = (raw if isinstance(raw, str) else (repr(raw),), timezone, repr(dst) if dst else "")
        made = self._made.get(key)
        if made is None:
            try:
                made = self._made[key] = _checked(raw, timezone, dst, place, report)
            except _Refused:
                return None
        return made


def _unknown_zone(name: str) -> UnknownTimezone | None:
    try:
        zone(name)
    except UnknownTimezone as error:
        return error
    return None


def _checked(raw: Any, timezone: str, dst: Mapping[str, str], place: Place, report: Report) -> Schedule:
    said: Mapping[str, Any] = {"cron": raw} if isinstance(raw, str) else raw
    bounds = {key: _instant(said[key], timezone, key, place, report) for key in ("start", "end") if key in said}
    schedule = Schedule(
        cron=tuple(each.text for each in expressions(raw, ())),
        every=_every(said["every"], place, report) if "every" in said else None,
        at=_at(said["at"], place, report) if "at" in said else None,
        event=_events(said.get("event", ())),
        timezone=timezone,
        max_runs=said.get("max_runs"),
        gap=dst.get("gap"),  # type: ignore[arg-type]
        fold=dst.get("overlap"),  # type: ignore[arg-type]
        days=said.get("days"),
        **bounds,
    )
    _in_order(schedule, place, report)
    _usable(raw, schedule, place, report)
    return schedule


def _events(said: str | list[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([said] if isinstance(said, str) else said))


def expressions(raw: Any, path: Path) -> list[_Expression]:
    """Return the cron expressions of a schedule and where each stands."""
    if isinstance(raw, str):
        return [_Expression(path, raw)]
    cron = raw.get("cron", [])
    if isinstance(cron, str):
        return [_Expression((*path, "cron"), cron)]
    return [_Expression((*path, "cron", number), text) for number, text in enumerate(cron)]


def _usable(raw: Any, schedule: Schedule, place: Place, report: Report) -> None:
    """Build the trigger, each cron expression by itself so that the caret finds the right one."""
    document, path = place
    refused = False
    is_plain = isinstance(raw, str)  # one expression without bounds: its schedule is this one
    for each in expressions(raw, path):
        try:
            trigger_of(schedule if is_plain else schedule._replace(cron=(each.text,), **_UNBOUNDED))
        except InvalidSchedule as error:
            said = Complaint("E301", each.path, error.message, error.why, error.fix)
            report.complain_inside(document, said, error.offset, error.length)
            refused = True
    if refused:
        raise _Refused
    if len(schedule.cron) == 1 and schedule.start is None and schedule.end is None:
        return  # that was all of it
    try:
        trigger_of(schedule)
    except InvalidSchedule as error:
        report.complain(document, Complaint("E301", path, error.message, error.why, error.fix))
        raise _Refused from None


def _every(text: str, place: Place, report: Report) -> timedelta:
    path = _inner(place, "every")
    try:
        length = parse_length(text)
    except BadLength as error:
        code = "E304" if error.is_range else "E303"
        raise _refused(
            report,
            place,
            code,
            path,
            str(error),
            "lengths are numbers with units, each unit once, at most 3650d",
            "write e.g. 90s, 15m or 2h",
        ) from None
    if length < timedelta(seconds=1) or length % timedelta(seconds=1):
        raise _refused(
            report,
            place,
            "E304",
            path,
            f"'every: {text}' is not a whole number of seconds from 1s on",
            "ticks are whole seconds",
            "write 1s or more, without milliseconds",
        )
    return length


def _at(text: str, place: Place, report: Report) -> datetime:
    moment = _parsed(text, "at", place, report)
    return moment.astimezone(UTC) if moment.tzinfo else moment


def _instant(text: str, timezone: str, key: str, place: Place, report: Report) -> datetime:
    moment = _parsed(text, key, place, report)
    if key == "end" and len(text) == _DATE_CHARACTERS:
        moment += LAST_SECOND
    return At(moment, timezone).tick


def _parsed(text: str, key: str, place: Place, report: Report) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if 1900 <= moment.year <= 9990:  # inside, no zone's offset leads out of what a datetime holds
            return moment
        reason = "years from 1900 to 9990 are known"
    except ValueError as error:
        reason = str(error)
    raise _refused(
        report,
        place,
        "E305",
        _inner(place, key),
        f"'{text}' is no date and time",
        reason,
        "write it like 2026-12-24T18:00, or 2026-12-24T18:00:00Z for an instant",
    )


def _in_order(schedule: Schedule, place: Place, report: Report) -> None:
    if schedule.start and schedule.end and schedule.end < schedule.start:
        raise _refused(
            report,
            place,
            "E306",
            _inner(place, "end"),
            "the schedule ends before it starts",
            "start and end bound the ticks, both included",
            "swap them, or move one",
        )


def _inner(place: Place, key: str) -> Path:
    return (*place[1], key)


def _refused(report: Report, place: Place, code: str, path: Path, message: str, why: str, fix: str) -> _Refused:
    report.complain(place[0], Complaint(code, path, message, why, fix))
    return _Refused()
