"""What a schedule on events cannot use."""

from __future__ import annotations

from dagsched.config.build import Entry
from dagsched.config.explain import Complaint
from dagsched.config.report import Report

_OF_TIME = {
    "catchup": "an event that nobody hears is remembered until the next start, and never caught up",
    "catchup_window": "an event that nobody hears is remembered until the next start, and never caught up",
    "jitter": "jitter spreads ticks that a clock makes",
    "dst": "clock changes move no event",
}


def check_event_schedule(entry: Entry, report: Report) -> None:
    """Warn of what the job itself says about a clock that makes none of its ticks; its file's defaults may."""
    own = entry.document.data["jobs"][entry.job.id]
    for key, why in _OF_TIME.items():
        if key in own:
            _warn(entry, report, (key,), why)
    if isinstance(own["schedule"], dict) and "days" in own["schedule"]:
        _warn(entry, report, ("schedule", "days"), "it reads cron expressions")


def _warn(entry: Entry, report: Report, steps: tuple[str, ...], why: str) -> None:
    message = f"'{steps[-1]}' has no effect on a schedule of events"
    said = Complaint("W230", ("jobs", entry.job.id, *steps), message, why, "remove it", True)
    report.complain(entry.document, said)
