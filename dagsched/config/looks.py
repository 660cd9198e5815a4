"""What is correct in a schedule and will still surprise, told at its place in the file."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from dagsched.config.build import Entry
from dagsched.config.explain import Complaint
from dagsched.config.report import Report
from dagsched.config.schedules import expressions
from dagsched.declaration import Schedule
from dagsched.triggers import Remark, lint


class Looks:
    """What `lint` finds in the schedules of one file, looking ahead from `now`; each schedule is looked at once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        self._found: dict[int, list[tuple[int, Remark]]] = {}

    def tell(self, entry: Entry, report: Report) -> None:
        """Report each remark on the job's schedule at the expression, length or zone it is about."""
        schedule = entry.job.schedule
        assert schedule is not None, "asked for jobs with a schedule"
        found = self._found.get(id(schedule))
        if found is None:
            found = self._found[id(schedule)] = list(self._remarks(schedule))
        for number, remark in found:
            self._place(number, remark, entry, report)

    def _remarks(self, schedule: Schedule) -> Iterator[tuple[int, Remark]]:
        """Yield (number of the expression, remark)."""
        if len(schedule.cron) < 2:
            yield from ((0, remark) for remark in lint(schedule, self._now))
            return
        for number, text in enumerate(schedule.cron):
            yield from ((number, remark) for remark in lint(schedule._replace(cron=(text,)), self._now))

    def _place(self, number: int, remark: Remark, entry: Entry, report: Report) -> None:
        schedule, document = entry.job.schedule, entry.document
        assert schedule is not None, "has been looked at"
        if remark.code == "W307":
            path, text = entry.timezone_path, ""
        elif schedule.cron:
            raw = document.data["jobs"][entry.job.id]["schedule"]
            path, text = expressions(raw, entry.schedule_path)[number]
        else:
            kind = "event" if schedule.event else "every" if schedule.every is not None else "at"
            path, text = (*entry.schedule_path, kind), ""
        said = Complaint(remark.code, path, remark.message, remark.why, remark.fix)
        report.complain_inside(document, said, remark.offset, _word(text, remark.offset))


def _word(text: str, offset: int | None) -> int | None:
    """Return the length of the list item of a cron field that starts at `offset`."""
    return None if offset is None else len(text[offset:].split(maxsplit=1)[0].partition(",")[0])
