"""Calendars: from what a job file says to values. A country is looked up when the file is read, and its days later."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import date
from typing import Any

from dagsched.config.explain import Complaint, short
from dagsched.config.hints import nearest
from dagsched.config.reader import Document, Path
from dagsched.config.report import Report
from dagsched.declaration import Calendar

INSTALL = "pip install 'dagsched[holidays]'"


def calendar_of(said: Any, path: Path, document: Document, report: Report) -> Calendar | None:
    """Return the calendar that stands at `path`, a list of days or a mapping; None after reporting what is wrong."""
    mapping: Mapping[str, Any] = {"days": said} if isinstance(said, list) else said
    base = path if isinstance(said, list) else (*path, "days")
    days = [_day(text, (*base, number), document, report) for number, text in enumerate(mapping.get("days", ()))]
    country, subdivision = mapping.get("country"), mapping.get("subdivision")
    if country is not None and not _is_known(country, subdivision, path, document, report):
        return None
    if None in days:
        return None
    found = frozenset(day for day in days if day is not None)
    return Calendar(found, tuple(mapping.get("weekdays", ())), country, subdivision)


def _day(text: str, path: Path, document: Document, report: Report) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        said = Complaint("E305", path, f"'{short(text)}' is no day", "there is no such date", "write it as 2026-12-24")
        report.complain(document, said)
        return None


def _is_known(country: str, subdivision: str | None, path: Path, document: Document, report: Report) -> bool:
    from dagsched.triggers.calendars import supported  # loads what most files never need

    try:
        known = supported()
    except ImportError:
        said = Complaint(
            "E233", (*path, "country"), "the holidays of a country need the 'holidays' library",
            "it is not installed where this program runs", INSTALL,
        )  # fmt: skip
        report.complain(document, said)
        return False
    if country not in known:
        _unknown("country", country, known, path, document, report)
        return False
    if subdivision is not None and subdivision not in known[country]:
        _unknown("subdivision", subdivision, known[country], path, document, report)
        return False
    return True


def _unknown(key: str, name: str, known: Collection[str], path: Path, document: Document, report: Report) -> None:
    meant = nearest(name, known)
    fix = f"did you mean '{meant}'?" if meant else f"write one of {', '.join(sorted(known)[:20]) or 'none'}, …"
    why = "countries and their parts are named by the codes of ISO 3166, as DE and BY"
    report.complain(document, Complaint("E232", (*path, key), f"unknown {key} '{short(name)}'", why, fix))
