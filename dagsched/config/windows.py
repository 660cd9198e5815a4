"""Windows: from what a job file says to values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from dagsched.config.explain import Complaint
from dagsched.config.reader import Document, Path
from dagsched.config.report import Report
from dagsched.declaration import Window
from dagsched.triggers.windows import DAY_NAMES


def windows_of(value: Any, path: Path, document: Document, report: Report) -> tuple[Window, ...]:
    """Return the windows that stand at `path`, one mapping or a list of them; none after reporting a wrong one."""
    said = value if isinstance(value, list) else [value]
    made = [_window(each) for each in said]
    for number, window in enumerate(made):
        if window.opens == window.closes:
            place = (*path, number, "to") if isinstance(value, list) else (*path, "to")
            _say(report, document, place, "the window closes when it opens",
                 "a window from a time to the same time could be no time or a whole day",
                 "write 00:00 to 24:00 for a whole day")  # fmt: skip
            return ()
    outsides = {each["outside"] for each in said if "outside" in each}
    if len(outsides) > 1:
        _say(report, document, path, "the windows disagree about what is outside",
             "a run is outside when none of them is open, and then it either waits or is skipped",
             "write the same outside: in each, or in one of them")  # fmt: skip
        return ()
    outside: Literal["wait", "skip"] = next(iter(outsides), "wait")
    return tuple(window._replace(outside=outside) for window in made)


def _window(said: Mapping[str, Any]) -> Window:
    days = said.get("days", ())
    return Window(said["from"], said["to"], tuple(day for day in DAY_NAMES if day in days))


def _say(report: Report, document: Document, path: Path, message: str, why: str, fix: str) -> None:
    report.complain(document, Complaint("E322", path, message, why, fix))
